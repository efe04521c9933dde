// A model out of a checkpoint, for everything but training.
#pragma once
#include <memory>
#include <span>

#include "data/tokenizer/tokenizer.hpp"
#include "layers/transformer/model.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/config/layers.hpp"

namespace rw {

struct LoadedModel {
  std::filesystem::path folder;  // of the checkpoint
  CheckpointMeta meta;
  std::map<std::string, DType, std::less<>> stored;  // in which type the checkpoint has each tensor
  Buffer value;                                      // what the model's parameters lie in
  Model model;
  std::unique_ptr<Tokenizer> tokenizer;  // null if the model was trained on token shards
  std::vector<std::string> skipped;      // damaged checkpoints that were passed over, and why

  // From host memory to a device, rounded to `dtype` if that is bf16; positions are prepared there for texts of
  // `length`. UserError(Exit::usage) if a GPU does not compute in the model's type; bf16 is an error on the CPU.
  void move_to(Device, DType dtype, int64_t length);
};

// `path` as for Checkpoint::open. f64 if the checkpoint is, else f32. Positions are prepared for texts of `length`, or
// of the model's context where it is 0, and are changed as with_positions says. UserError(Exit::data) if the
// fingerprint of the checkpoint's positions is not the one that it was saved with.
LoadedModel load_model(const std::filesystem::path& path, int64_t length = 0, std::span<const Assignment> changes = {});

}  // namespace rw
