#include "layers/rotary/frequencies.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/rotary/frequencies_test.hpp"
#include "tests/support/error.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
TEST(RopeFrequencies, AreTheGoldenOnes) {  // spec/positions.md 12.1: d = 8, base 10000, s = 8, N = 512
  RopeConfig rotations = with(Rule::by_parts, 8), e75 = with(Rule::ntk_mixed, 8);
  rotations.ramp = RopeRamp::rotations;
  e75.exponent = 0.75;
  const struct {
    const char* name;
    RopeConfig config;
    Theta golden;
  } rows[] = {
      {"rope", {}, {1, 0.1, 0.01, 0.001}},
      {"pi", with(Rule::linear, 8), {0.125, 0.0125, 0.00125, 0.000125}},
      {"ntk_old", with(Rule::ntk_old, 8), {1, 0.0594603558, 0.00353553391, 0.000210224104}},
      {"ntk_aware", with(Rule::ntk_aware, 8), {1, 0.05, 0.0025, 0.000125}},
      {"ntk_fixed", with(Rule::ntk_fixed, 8), {0.594603558, 0.0353553391, 0.00210224104, 0.000125}},
      {"ntk_mixed", with(Rule::ntk_mixed, 8), {0.417154981, 0.0259668095, 0.00176005376, 0.000125}},
      {"ntk_mixed 0.75", e75, {0.479412632, 0.0290415292, 0.00187143605, 0.000125}},
      {"by_parts", rotations, {1, 0.0326778756, 0.00125, 0.000125}},
      {"yarn", with(Rule::yarn, 8), {1, 0.05625, 0.00125, 0.000125}},
      {"by_parts index", with(Rule::by_parts, 8), {1, 0.05625, 0.00125, 0.000125}},
  };
  for (const auto& row : rows) {
    Theta rounded = theta(row.config, 8);
    for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(rounded[c] / row.golden[c], 1, 3e-9) << row.name << ' ' << c;
  }
}

TEST(RopeFrequencies, HaveTheGoldenRatiosToPlainOnes) {  // 12.1, 2.5, 2.6: d = 128, s = 8, pairs 0, 32, 63
  const struct {
    Rule rule;
    double first, middle, last;
  } rows[] = {{Rule::ntk_old, 1, 0.353553, 0.129128},
              {Rule::ntk_aware, 1, 0.347766, 0.125},
              {Rule::ntk_fixed, 0.968031, 0.342251, 0.125},
              {Rule::ntk_mixed, 0.856796, 0.252957, 0.125},
              {Rule::by_parts, 1, 0.125, 0.125},
              {Rule::yarn, 1, 0.125, 0.125}};
  for (const auto& row : rows) {
    const Theta ratio = ratios(with(row.rule, 8), 128);
    EXPECT_NEAR(ratio[0], row.first, 5e-7) << rope_rule_name(row.rule);
    EXPECT_NEAR(ratio[32], row.middle, 5e-7) << rope_rule_name(row.rule);
    EXPECT_NEAR(ratio[63], row.last, 5e-7) << rope_rule_name(row.rule);
  }
  const Theta plain = theta({}, 128);
  const auto rotations = [&](size_t c) { return 512 * plain.at(c) / (2 * M_PI); };
  EXPECT_NEAR(rotations(0), 81.487, 5e-4);
  EXPECT_NEAR(rotations(6), 34.363, 5e-4);
  EXPECT_NEAR(rotations(7), 29.757, 5e-4);
  EXPECT_NEAR(rotations(20), 4.582, 5e-4);
  EXPECT_NEAR(rotations(30), 1.0867, 5e-5);
  EXPECT_NEAR(rotations(31), 0.9410, 5e-5);
  EXPECT_NEAR(rotations(63), 0.00941, 5e-6);
}

TEST(RopeFrequencies, AnotherBaseIsAnotherPlainRule) {
  EXPECT_EQ(theta(with(Rule::ntk_old, 8), 128), theta({.base = 80000}, 128));  // 2.3
  expect_near(theta(with(Rule::ntk_aware, 8), 128), theta({.base = 82684.6226}, 128), "12.1");
  EXPECT_NEAR(theta(with(Rule::ntk_aware, 8), 8)[1], std::pow(160000, -0.25), 1e-15);
  EXPECT_THAT(theta({.base = 5e5}, 2), ElementsAre(1));
}

TEST(RopeFrequencies, FactorOneIsPlainToTheLastBit) {
  for (int64_t d : {4, 8, 128}) {
    const Theta plain = theta({}, d);
    for (int i = 0; i <= static_cast<int>(Rule::proportional); ++i) {
      const Rule rule = static_cast<Rule>(i);
      if (rule == Rule::longrope) continue;
      EXPECT_EQ(theta(with(rule), d), plain) << rope_rule_name(rule);
      EXPECT_EQ(rope_frequencies(with(rule), d, 512, 0).magnitude, 1) << rope_rule_name(rule);
    }
  }
}

