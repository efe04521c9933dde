// A model as one GGUF file, architecture llama, with its tokenizer.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint/load_model.hpp"
#include "train/exchange/values.hpp"

namespace rw {

// Matrices in `type`, f32, f16, bf16 or q8_0; none: bf16 where the checkpoint is, else f32. Vectors are f32, as
// programs that read GGUF want them. Returns what a user should know: with q8_0, matrices whose rows are no whole
// blocks of 32 become f16. Throws UserError: Exit::usage if the format has no such model (gguf_fields); Exit::write,
// also if the file exists.
std::vector<std::string> export_gguf(LoadedModel& model, const std::filesystem::path& file,
                                     std::optional<ValueType> type);

}  // namespace rw
