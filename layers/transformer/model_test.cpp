#include "layers/transformer/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error.hpp"
#include "tests/support/model.hpp"

namespace rw::test {
namespace {

struct Variant {
  const char* name;
  void (*change)(ModelConfig&);
};
std::ostream& operator<<(std::ostream& out, const Variant& v) { return out << v.name; }

constexpr Variant kVariants[] = {
    {"tied", [](ModelConfig&) {}},
    {"untied", [](ModelConfig& c) { c.tied = false; }},
    {"multi_head", [](ModelConfig& c) { c.kv_heads = c.heads; }},
    {"multi_query", [](ModelConfig& c) { c.kv_heads = 1; }},
    {"layer_norm_bias",
     [](ModelConfig& c) { c.norm = NormKind::layer, c.mlp_bias = true, c.attention_bias = AttentionBias::all; }},
    {"qkv_bias", [](ModelConfig& c) { c.attention_bias = AttentionBias::qkv; }},
    {"layer_norm", [](ModelConfig& c) { c.norm = NormKind::layer; }},
    {"qk_norm", [](ModelConfig& c) { c.qk_norm = true; }},
    {"gelu", [](ModelConfig& c) { c.mlp = MlpKind::gelu, c.mlp_bias = true; }},
    {"gelu_tanh_learned", [](ModelConfig& c) { c.mlp = MlpKind::gelu_tanh, c.positions.kind = PositionKind::learned; }},
    {"interleaved", [](ModelConfig& c) { c.rope_layout = RopeLayout::interleaved; }},
    {"wide_heads", [](ModelConfig& c) { c.head_width = 6; }},
    {"dropout", [](ModelConfig& c) { c.dropout = 0.3; }},
    {"rerope", [](ModelConfig& c) { c.positions = {.kind = PositionKind::rerope, .window = 3}; }},
    {"leaky_yarn",
     [](ModelConfig& c) {
       c.positions = {.kind = PositionKind::leaky, .window = 2, .far_step = 0.25};
       c.rope.rule = RopeRule::yarn, c.rope.factor = 4, c.rope.beta_fast = 2, c.rope.beta_slow = 0.05;
     }},
    {"rerope_yarn",
     [](ModelConfig& c) {
       c.positions = {.kind = PositionKind::rerope, .window = 2};
       c.rope.rule = RopeRule::yarn, c.rope.factor = 4, c.rope.beta_fast = 2, c.rope.beta_slow = 0.05;
     }},
    {"inverse_leaky", [](ModelConfig& c) { c.positions = {.kind = PositionKind::inverse_leaky, .window = 2}; }},
    {"self_extend", [](ModelConfig& c) { c.positions = {.kind = PositionKind::self_extend, .window = 2, .group = 2}; }},
    {"window", [](ModelConfig& c) { c.positions = {.kind = PositionKind::window, .window = 2}; }},
    {"lambda", [](ModelConfig& c) { c.positions = {.kind = PositionKind::lambda, .window = 2, .sinks = 1}; }},
    {"streaming", [](ModelConfig& c) { c.positions = {.kind = PositionKind::streaming, .window = 2, .sinks = 1}; }},
    {"hwfa", [](ModelConfig& c) { c.positions = {.kind = PositionKind::hwfa, .window = 3}; }},
    {"hwfa2",
     [](ModelConfig& c) {
       c.positions = {.kind = PositionKind::hwfa2, .window = 2, .full_layers = 1, .full_window = 3};
     }},
    {"no_positions", [](ModelConfig& c) { c.positions.kind = PositionKind::none; }},
    {"log_n", [](ModelConfig& c) { c.positions.log_n = LogN::trained; }},
    {"log_n_beyond", [](ModelConfig& c) { c.positions.log_n = LogN::beyond, c.trained_context = 3; }},
    {"key_norm", [](ModelConfig& c) { c.key_norm = KeyNorm::key; }},
    {"query_norm", [](ModelConfig& c) { c.key_norm = KeyNorm::query; }},
    {"cosine_log_n_leaky",
     [](ModelConfig& c) {
       c.key_norm = KeyNorm::cosine, c.positions.log_n = LogN::trained;
       c.positions.kind = PositionKind::leaky, c.positions.window = 2, c.positions.far_step = 0.5;
     }},
    {"partial", [](ModelConfig& c) { c.rope.share = 0.5, c.rope_layout = RopeLayout::interleaved; }},
    {"all",
     [](ModelConfig& c) {
       c.tied = false, c.norm = NormKind::layer, c.mlp_bias = c.qk_norm = true, c.attention_bias = AttentionBias::all,
       c.dropout = 0.2;
     }},
};

ModelConfig config_of(const Variant& variant) {
  ModelConfig config = tiny_config();
  variant.change(config);
  return config;
}

class ModelVariants : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, ModelVariants, testing::ValuesIn(kVariants),
                         [](const testing::TestParamInfo<Variant>& variant) {
                           return std::string(variant.param.name);
                         });

TEST_P(ModelVariants, GradientsMatchCentralDifferences) {
  TestModel m(config_of(GetParam()), DType::f64, 2, 5);
  const auto errors = parameter_gradient_errors(
      m.model, [&] { return m.loss(); }, [&] { m.train(m.batch(), 1, Grad::overwrite); });
  EXPECT_GT(errors.size(), 10u);
  for (const auto& [name, error] : errors) EXPECT_LT(error, 1e-7) << name;
}

TEST_P(ModelVariants, OneBatchEqualsItsMicroBatches) {
  for (DType dtype : {DType::f64, DType::f32}) {
    TestModel m(config_of(GetParam()), dtype, 5, 6);
    m.train(m.batch(), 0.125, Grad::overwrite);
    const auto whole = TestModel::values(m.grad);
    m.train(m.batch(0, 1), 0.125, Grad::overwrite, Recompute::none, 0);
    m.train(m.batch(1, 3), 0.125, Grad::accumulate, Recompute::none, 1);
    m.train(m.batch(4, 1), 0.125, Grad::accumulate, Recompute::none, 4);
    EXPECT_LE(relative_distance(TestModel::values(m.grad), whole), dtype == DType::f64 ? 1e-12 : 1e-6);
  }
}

TEST_P(ModelVariants, RecomputingChangesNoBit) {
  for (DType dtype : {DType::f64, DType::f32}) {
    TestModel m(config_of(GetParam()), dtype, 3, 7);
    m.train(m.batch(), 1, Grad::overwrite);
    const auto grad = TestModel::values(m.grad), nll = TestModel::values(m.nll);
    EXPECT_GT(largest(grad), 0);
    for (Recompute recompute : {Recompute::norms, Recompute::block}) {
      m.train(m.batch(), 1, Grad::overwrite, recompute);
      EXPECT_EQ(TestModel::values(m.grad), grad);
      EXPECT_EQ(TestModel::values(m.nll), nll);
    }
  }
}

TEST_P(ModelVariants, DecodingEqualsPrefill) {
  ModelConfig config = config_of(GetParam());
  config.dropout = 0;
  for (DType dtype : {DType::f64, DType::f32}) {
    TestModel m(config, dtype, 1, 9, false);
    const auto logits = m.logits();
    for (const bool raw : {false, true})
      for (const std::vector<int64_t>& steps : {std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}, {4, 1, 3, 1}, {9}}) {
        std::vector<Buffer> memory;
        std::vector<KvCache> caches;
        for (const Block& block : m.model.blocks)
          caches.push_back(m.model.add_cache(
              block, m.length, raw, [&](Shape shape) { return memory.emplace_back(Device{}, shape, dtype).view(); }));
        int64_t at = 0;
        for (int64_t count : steps) {
          Batch next = m.batch();
          const auto part = [&](CView v) { return reshape(rows(reshape(v, {v.width(), 1}), at, count), {1, count}); };
          next = {part(next.token), {}, part(next.position), {}};
          Buffer out({}, {1, config.vocab}, dtype);
          m.model.decode(m.workspace->ctx, out, next, caches);
          at += count;
          const std::vector<double> expected(logits.begin() + (at - 1) * config.vocab,
                                             logits.begin() + at * config.vocab);
          EXPECT_LE(largest_difference(TestModel::values(out), expected),
                    (dtype == DType::f64 ? 1e-12 : 1e-5) * largest(logits));
        }
      }
  }
}