TEST(RopeFrequencies, OfNtkMeetThoseOfLinearAtTheLowEnd) {  // 2.3 to 2.6, (5)
  for (int64_t d : {8, 64, 128})
    for (double s : {2.0, 8.0, 12.5}) {
      const size_t last = static_cast<size_t>(d / 2 - 1);
      for (Rule rule : {Rule::ntk_aware, Rule::ntk_fixed, Rule::ntk_mixed})
        EXPECT_NEAR(ratios(with(rule, s), d)[last] * s, 1, 1e-12) << rope_rule_name(rule);
      const double old = std::pow(s, -static_cast<double>(d - 2) / static_cast<double>(d));
      EXPECT_NEAR(ratios(with(Rule::ntk_old, s), d)[last] / old, 1, 1e-12);
      EXPECT_EQ(theta(with(Rule::ntk_old, s), d)[0], 1);
      EXPECT_EQ(theta(with(Rule::ntk_aware, s), d)[0], 1);
      EXPECT_NEAR(theta(with(Rule::ntk_fixed, s), d)[0], std::pow(s, -2 / static_cast<double>(d)), 1e-15);
      RopeConfig mixed = with(Rule::ntk_mixed, s);
      mixed.exponent = 1;
      expect_near(theta(mixed, d), theta(with(Rule::ntk_fixed, s), d), "exponent 1");
      mixed.exponent = 0;
      expect_near(theta(mixed, d), theta(with(Rule::linear, s), d), "exponent 0");
      for (double e : {0.0, 0.3, 0.625, 1.0}) {
        mixed.exponent = e;
        const Theta ratio = ratios(mixed, d);
        for (size_t c = 1; c <= last; ++c) {
          EXPECT_LE(ratio[c], ratio[c - 1] * (1 + 1e-14)) << e << ' ' << c;
          if (c == 1) continue;  // the factors of the digits' radix fall
          EXPECT_LE(ratio[c - 1] / ratio[c], ratio[c - 2] / ratio[c - 1] * (1 + 1e-13)) << e << ' ' << c;
        }
      }
    }
}

TEST(RopeFrequencies, OfDynamicFollowTheLength) {        // 2.7: d = 128, base 10000, N = 2048
  const auto base = [](double factor, int64_t length) {  // from θ[63] = base^(-126/128)
    return std::pow(theta(with(Rule::dynamic, factor), 128, 2048, length)[63], -128.0 / 126);
  };
  EXPECT_NEAR(base(1, 4096), 20221.26, 5e-3);
  EXPECT_NEAR(base(2, 4096), 30527.74, 5e-3);
  EXPECT_NEAR(base(1, 8192), 40889.94, 5e-3);
  EXPECT_NEAR(base(2, 8192), 72195.86, 5e-3);
  for (int64_t length : {0, 1, 2047, 2048})
    EXPECT_EQ(theta(with(Rule::dynamic, 4), 128, 2048, length), theta({}, 128)) << length;
  EXPECT_EQ(theta(with(Rule::dynamic, 1), 128, 2048, 8192), theta(with(Rule::ntk_aware, 4), 128));
  double below = 10000;
  for (int64_t length = 2049; length < 9000; length += 500) {
    EXPECT_GT(base(2, length), below);
    below = base(2, length);
  }
}

TEST(RopeFrequencies, OfLongropeSwitchLists) {  // section 11
  RopeConfig config = with(Rule::longrope, 16);
  config.short_factor = {1, 1.5, 2, 4};
  config.long_factor = {1, 3, 8, 20};
  for (int64_t length : {0, 1, 512})
    expect_near(theta(config, 8, 512, length), {1, 0.1 / 1.5, 0.005, 0.00025}, "short");
  for (int64_t length : {513, 4096}) expect_near(theta(config, 8, 512, length), {1, 0.1 / 3, 0.00125, 0.00005}, "long");
  EXPECT_NEAR(rope_frequencies(config, 8, 512, 0).magnitude, std::sqrt(1 + std::log(16) / std::log(512)), 1e-15);
  config.factor = 1;
  EXPECT_EQ(rope_frequencies(config, 8, 512, 0).magnitude, 1);
  config.attention_factor = 1.19;
  EXPECT_EQ(rope_frequencies(config, 8, 512, 0).magnitude, 1.19);
}

