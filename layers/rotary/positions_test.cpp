#include "layers/rotary/positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace rw::test {
namespace {

using testing::ElementsAre;
using Kind = PositionKind;

constexpr auto kTraining = Phase::training, kInference = Phase::inference;
constexpr int64_t kTrained = 512, kLayers = 24;

PositionConfig with(Kind kind, int64_t window = 0, double far_step = 0) {
  PositionConfig config;
  config.kind = kind;
  config.window = window;
  config.far_step = far_step;
  return config;
}
PositionConfig resolved(const PositionConfig& config) { return resolve_positions(config, kTrained, kLayers); }
std::vector<double> distances(const PositionConfig& config, Phase phase, int64_t i) {  // r = 0 .. i
  std::vector<double> out;
  for (int64_t j = i; j >= 0; --j) out.push_back(effective_distance(config, phase, i, j));
  return out;
}

TEST(EffectiveDistance, IsTheGoldenOne) {  // spec/positions.md 12.2: w = 3, r = 0 .. 5
  EXPECT_THAT(distances(with(Kind::rope), kInference, 5), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(distances(with(Kind::rerope, 3), kInference, 5), ElementsAre(0, 1, 2, 3, 3, 3));
  EXPECT_THAT(distances(with(Kind::leaky, 3, 0.25), kInference, 5), ElementsAre(0, 1, 2, 3, 3.25, 3.5));
  EXPECT_THAT(distances(with(Kind::inverse_leaky, 3, 4), kTraining, 5), ElementsAre(0, 1, 2, 3, 7, 11));
  EXPECT_THAT(distances(with(Kind::inverse_leaky, 3, 4), kInference, 5), ElementsAre(0, 1, 2, 3, 4, 5));
}

// Σ over pairs (2c, 2c + 1) of the logit of q turned by pq and k turned by pk.
double logit(const std::vector<double>& q, double pq, const std::vector<double>& k, double pk) {
  const std::vector<double> theta = rope_frequencies({}, static_cast<int64_t>(q.size()), 1, 1).theta;
  double sum = 0;
  for (size_t c = 0; c < theta.size(); ++c) {
    const auto turned = [&](const std::vector<double>& x, double p) {
      const double cos = std::cos(p * theta[c]), sin = std::sin(p * theta[c]);
      return std::pair(x[2 * c] * cos - x[2 * c + 1] * sin, x[2 * c] * sin + x[2 * c + 1] * cos);
    };
    const auto [qa, qb] = turned(q, pq);
    const auto [ka, kb] = turned(k, pk);
    sum += qa * ka + qb * kb;
  }
  return sum;
}

TEST(FarPositions, GiveTheGoldenLogits) {  // 12.2: L = 6, d = 4, w = 3, row 5, pairs interleaved
  const auto row = [](const PositionConfig& config, Phase phase) {
    const LayerPositions layer = layer_positions(config, 0, 1, phase);
    std::vector<double> q, out;
    for (int c = 0; c < 4; ++c) q.push_back(std::sin(0.7 * 5 + 1.3 * c + 0.1));
    for (int64_t j = 0; j < 6; ++j) {
      std::vector<double> k;
      for (int c = 0; c < 4; ++c) k.push_back(std::cos(0.5 * static_cast<double>(j) - 0.9 * c + 0.2));
      const bool far = layer.near >= 0 && 5 - j >= layer.near;
      const double pq = !layer.rotated ? 0 : far ? far_query(config, phase, 5) : 5;
      const double pk = !layer.rotated ? 0 : far ? far_key(config, phase, j) : static_cast<double>(j);
      out.push_back(logit(q, pq, k, pk));
    }
    return out;
  };
  const auto expect = [&](const PositionConfig& config, Phase phase, const std::vector<double>& golden) {
    const std::vector<double> found = row(config, phase);
    for (size_t j = 0; j < 6; ++j)
      EXPECT_NEAR(found[j], golden[j], 5.01e-10) << position_kind_name(config.kind) << ' ' << j;
  };
  expect(with(Kind::none), kInference,
         {-1.934167224, -1.729362028, -1.101148694, -0.203335756, 0.744260867, 1.509636472});
  expect(with(Kind::rope), kInference, {-1.678351055, 0.166827656, 1.052883463, 0.270154283, 0.149824503, 1.509636472});
  expect(with(Kind::rerope, 3), kInference,
         {0.515486212, 0.893573860, 1.052883463, 0.270154283, 0.149824503, 1.509636472});
  expect(with(Kind::leaky, 3, 0.25), kInference,
         {0.145481418, 0.818801524, 1.052883463, 0.270154283, 0.149824503, 1.509636472});
  expect(with(Kind::inverse_leaky, 3, 4), kTraining,
         {-1.363854599, -1.226661520, 1.052883463, 0.270154283, 0.149824503, 1.509636472});
  expect(with(Kind::inverse_leaky, 3, 4), kInference, row(with(Kind::rope), kInference));
}

TEST(EffectiveDistance, FollowsTheFormulas) {  // 3.1 to 3.3
  for (int64_t w : {1, 3, 16, 100})
    for (double g : {0.0, 1.0 / 16, 0.25, 0.9})
      for (int64_t i : {0, 1, 15, 16, 17, 99, 250}) {
        const std::vector<double> rerope = distances(with(Kind::rerope, w), kInference, i);
        const std::vector<double> leaky = distances(with(Kind::leaky, w, g), kInference, i);
        const std::vector<double> inverse = distances(with(Kind::inverse_leaky, w, 16), kTraining, i);
        for (size_t r = 0; r < leaky.size(); ++r) {
          const double distance = static_cast<double>(r), window = static_cast<double>(w);
          const bool near = distance < window;
          EXPECT_EQ(rerope[r], std::min(distance, window));
          EXPECT_NEAR(leaky[r], near ? distance : window + g * (distance - window), 1e-12);
          EXPECT_EQ(inverse[r], near ? distance : window + 16 * (distance - window));
          if (r > 0 && g > 0) {
            EXPECT_GT(leaky[r], leaky[r - 1]);
          }
        }
        EXPECT_EQ(distances(with(Kind::leaky, w, 0), kInference, i), rerope);
      }
}

TEST(EffectiveDistance, IsContinuousAndPlainWhereItShouldBe) {
  const std::vector<double> plain = distances(with(Kind::rope), kInference, 60);
  PositionConfig extend = with(Kind::self_extend, 8);
  extend.group = 1;
  EXPECT_EQ(distances(with(Kind::inverse_leaky, 8, 1), kTraining, 60), plain);  // g = 1
  EXPECT_EQ(distances(with(Kind::leaky, 8, 1), kInference, 60), plain);
  EXPECT_EQ(distances(extend, kInference, 60), plain);  // G = 1
  extend.group = 4, extend.window = 61;
  EXPECT_EQ(distances(extend, kInference, 60), plain);  // w ≥ L
  EXPECT_EQ(distances(with(Kind::rerope, 61), kInference, 60), plain);
  EXPECT_EQ(distances(with(Kind::leaky, 61, 0.5), kInference, 60), plain);
  EXPECT_EQ(distances(with(Kind::inverse_leaky, 61, 16), kTraining, 60), plain);
  for (const PositionConfig& config : {with(Kind::rerope, 8), with(Kind::leaky, 8, 0.25)})  // p(w) = w in both branches
    EXPECT_EQ(far_query(config, kInference, 20) - far_key(config, kInference, 12), 8);
  const PositionConfig inverse = with(Kind::inverse_leaky, 8, 16);
  EXPECT_EQ(far_query(inverse, kTraining, 20) - far_key(inverse, kTraining, 12), 8);
}

TEST(EffectiveDistance, OfInverseLeakyCoversTheLongerTexts) {  // 3.3: N = 512, w = 128, g = 16
  const PositionConfig config = resolved(with(Kind::inverse_leaky));
  EXPECT_EQ(config.window, 128);
  EXPECT_EQ(config.far_step, 16);
  const std::vector<double> trained = distances(config, kTraining, 511);
  EXPECT_EQ(trained[127], 127);
  EXPECT_EQ(trained[128], 128);
  EXPECT_EQ(trained[129], 144);
  EXPECT_EQ(trained[130], 160);
  EXPECT_EQ(trained[511], 6256);
  EXPECT_EQ(effective_distance(config, kInference, 4095, 0), 4095);
  EXPECT_EQ(far_query(config, kTraining, 200), 16 * 200 - 15 * 128);
  EXPECT_EQ(far_key(config, kTraining, 3), 48);
}

TEST(EffectiveDistance, OfLeakyHasThePublishedReach) {  // 9.3: p_max at 4096
  const struct {
    int64_t window;
    double k, reach;
  } rows[] = {{128, 64, 190.0}, {128, 32, 252.0}, {128, 16, 375.9}, {128, 8, 623.9},
              {256, 64, 316.0}, {256, 32, 376.0}, {256, 16, 495.9}, {256, 8, 735.9}};
  for (const auto& [window, k, reach] : rows)
    EXPECT_NEAR(effective_distance(with(Kind::leaky, window, 1 / k), kInference, 4095, 0), reach, 0.0501) << k;
}

TEST(EffectiveDistance, OfSelfExtendIsWhole) {  // 3.4
  PositionConfig config = with(Kind::self_extend, 8);
  config.group = 4;
  EXPECT_EQ(effective_distance(config, kInference, 20, 11), 9);
  EXPECT_EQ(effective_distance(config, kInference, 21, 12), 8);  // not a function of r alone
  for (int64_t w : {1, 5, 8, 30})
    for (int64_t group : {1, 3, 4, 8}) {
      config.window = w, config.group = group;
      for (int64_t i = 0; i < 120; ++i)
        for (int64_t j = 0; j <= i; ++j) {
          const double p = effective_distance(config, kInference, i, j);
          const double leaky =
              effective_distance(with(Kind::leaky, w, 1.0 / static_cast<double>(group)), kInference, i, j);
          ASSERT_EQ(p, std::floor(p));
          ASSERT_LT(std::abs(p - leaky), 2) << w << ' ' << group << ' ' << i << ' ' << j;
          if (i - j < w) {
            ASSERT_EQ(p, i - j);
          } else {
            ASSERT_EQ(p, i / group - j / group + w - w / group);
            ASSERT_LE(p, w + (i + 1 - w + group - 1) / group);
          }
        }
    }
}

TEST(EffectiveDistance, OfLambdaAndStreamingStaysTrained) {  // 4.2, 4.3, 13.23, 13.24
  PositionConfig lambda = resolved(with(Kind::lambda, 16)), streaming = resolved(with(Kind::streaming, 16));
  lambda.reach = 20;
  for (int64_t i = 0; i < 100; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double r = static_cast<double>(i - j);
      EXPECT_EQ(effective_distance(lambda, kInference, i, j),
                r < 16 ? r : std::min<double>(20, static_cast<double>(i)));
    }
    // Streaming against slots of a cache that keeps 4 sinks and the last 16, the query among them.
    std::vector<int64_t> cache;
    for (int64_t j = 0; j <= i; ++j)
      if (j < 4 || i - j < 16) cache.push_back(j);
    for (size_t slot = 0; slot < cache.size(); ++slot)
      EXPECT_EQ(effective_distance(streaming, kInference, i, cache[slot]), static_cast<double>(cache.size() - 1 - slot))
          << i << ' ' << cache[slot];
  }
}

}  // namespace
}  // namespace rw::test
