#include "layers/transformer/config.hpp"

#include <gtest/gtest.h>

namespace rw {
namespace {

// Known models, whose counts their makers print.
TEST(ParameterCount, AgreesWithKnownModels) {
  ModelConfig smol;  // SmolLM2-135M
  smol.vocab = 49152, smol.layers = 30, smol.width = 576, smol.heads = 9, smol.kv_heads = 3, smol.head_width = 64;
  smol.hidden = 1536, smol.context = 8192;
  EXPECT_EQ(parameter_count(smol), 134'515'008);

  ModelConfig gpt2;  // GPT-2, small
  gpt2.vocab = 50257, gpt2.layers = 12, gpt2.width = 768, gpt2.heads = 12, gpt2.kv_heads = 12, gpt2.head_width = 64;
  gpt2.hidden = 3072, gpt2.context = 1024, gpt2.norm = NormKind::layer, gpt2.mlp = MlpKind::gelu_tanh;
  gpt2.attention_bias = AttentionBias::all, gpt2.mlp_bias = true, gpt2.positions.kind = PositionKind::learned;
  EXPECT_EQ(parameter_count(gpt2), 124'439'808);

  ModelConfig qwen;  // Qwen3-0.6B, 8B: norms of heads, H · d other than C, and a head of its own
  qwen.vocab = 151936, qwen.layers = 28, qwen.width = 1024, qwen.heads = 16, qwen.kv_heads = 8, qwen.head_width = 128;
  qwen.hidden = 3072, qwen.context = 40960, qwen.qk_norm = true;
  EXPECT_EQ(parameter_count(qwen), 596'049'920);
  qwen.layers = 36, qwen.width = 4096, qwen.heads = 32, qwen.hidden = 12288, qwen.tied = false;
  EXPECT_EQ(parameter_count(qwen), 8'190'735'360);
}

TEST(ParameterCount, CountsEachTermByItself) {
  ModelConfig base;
  base.vocab = 11, base.layers = 3, base.width = 10, base.heads = 4, base.kv_heads = 2, base.head_width = 6;
  base.hidden = 14, base.context = 5;
  const int64_t count = parameter_count(base);
  EXPECT_EQ(count, 11 * 10 + 3 * (10 * 48 + 24 * 10 + 3 * 10 * 14 + 2 * 10) + 10);
  const auto more = [&](auto&& change) {
    ModelConfig changed = base;
    change(changed);
    return parameter_count(changed) - count;
  };
  EXPECT_EQ(more([](ModelConfig& c) { c.tied = false; }), 110);
  EXPECT_EQ(more([](ModelConfig& c) { c.positions.kind = PositionKind::learned; }), 50);
  EXPECT_EQ(more([](ModelConfig& c) { c.mlp = MlpKind::gelu; }), -3 * 140);
  EXPECT_EQ(more([](ModelConfig& c) { c.attention_bias = AttentionBias::qkv; }), 3 * 48);
  EXPECT_EQ(more([](ModelConfig& c) { c.attention_bias = AttentionBias::all; }), 3 * (48 + 10));
  EXPECT_EQ(more([](ModelConfig& c) { c.mlp_bias = true; }), 3 * (28 + 10));
  EXPECT_EQ(more([](ModelConfig& c) { c.qk_norm = true; }), 3 * 12);
  EXPECT_EQ(more([](ModelConfig& c) { c.norm = NormKind::layer; }), 0);
  EXPECT_EQ(more([](ModelConfig& c) { c.norm = NormKind::layer, c.mlp_bias = true; }), 3 * (28 + 10) + 7 * 10);
}

}  // namespace
}  // namespace rw
