// Every position system in a whole attention layer, against a dense program that turns each pair of query and key by
// its own distance (spec/positions.md 1.5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/model.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {
namespace {

constexpr auto kEveryKind = {PositionKind::rope,   PositionKind::rerope,   PositionKind::leaky,
                             PositionKind::window, PositionKind::lambda,   PositionKind::inverse_leaky,
                             PositionKind::hwfa,   PositionKind::hwfa2,    PositionKind::self_extend,
                             PositionKind::none,   PositionKind::streaming};

struct Trial {
  ModelConfig config;
  Phase phase;
  int64_t length;
};

std::ostream& operator<<(std::ostream& out, const Trial& t) {
  const PositionConfig& p = t.config.positions;
  return out << position_kind_name(p.kind) << ' ' << rope_rule_name(t.config.rope.rule) << " T " << t.length << " w "
             << p.window << " g " << p.far_step << " phase " << static_cast<int>(t.phase) << " log n "
             << static_cast<int>(p.log_n) << " key norm " << static_cast<int>(t.config.key_norm) << " share "
             << t.config.rope.share;
}

// One of many, the same for the same seed.
Trial random_trial(PositionKind kind, unsigned seed) {
  std::mt19937 random(seed * 31 + static_cast<unsigned>(kind));
  const auto up_to = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  ModelConfig c = tiny_config();
  c.layers = 3, c.head_width = 8, c.heads = 4, c.kv_heads = random() % 2 ? 2 : 4, c.width = 24;
  c.context = 64, c.trained_context = 24;
  c.rope_layout = random() % 2 ? RopeLayout::half : RopeLayout::interleaved;
  const int64_t length = 2 + up_to(70);
  PositionConfig& p = c.positions;
  p.kind = kind;
  if (kind != PositionKind::rope && kind != PositionKind::none) p.window = 2 + up_to(length);
  if (kind == PositionKind::leaky) p.far_step = static_cast<double>(up_to(16)) / 16;
  if (kind == PositionKind::inverse_leaky) p.far_step = static_cast<double>(1 + up_to(16));
  if (kind == PositionKind::self_extend) p.group = 1 + up_to(9);
  if (kind == PositionKind::lambda || kind == PositionKind::streaming) p.sinks = random() % 4 ? 1 + up_to(9) : -1;
  if (kind == PositionKind::hwfa2) p.full_layers = 1 + up_to(3), p.full_window = up_to(9);
  if (random() % 2) p.log_n = random() % 2 ? LogN::trained : LogN::beyond;
  if (random() % 3 == 0 && is_rotary(kind)) {
    c.rope.rule = RopeRule::yarn, c.rope.factor = 4, c.rope.beta_fast = 3, c.rope.beta_slow = 0.5, c.rope.base = 500;
  } else if (random() % 3 == 0 && is_rotary(kind)) {
    c.rope.share = 0.5;
  }
  if (random() % 4 == 0) c.key_norm = static_cast<KeyNorm>(up_to(4));
  return {c, random() % 2 ? Phase::training : Phase::inference, length};
}

bool is_visible(const PositionConfig& p, const LayerPositions& layer, int64_t i, int64_t j) {
  if (layer.window == 0) return true;
  return i - j < p.window || j < std::max<int64_t>(p.sinks, 0);
}

// The layer's output, all in f64 and from the definition.
std::vector<double> dense(const TestModel& m, const SelfAttention& attention, const std::vector<double>& x,
                          int64_t layer_index, Phase phase) {
  const ModelConfig& c = m.model.config;
  const PositionConfig p = resolve_positions(c.positions, c.trained(), c.layers);
  const LayerPositions layer = layer_positions(p, layer_index, c.layers, phase);
  const int64_t length = m.length, d = c.head_width, of_q = c.heads * d, of_k = c.kv_heads * d;
  const Frequencies f =
      c.rotary() ? rope_frequencies(c.rope, d, c.trained(), std::max(length, c.context)) : Frequencies{};
  const auto w_qkv = TestModel::values(attention.qkv.weight.value),
             w_out = TestModel::values(attention.out.weight.value);
  const auto dot_row = [&](const std::vector<double>& w, int64_t row, const double* v, int64_t n) {
    double sum = 0;
    for (int64_t k = 0; k < n; ++k) sum += w[static_cast<size_t>(row * n + k)] * v[k];
    return sum;
  };
  std::vector<double> y;
  for (int64_t b = 0; b < m.rows; ++b) {
    const auto projected = [&](int64_t i, int64_t column) {
      return dot_row(w_qkv, column, &x[static_cast<size_t>((b * length + i) * c.width)], c.width);
    };
    const auto head = [&](int64_t i, int64_t first, bool unit) {
      std::vector<double> v;
      double square = 0;
      for (int64_t k = 0; k < d; ++k) v.push_back(projected(i, first + k)), square += v.back() * v.back();
      if (unit)
        for (double& e : v) e /= std::sqrt(square);
      return v;
    };
    const bool unit_q = c.key_norm == KeyNorm::query || c.key_norm == KeyNorm::cosine,
               unit_k = c.key_norm == KeyNorm::key || c.key_norm == KeyNorm::cosine;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t first = m.first_key.view().as<int32_t>()[b][i], place = i - first;
      std::vector<double> joined;
      for (int64_t h = 0; h < c.heads; ++h) {
        const int64_t g = h / (c.heads / c.kv_heads);
        const auto q = head(i, h * d, unit_q);
        std::vector<double> score;
        for (int64_t j = first; j <= i; ++j) {
          if (!is_visible(p, layer, place, j - first)) continue;
          const auto k = head(j, of_q + g * d, unit_k);
          double distance = static_cast<double>(i - j);
          if (layer.near >= 0) distance = effective_distance(p, phase, place, j - first);
          double sum = 0;
          const auto pairs = layer.rotated ? static_cast<int64_t>(f.theta.size()) : 0;
          for (int64_t e = 0; e < pairs; ++e) {  // q^T R(-p) k
            const bool half = c.rope_layout == RopeLayout::half;
            const auto a = static_cast<size_t>(half ? e : 2 * e), z = static_cast<size_t>(half ? e + pairs : 2 * e + 1);
            const double angle = -distance * f.theta[static_cast<size_t>(e)];
            sum += f.magnitude * f.magnitude *
                   (q[a] * (k[a] * std::cos(angle) - k[z] * std::sin(angle)) +
                    q[z] * (k[a] * std::sin(angle) + k[z] * std::cos(angle)));
          }
          for (auto e = static_cast<size_t>(2 * pairs); e < q.size(); ++e) sum += q[e] * k[e];
          const double log_n =
              static_cast<double>(layer.scaled && p.log_n == LogN::trained ? c.trained() : c.trained() / 2);
          sum *= c.key_norm == KeyNorm::cosine ? 4 * std::log(log_n)
                 : c.key_norm == KeyNorm::none ? 1 / std::sqrt(static_cast<double>(d))
                                               : 1;
          score.push_back(sum * (layer.scaled ? query_factor(p, c.trained(), place) : 1));
        }
        double total = 0;
        const double top = *std::ranges::max_element(score);
        for (double& s : score) total += s = std::exp(s - top);
        std::vector<double> out(static_cast<size_t>(d));
        size_t at = 0;
        for (int64_t j = first; j <= i; ++j) {
          if (!is_visible(p, layer, place, j - first)) continue;
          const double share = score[at++] / total;
          for (int64_t k = 0; k < d; ++k) out[static_cast<size_t>(k)] += share * projected(j, of_q + of_k + g * d + k);
        }
        joined.insert(joined.end(), out.begin(), out.end());
      }
      for (int64_t row = 0; row < c.width; ++row) y.push_back(dot_row(w_out, row, joined.data(), of_q));
    }
  }
  return y;
}

