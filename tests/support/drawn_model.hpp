// A loaded model that comes from no file.
#pragma once
#include <gtest/gtest.h>

#include <random>

#include "layers/parameters.hpp"
#include "tests/support/model.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/exchange/tensor_map.hpp"
#include "train/exchange/verify.hpp"

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

// A tiny decoder with room for the tokenizer of bytes.
inline ModelConfig byte_config(void (*change)(ModelConfig&)) {
  ModelConfig config = tiny_config();
  config.vocab = 260;
  change(config);
  return config;
}

// `after` is `before` come back from another tool's file: the same weights, or, where rotated rows were put into the
// order of half, the same logits.
inline void expect_came_back(LoadedModel& before, LoadedModel& after) {
  ModelConfig config = before.model.config;
  const bool permuted = config.rope_layout == RopeLayout::interleaved;
  config.rope_layout = RopeLayout::half;
  if (config.learned_positions()) config.rope = {};  // nothing is rotated
  EXPECT_EQ(model_to_json(after.model.config), model_to_json(config));
  if (!permuted) {
    const auto ours = parts_by_name(before.model), theirs = parts_by_name(after.model);
    for (const auto& [name, view] : ours)
      EXPECT_EQ(TestModel::values(view), TestModel::values(theirs.at(name))) << name;
  }
  const LogitDifference difference = compare_logits(before.model, after.model);
  EXPECT_LE(difference.largest, permuted ? 1e-5 * difference.scale : 0);
  EXPECT_GT(difference.scale, 0.01);
}

}  // namespace rw::test
