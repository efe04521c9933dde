#include "train/exchange/write_hf.hpp"

#include <algorithm>

#include "core/base/check.hpp"
#include "core/file/atomic.hpp"
#include "data/tokenizer/tokenizer_json.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/exchange/hf_config.hpp"
#include "train/exchange/tensor_map.hpp"
#include "train/loop/npy.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

std::vector<OutgoingTensor> tensors_of(const LoadedModel& loaded, std::span<const MappedTensor> map,
                                       const std::map<std::string, View>& parts, const HfExport& options) {
  return outgoing(map, parts, [&](const MappedTensor& tensor) {
    return options.type ? *options.type : stored_type(tensor, loaded.stored);
  });
}

// Ours, in our own layout and by our own names.
std::vector<MappedTensor> own_map(const LoadedModel& loaded) {
  std::vector<MappedTensor> map = tensor_map(loaded.model.config, Naming::llama);
  for (MappedTensor& tensor : map) tensor.head_rows = 0;
  return map;
}

void write_json(const fs::path& file, const nlohmann::ordered_json& json) { write_text(file, json.dump(2) + "\n"); }

}  // namespace

void write_hf(LoadedModel& loaded, const fs::path& folder, const HfExport& options) {
  const ModelConfig& config = loaded.model.config;
  hf_architecture(config);
  const auto parts = parts_by_name(loaded.model);
  const std::vector<MappedTensor> map = tensor_map(config, hf_naming(config));
  std::vector<OutgoingTensor> tensors = tensors_of(loaded, map, parts, options);
  const int64_t begin = loaded.tokenizer ? loaded.tokenizer->document_start() : 0;
  const nlohmann::ordered_json json = hf_config(config, begin, loaded.meta.ends, main_type(tensors), options.lost);
  write_new_folder(folder, [&](const fs::path& to) {
    write_json(to / "config.json", json);
    write_json(to / "generation_config.json", {{"bos_token_id", json["bos_token_id"]},
                                               {"eos_token_id", json["eos_token_id"]},
                                               {"do_sample", true},
                                               {"temperature", 0.8},
                                               {"top_p", 0.95},
                                               {"transformers_version", json["transformers_version"]}});
    if (loaded.tokenizer) {
      write_text(to / "tokenizer.json", to_tokenizer_json(*loaded.tokenizer));
      write_text(to / "tokenizer_config.json", to_tokenizer_config_json(*loaded.tokenizer, config.context));
    }
    write_safetensors(to, std::move(tensors), options.shard);
  });
}

void write_plain_safetensors(LoadedModel& loaded, const fs::path& folder, const HfExport& options) {
  const auto parts = parts_by_name(loaded.model);
  const std::vector<MappedTensor> map = own_map(loaded);
  write_new_folder(folder, [&](const fs::path& to) {
    write_text(to / "model.json", model_to_json(loaded.model.config) + "\n");
    write_safetensors(to, tensors_of(loaded, map, parts, options), options.shard);
  });
}

void write_npy_folder(LoadedModel& loaded, const fs::path& folder) {
  const auto parts = parts_by_name(loaded.model);
  const std::vector<MappedTensor> map = own_map(loaded);
  write_new_folder(folder, [&](const fs::path& to) {
    write_text(to / "model.json", model_to_json(loaded.model.config) + "\n");
    for (const OutgoingTensor& tensor : tensors_of(loaded, map, parts, {.type = ValueType::f32})) {
      std::vector<float> values(tensor.bytes() / sizeof(float));
      tensor.fill(std::as_writable_bytes(std::span(values)));
      write_npy(to / (tensor.name + ".npy"), values, tensor.shape);
    }
  });
}

double most_difference(std::optional<ValueType> type) {
  if (!type || *type == ValueType::f32) return 1e-4;
  if (*type == ValueType::f16) return 0.02;
  return *type == ValueType::bf16 ? 0.1 : 0.3;
}

}  // namespace rw