std::vector<double> layer_output(TestModel& m, const std::vector<double>& x, int64_t layer, Phase phase) {
  const DType dtype = m.value.view().dtype;
  const SelfAttention& attention = m.model.blocks[static_cast<size_t>(layer)].attention;
  Tensor in({m.rows, m.length, m.model.config.width}, dtype), out(in.view().shape, dtype);
  in.fill(x);
  Ctx& ctx = m.workspace->ctx;
  const ArenaScope saved(ctx.saved), scratch(ctx.scratch);
  Batch batch = m.batch();
  count_positions(m.position, m.first_key);
  SelfAttention::Saved of_layer;
  attention.forward(ctx, out, in, m.model.of_layer(m.model.sequence(ctx, batch), layer, phase), of_layer);
  return out.values();
}

TEST(PositionSystems, EqualTheDenseForm) {
  double worst_f64 = 0, worst_f32 = 0;
  for (const PositionKind kind : kEveryKind)
    for (unsigned seed = 0; seed < 4; ++seed) {
      const Trial trial = random_trial(kind, seed);
      for (const DType dtype : {DType::f64, DType::f32}) {
        TestModel m(trial.config, dtype, 2, trial.length, seed % 2 == 0);
        const auto x = normal(static_cast<size_t>(2 * trial.length * trial.config.width), seed);
        for (int64_t layer = 0; layer < trial.config.layers; ++layer) {
          const auto y = layer_output(m, x, layer, trial.phase);
          const auto truth = dense(m, m.model.blocks[static_cast<size_t>(layer)].attention, x, layer, trial.phase);
          const double error = largest_difference(y, truth) / largest(truth);
          EXPECT_LT(error, dtype == DType::f64 ? 1e-12 : 2e-5) << trial << " layer " << layer << ' ' << dtype;
          double& worst = dtype == DType::f64 ? worst_f64 : worst_f32;
          worst = std::max(worst, error);
        }
      }
    }
  std::printf("largest error: f64 %.1e, f32 %.1e\n", worst_f64, worst_f32);
}

TestModel model_of(const PositionConfig& positions, int64_t length, DType dtype = DType::f32) {
  ModelConfig c = tiny_config();
  c.positions = positions, c.trained_context = 32;
  return TestModel(c, dtype, 1, length, false);
}

