// A loaded model that comes from no file.
#pragma once
#include <random>

#include "layers/parameters.hpp"
#include "tests/support/model.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/exchange/tensor_map.hpp"

namespace rw::test {

// With drawn weights, none of them at its initial constant, and the tokenizer of bytes. stored: DType::bf16 makes every
// weight a bf16.
inline LoadedModel drawn(const ModelConfig& config, DType stored = DType::f32) {
  Model model(config);
  Buffer value({}, {lay_out_parameters(model).elements}, DType::f32);
  bind_parameters(model, value, {});
  initialise_parameters(model, 3);
  const View all = value;
  std::mt19937 random(4);
  std::normal_distribution<float> normal(0, 0.1f);
  for (int64_t i = 0; i < all.shape.elements(); ++i) {
    float& v = all.as<float>().data[i];
    v += normal(random);
    if (stored == DType::bf16) v = static_cast<float>(bf16(v));
  }
  model.prepare_positions({}, DType::f32, config.context);
  std::map<std::string, DType, std::less<>> types;
  for (const auto& [name, view] : parts_by_name(model)) types.emplace(name, stored);
  return {.folder = "drawn",
          .meta = {},
          .stored = std::move(types),
          .value = std::move(value),
          .model = std::move(model),
          .tokenizer = make_bytes_tokenizer(),
          .skipped = {}};
}

}  // namespace rw::test
