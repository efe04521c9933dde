// A model out of a checkpoint, for everything but training.
#pragma once
#include <memory>

#include "data/tokenizer/tokenizer.hpp"
#include "layers/transformer/model.hpp"
#include "train/checkpoint/checkpoint.hpp"

namespace rw {

struct LoadedModel {
  std::filesystem::path folder;  // of the checkpoint
  CheckpointMeta meta;
  std::map<std::string, DType, std::less<>> stored;  // in which type the checkpoint has each tensor
  Buffer value;                                      // what the model's parameters lie in
  Model model;
  std::unique_ptr<Tokenizer> tokenizer;  // null if the model was trained on token shards
  std::vector<std::string> skipped;      // damaged checkpoints that were passed over, and why
};

// `path` as for Checkpoint::open. f64 if the checkpoint is, else f32. Rope tables reach to `positions`, or to the
// trained context if that is longer.
LoadedModel load_model(const std::filesystem::path& path, int64_t positions = 0);

}  // namespace rw
