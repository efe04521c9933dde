// What the tests of frequencies share.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layers/rotary/frequencies.hpp"

namespace rw::test {

using Rule = RopeRule;
using Theta = std::vector<double>;

inline constexpr double kDigits = 1e-9;  // relative: golden values have 9 digits
inline constexpr Rule kByParts[] = {Rule::by_parts, Rule::yarn, Rule::llama3};

inline RopeConfig with(Rule rule, double factor = 1) {
  RopeConfig config;
  config.rule = rule;
  config.factor = factor;
  return config;
}
inline Theta theta(const RopeConfig& config, int64_t head_width, int64_t trained = 512, int64_t length = 0) {
  return rope_frequencies(config, head_width, trained, length).theta;
}
inline double magnitude(const RopeConfig& config, int64_t trained = 512) {
  return rope_frequencies(config, 128, trained, 0).magnitude;
}
inline Theta ratios(const RopeConfig& config, int64_t head_width, int64_t trained = 512, int64_t length = 0) {
  Theta out = theta(config, head_width, trained, length), plain = theta({.base = config.base}, head_width);
  for (size_t c = 0; c < out.size(); ++c) out[c] /= plain.at(c);
  return out;
}
inline void expect_near(const Theta& found, const Theta& golden, const std::string& what) {
  ASSERT_EQ(found.size(), golden.size()) << what;
  for (size_t c = 0; c < golden.size(); ++c)
    EXPECT_NEAR(found[c] / golden[c], 1, kDigits) << what << ", pair " << c << ": " << found[c];
}

}  // namespace rw::test
