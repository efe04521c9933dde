// A model of another tool, read and understood, on its way to a checkpoint.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.hpp"
#include "layers/transformer/config.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/exchange/tensor_map.hpp"

namespace rw {

struct ForeignModel {
  std::string source;  // the file or folder
  ModelConfig config;
  Naming naming = Naming::llama;
  std::vector<ForeignTensor> tensors;
  std::shared_ptr<const void> keeps;  // what the tensors lie in
  std::optional<TokenizerFile> tokenizer;
  std::vector<int64_t> ends;       // ids that end a text (CheckpointMeta)
  std::vector<std::string> notes;  // what a user should know: a vocabulary that is padded, ...
};

struct HfOptions {
  std::vector<std::string> ignored = {};  // keys of config.json, not known here, that the user says mean nothing
  bool tokenizer = true;
};

// Reads config.json, the safetensors and the tokenizer of a Hugging Face folder: llama, qwen2, qwen3, gpt2. Throws
// UserError(Exit::data), naming the key or tensor, for whatever is asked for that Ropewalk does not compute.
ForeignModel read_hf(const std::filesystem::path& folder, const HfOptions& options = {});
// A GGUF file of architecture llama. Throws as read_hf.
ForeignModel read_gguf(const std::filesystem::path& file, bool tokenizer = true);

// The model, in memory, for sequences of kVerifiedTokens (verify.hpp). Throws UserError: Exit::data if tensors and
// configuration, or tokenizer and vocabulary, disagree; Exit::memory.
LoadedModel instantiate(const ForeignModel& model);

// A checkpoint of step 0 in out/checkpoints, without optimizer state. bf16 tensors stay bf16, others become f32.
// Throws UserError: as instantiate(); Exit::write, also if `out` holds something already.
SavedCheckpoint import_model(const ForeignModel& model, const std::filesystem::path& out, const std::string& command);

}  // namespace rw