TEST_P(ModelVariants, DocumentsDoNotSeeEachOther) {
  ModelConfig config = config_of(GetParam());
  config.dropout = 0;
  TestModel m(config, DType::f32, 1, 12, false);
  for (int64_t t = 7; t < 12; ++t) m.first_key.view().as<int32_t>()[0][t] = 7;
  const auto before = m.logits();
  for (int64_t t = 0; t < 7; ++t) m.token.view().as<int32_t>()[0][t] = static_cast<int32_t>((t * 5 + 1) % config.vocab);
  const auto after = m.logits();
  const auto split = static_cast<size_t>(7 * config.vocab);
  EXPECT_EQ(std::vector<double>(after.begin() + static_cast<ptrdiff_t>(split), after.end()),
            std::vector<double>(before.begin() + static_cast<ptrdiff_t>(split), before.end()));
  EXPECT_NE(after, before);
}

// Positions divided by two are the frequencies of PI, forward and backward; those of log n stay.
TEST(Model, RealPositionsTurn) {
  ModelConfig config = tiny_config();
  config.positions.log_n = LogN::trained;
  TestModel m(config, DType::f64, 3, 6, false);
  config.rope.rule = RopeRule::linear, config.rope.factor = 2;
  TestModel other(config, DType::f64, 3, 6, false);
  other.train(other.batch(), 1, Grad::overwrite);
  const auto whole = [&] { return m.train(m.batch(), 1, Grad::overwrite), TestModel::values(m.grad); }();
  const auto expected = TestModel::values(other.grad);
  Buffer real({}, {3, 6}, DType::f64);
  for (int64_t i = 0; i < 18; ++i) real.view().as<double>().data[i] = static_cast<double>(i % 6) / 2;
  Batch batch = m.batch();
  batch.turned_by = real;
  const std::function<void(Ctx&)> work[] = {
      [&](Ctx& ctx) { m.model.forward_backward(ctx, m.nll, batch, {}, 1, Grad::overwrite, Recompute::none); }};
  m.workspace = std::make_unique<Workspace>(Device{}, measure({}, work));
  m.train(batch, 1, Grad::overwrite);
  EXPECT_LE(relative_distance(TestModel::values(m.grad), expected), 1e-12);
  EXPECT_LE(largest_difference(TestModel::values(m.nll), TestModel::values(other.nll)), 1e-12);
  EXPECT_GT(relative_distance(whole, expected), 1e-3);
}