TEST(RopeFrequencies, OfAShareOfTheHead) {  // 7.2
  RopeConfig partial, proportional = with(Rule::proportional);
  partial.share = proportional.share = 0.5;
  EXPECT_EQ(rotated_width(partial, 16), 8);
  EXPECT_EQ(rotated_width(proportional, 16), 16);
  EXPECT_EQ(theta(partial, 16), theta({}, 8));
  Theta half = theta({}, 16);
  std::fill(half.begin() + 4, half.end(), 0);
  EXPECT_EQ(theta(proportional, 16), half);
  EXPECT_NE(theta(partial, 16)[1], theta(proportional, 16)[1]);  // two different meanings of one share
  proportional.factor = 4;
  for (double& t : half) t /= 4;
  EXPECT_EQ(theta(proportional, 16), half);
  partial.rule = Rule::yarn;
  partial.factor = 8;
  EXPECT_EQ(theta(partial, 16), theta(with(Rule::yarn, 8), 8));
  partial.share = 0.3;  // 4.8 coordinates
  EXPECT_EQ(rotated_width(partial, 16), 4);
  proportional.factor = 1;
  proportional.share = 1;
  EXPECT_EQ(theta(proportional, 16), theta({}, 16));
}

TEST(RopeTable, HoldsCosinesAndSinesRoundedOnce) {
  const Frequencies frequencies = rope_frequencies(with(Rule::yarn, 8), 10, 512, 0);
  std::vector<double> position;  // whole, fractional, negative, far
  for (int r = 0; r < 290; ++r) position.push_back(r);
  for (double p : {3.25, 0.5, -120.0, -7.75, 6256.0, 1e6, 16777217.0}) position.push_back(p);
  const int64_t rows = static_cast<int64_t>(position.size());
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensor cos({rows, 5}, dtype, 3), sin({rows, 5}, dtype, 3);
    rope_table(cos, sin, frequencies, position);
    const std::vector<double> found_cos = cos.values(), found_sin = sin.values();
    for (size_t r = 0; r < position.size(); ++r)
      for (size_t c = 0; c < 5; ++c) {
        const double angle = position[r] * frequencies.theta[c];
        const auto rounded = [&](double v) { return dtype == DType::f64 ? v : double{static_cast<float>(v)}; };
        ASSERT_EQ(found_cos[r * 5 + c], rounded(frequencies.magnitude * std::cos(angle)));
        ASSERT_EQ(found_sin[r * 5 + c], rounded(frequencies.magnitude * std::sin(angle)));
      }
    EXPECT_TRUE(cos.sentinels_intact() && sin.sentinels_intact());
  }
}

TEST(RopeTable, OfDividedPositionsIsTheOneOfDividedFrequencies) {  // the two forms of PI, 2.2
  const Tensor cos({100, 4}, DType::f64), sin({100, 4}, DType::f64), cos_s({100, 4}, DType::f64),
      sin_s({100, 4}, DType::f64);
  std::vector<double> position, divided;
  for (int r = 0; r < 100; ++r) position.push_back(41 * r), divided.push_back(41 * r / 8.0);
  rope_table(cos, sin, rope_frequencies({}, 8, 512, 0), divided);
  rope_table(cos_s, sin_s, rope_frequencies(with(Rule::linear, 8), 8, 512, 0), position);
  for (size_t i = 0; i < 400; ++i) {
    EXPECT_NEAR(cos.values()[i], cos_s.values()[i], 1e-13);
    EXPECT_NEAR(sin.values()[i], sin_s.values()[i], 1e-13);
  }
}

TEST(RopeTable, ErrorsNameWhatIsWrong) {
  const Tensor a({3, 2}, DType::f32), b({3, 2}, DType::f32), narrow({3, 1}, DType::f32), f64({3, 2}, DType::f64);
  const Tensor empty({0, 2}, DType::f32), i32({3, 2}, DType::i32), far({3, 2}, {DType::f32, {Device::cuda, 0}});
  const Tensor long_cos({4, 2}, DType::f32);
  const std::vector<double> position = {0, 1, 2};
  const auto error = [&](View cos, View sin) {
    return error_of([&] { rope_table(cos, sin, {{1, 0.5}, 1}, position); });
  };
  EXPECT_EQ(error(a, b), "");
  EXPECT_THAT(error(narrow, narrow), HasSubstr("rope_table: expected cos.rows() > 0"));
  EXPECT_THAT(error(empty, empty), HasSubstr("got cos = f32 [0, 2]"));
  EXPECT_THAT(error(long_cos, long_cos), HasSubstr("position.size()), got cos = f32 [4, 2]"));
  EXPECT_THAT(error(a, narrow), HasSubstr("expected sin.shape == cos.shape, got sin = f32 [3, 1], cos = f32 [3, 2]"));
  EXPECT_THAT(error(i32, i32), HasSubstr("expected cos.dtype == DType::f64 || cos.dtype == DType::f32"));
  EXPECT_THAT(error(a, f64), HasSubstr("expected sin.dtype == cos.dtype, got sin = f64 [3, 2], cos = f32 [3, 2]"));
  EXPECT_THAT(error(a, far), HasSubstr("sin = f32 [3, 2] on cuda"));
  EXPECT_THAT(error(a, a), HasSubstr("expected disjoint(cos, sin)"));
}

}  // namespace
}  // namespace rw::test
