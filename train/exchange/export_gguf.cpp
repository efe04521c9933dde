#include "train/exchange/export_gguf.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/user_error.hpp"
#include "train/exchange/gguf_config.hpp"
#include "train/exchange/gguf_tokenizer.hpp"
#include "train/exchange/tensor_map.hpp"

namespace rw {
namespace {

// general.file_type: what most tensors are.
uint32_t file_type(ValueType type) {
  switch (type) {
    case ValueType::f32:
      return 0;
    case ValueType::f16:
      return 1;
    case ValueType::q8_0:
      return 7;
    default:
      return 32;  // bf16
  }
}

GgufFields general_fields(const std::string& name, ValueType type) {
  GgufFields out = {{"general.architecture", std::string("llama")},
                    {"general.type", std::string("model")},
                    {"general.name", name},
                    {"general.file_type", file_type(type)}};
  if (block_of(type) > 1) out.emplace_back("general.quantization_version", uint32_t{2});
  return out;
}

}  // namespace

std::vector<std::string> export_gguf(LoadedModel& from, const std::filesystem::path& file,
                                     std::optional<ValueType> type) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored))
    throw UserError(Exit::write, file.string() + " exists", "choose another name, or remove it");
  const ModelConfig& config = from.model.config;
  GgufFields model_fields = gguf_fields(config);

  const std::map<std::string, View> parts = parts_by_name(from.model);
  std::vector<std::string> notes;
  const auto type_of = [&](const MappedTensor& tensor) {
    if (tensor.shape.size() < 2) return ValueType::f32;
    if (!type) return stored_type(tensor, from.stored);
    const auto block = static_cast<uint64_t>(block_of(*type));
    if (tensor.shape.back() % block == 0) return *type;
    notes.push_back(tensor.name + " is f16: its rows of " + std::to_string(tensor.shape.back()) +
                    " are no whole blocks of " + std::to_string(block));
    return ValueType::f16;
  };
  const std::vector<OutgoingTensor> tensors = outgoing(tensor_map(config, Naming::gguf), parts, type_of);

  std::optional<Vocabulary> vocabulary;
  if (from.tokenizer) vocabulary = vocabulary_of(*from.tokenizer);
  GgufFields fields = general_fields(file.stem().string(), type.value_or(main_type(tensors)));
  for (GgufFields more :
       {std::move(model_fields), gguf_fields(vocabulary ? &*vocabulary : nullptr, config.vocab, from.meta.ends)})
    std::ranges::move(more, std::back_inserter(fields));
  write_gguf(file, fields, tensors);
  return notes;
}

}  // namespace rw