TEST(Model, RealPositionsHaveNoFarBranch) {
  ModelConfig config = tiny_config();
  config.positions = {.kind = PositionKind::rerope, .window = 3};
  TestModel m(config, DType::f64, 1, 6, false);
  Buffer real({}, {1, 6}, DType::f64);
  Batch batch = m.batch();
  batch.turned_by = real;
  EXPECT_THAT(error_of([&] { m.train(batch, 1, Grad::overwrite); }), testing::HasSubstr("has_far"));
}

TEST(Model, EvaluationEqualsTrainingForward) {
  TestModel m(tiny_config(), DType::f64, 3, 6);
  m.train(m.batch(), 1, Grad::overwrite);
  const auto trained = TestModel::values(m.nll);
  m.model.evaluate(m.workspace->ctx, m.nll, m.batch());
  EXPECT_LE(largest_difference(TestModel::values(m.nll), trained), 1e-12);
}

TEST(Model, FastAndPlainTwinsAgree) {
  TestModel fast(tiny_config(), DType::f32, 3, 16), plain(tiny_config(), DType::f32, 3, 16);
  plain.workspace->ctx.plain = true;
  fast.train(fast.batch(), 1, Grad::overwrite);
  plain.train(plain.batch(), 1, Grad::overwrite);
  const auto expected = TestModel::values(plain.grad);
  EXPECT_LE(largest_difference(TestModel::values(fast.grad), expected), 1e-5 * largest(expected));
}

// The check of gradients is itself checked: a term too much in one place is found.
TEST(ModelSabotage, AWrongGradientIsFound) {
  TestModel m(tiny_config(), DType::f64, 2, 5);
  const auto errors = parameter_gradient_errors(
      m.model, [&] { return m.loss(); },
      [&] {
        m.train(m.batch(), 1, Grad::overwrite);
        const Param& up = m.model.blocks[1].mlp.up.weight;
        up.grad.as<double>()[3][3] *= 1.001;  // of twelve a row: the 39th, which a sanitizer's strides meet too
      });
  int found = 0;
  for (const auto& [name, error] : errors) found += error > 1e-7;
  EXPECT_EQ(found, 1);
}

TEST(Model, NamesAreThoseOfHuggingFace) {
  ModelConfig config = tiny_config();
  config.layers = 1, config.tied = false, config.qk_norm = true, config.attention_bias = AttentionBias::all;
  Model model(config);
  std::vector<std::string> names;
  model.each([&](const Param& p) {
    for (const Param::Part& part : p.parts) names.push_back(part.name);
  });
  const std::string layer = "model.layers.0.", attention = layer + "self_attn.";
  EXPECT_THAT(names,
              testing::UnorderedElementsAre(
                  "model.embed_tokens.weight", layer + "input_layernorm.weight", attention + "q_proj.weight",
                  attention + "k_proj.weight", attention + "v_proj.weight", attention + "q_proj.bias",
                  attention + "k_proj.bias", attention + "v_proj.bias", attention + "q_norm.weight",
                  attention + "k_norm.weight", attention + "o_proj.weight", attention + "o_proj.bias",
                  layer + "post_attention_layernorm.weight", layer + "mlp.gate_proj.weight",
                  layer + "mlp.up_proj.weight", layer + "mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"));
}

TEST(Model, AContradictoryConfigIsAnError) {
  ModelConfig config = tiny_config();
  config.kv_heads = 3;
  EXPECT_THAT(error_of([&] { Model model(config); }), testing::HasSubstr("c.heads % c.kv_heads == 0"));
}

}  // namespace
}  // namespace rw::test