TEST(PositionSystems, InverseLeakyIsPlainRopeInUse) {
  TestModel plain = model_of({}, 60),
            inverse = model_of({.kind = PositionKind::inverse_leaky, .window = 5, .far_step = 16}, 60);
  EXPECT_EQ(inverse.logits(), plain.logits());  // to the bit
  inverse.train(inverse.batch(), 1, Grad::overwrite), plain.train(plain.batch(), 1, Grad::overwrite);
  EXPECT_GT(largest_difference(TestModel::values(inverse.nll), TestModel::values(plain.nll)), 1e-3);
}

TEST(PositionSystems, WhatHasNoEffectHasNone) {
  const auto difference = [](const PositionConfig& positions, int64_t length) {
    TestModel plain = model_of({}, length, DType::f64), other = model_of(positions, length, DType::f64);
    plain.train(plain.batch(), 1, Grad::overwrite), other.train(other.batch(), 1, Grad::overwrite);
    return std::max(largest_difference(plain.logits(), other.logits()) / largest(plain.logits()),
                    largest_difference(TestModel::values(plain.grad), TestModel::values(other.grad)) /
                        largest(TestModel::values(plain.grad)));
  };
  using enum PositionKind;
  for (const PositionConfig& same : {PositionConfig{.kind = rerope, .window = 40},
                                     {.kind = leaky, .window = 40, .far_step = 0.25},
                                     {.kind = inverse_leaky, .window = 4, .far_step = 1},
                                     {.kind = self_extend, .window = 4, .group = 1},
                                     {.kind = window, .window = 40},
                                     {.kind = lambda, .window = 40},
                                     {.kind = streaming, .window = 36, .sinks = 4},
                                     {.kind = rope, .log_n = LogN::beyond}})
    EXPECT_LT(difference(same, same.log_n == LogN::beyond ? 31 : 40), 1e-11) << position_kind_name(same.kind);
  for (const PositionConfig& other : {PositionConfig{.kind = rerope, .window = 20},
                                      {.kind = leaky, .window = 20, .far_step = 0.25},
                                      {.kind = inverse_leaky, .window = 4, .far_step = 2},
                                      {.kind = self_extend, .window = 4, .group = 2},
                                      {.kind = window, .window = 20},
                                      {.kind = lambda, .window = 20, .sinks = 2},
                                      {.kind = streaming, .window = 20, .sinks = 4},
                                      {.kind = rope, .log_n = LogN::beyond},
                                      {.kind = rope, .log_n = LogN::trained}})
    EXPECT_GT(difference(other, 40), 1e-5) << position_kind_name(other.kind);
}

// ReRoPE: far keys may be permuted, together with their values.
TEST(PositionSystems, FarKeysOfReropeHaveNoOrder) {
  TestModel m = model_of({.kind = PositionKind::rerope, .window = 5}, 40, DType::f64);
  const int64_t width = m.model.config.width;
  auto x = normal(static_cast<size_t>(40 * width), 3);
  const auto before = layer_output(m, x, 0, Phase::inference);
  for (int64_t c = 0; c < width; ++c)
    std::swap(x[static_cast<size_t>(3 * width + c)], x[static_cast<size_t>(20 * width + c)]);
  const auto after = layer_output(m, x, 0, Phase::inference);
  const auto last = [&](const std::vector<double>& v) { return std::vector(v.end() - 10 * width, v.end()); };
  EXPECT_LT(largest_difference(last(before), last(after)), 1e-13);
  EXPECT_GT(largest_difference(before, after), 1e-3);
}

// Dynamic scaling: one angle for all keys of a text, so rotated keys cannot stay in a cache; raw ones can.
TEST(PositionSystems, DynamicScalingWantsRawKeys) {
  ModelConfig c = tiny_config();
  c.rope.rule = RopeRule::dynamic, c.rope.factor = 2, c.trained_context = 8;
  for (const bool raw : {false, true}) {
    TestModel m(c, DType::f64, 1, 16, false);
    std::vector<Buffer> memory;
    std::vector<KvCache> caches;
    for (const Block& block : m.model.blocks)
      caches.push_back(m.model.add_cache(
          block, 16, raw, [&](Shape shape) { return memory.emplace_back(Device{}, shape, DType::f64).view(); }));
    Buffer out({}, {1, c.vocab}, DType::f64);
    const auto decode = [&](int64_t at, int64_t length) {
      m.model.change_positions(c), m.model.prepare_positions({}, DType::f64, length);
      const auto part = [&](CView v) { return reshape(rows(reshape(v, {16, 1}), at, 1), {1, 1}); };
      m.model.decode(m.workspace->ctx, out, {part(m.token), {}, part(m.position), {}}, caches);
    };
    decode(0, 8), decode(1, 8);
    if (raw)
      EXPECT_NO_THROW(decode(2, 16));
    else
      EXPECT_THAT([&] { decode(2, 16); }, testing::ThrowsMessage<Error>(testing::HasSubstr("cache.prepared")));
  }
}

}  // namespace
}  // namespace rw::test
