// A model as a folder of Hugging Face: config.json, generation_config.json, model.safetensors (or shards and an index),
// tokenizer.json, tokenizer_config.json.
#pragma once
#include <filesystem>
#include <optional>

#include "train/checkpoint/load_model.hpp"
#include "train/exchange/safetensors.hpp"

namespace rw {

struct HfExport {
  std::optional<ValueType> type = {};  // of all tensors; none: each as the checkpoint has it (f64 as f32)
  uint64_t shard = uint64_t{5} * 1000 * 1000 * 1000;  // bytes of a file
  std::string lost = {};                              // hf_config
};

// Throws UserError: Exit::usage if Hugging Face has no such model (hf_architecture); Exit::write, also if `folder`
// holds something already. Nothing half-written is left.
void write_hf(LoadedModel& model, const std::filesystem::path& folder, const HfExport& options);

// The same tensors by our own names, in our own layout, with model.json (model_json.hpp): for other programs.
void write_plain_safetensors(LoadedModel& model, const std::filesystem::path& folder, const HfExport& options);

// Each tensor as NAME.npy, f32, with model.json.
void write_npy_folder(LoadedModel& model, const std::filesystem::path& folder);

// How far the logits of what was written in `type` may be from the model's, in shares of the largest.
double most_difference(std::optional<ValueType> type);

}  // namespace rw
