#include "layers/rotary/ramp.hpp"

#include "layers/rotary/frequencies_test.hpp"

namespace rw::test {
namespace {

// The last pair that is left as it is, and the first that is divided by the factor.
std::pair<size_t, size_t> range(const RopeConfig& config, int64_t d, int64_t trained) {
  const Theta found = theta(config, d, trained), plain = theta({.base = config.base}, d);
  size_t low = 0, high = 0;
  while (low + 1 < found.size() && found[low + 1] == plain[low + 1]) ++low;
  while (found[high] != plain[high] / config.factor) ++high;
  return {low, high};
}

TEST(RopeFrequenciesByParts, AreBlendedBetweenTwoPairs) {  // 2.9
  const struct {
    int64_t d, trained;
    double base;
    size_t low, high;
  } rows[] = {{128, 2048, 1e4, 16, 41}, {128, 4096, 1e4, 20, 46}, {128, 512, 1e4, 6, 31},
              {64, 512, 1e4, 3, 16},    {64, 2048, 1e4, 8, 21},   {128, 8192, 5e5, 18, 35}};
  for (const auto& row : rows)
    for (Rule rule : {Rule::by_parts, Rule::yarn}) {
      RopeConfig config = with(rule, 8);
      config.base = row.base;
      EXPECT_EQ(range(config, row.d, row.trained), std::pair(row.low, row.high)) << row.d << ' ' << row.trained;
      const Theta found = theta(config, row.d, row.trained), plain = theta({.base = row.base}, row.d);
      for (size_t c = row.low; c <= row.high; ++c) {  // linear in the pair's index
        const double ramp = static_cast<double>(c - row.low) / static_cast<double>(row.high - row.low);
        EXPECT_NEAR(found[c] / (plain[c] * (1 - ramp + ramp / 8)), 1, 1e-14) << c;
      }
    }
}

TEST(RopeFrequenciesByParts, MayEndBeyondTheLastPair) {       // 13.9: the ramp ends below d, not below d / 2
  const Theta ratio = ratios(with(Rule::yarn, 8), 8, 20000);  // from pair 1 to 4, of pairs 0 to 3
  EXPECT_EQ(ratio[1], 1);
  EXPECT_NEAR(ratio[2], 1 - 1 / 3.0 + 1 / 3.0 / 8, 1e-14);
  EXPECT_NEAR(ratio[3], 1 - 2 / 3.0 + 2 / 3.0 / 8, 1e-14);
}

TEST(RopeFrequenciesByParts, LieBetweenPlainAndLinear) {  // 2.8 (5)
  for (Rule rule : kByParts)
    for (RopeRamp ramp : {RopeRamp::index, RopeRamp::rotations})
      for (RopeBlend blend : {RopeBlend::arithmetic, RopeBlend::harmonic})
        for (bool truncate : {true, false}) {
          RopeConfig config = with(rule, 8);
          if (rule != Rule::llama3) config.ramp = ramp, config.blend = blend;
          if (rule != Rule::llama3 && ramp == RopeRamp::index) config.truncate = truncate;
          const double fast = rule == Rule::llama3 ? 4 : 32;
          const Theta found = theta(config, 128, 2048), plain = theta({}, 128);
          for (size_t c = 0; c < 64; ++c) {
            const double rotations = 2048 * plain[c] / (2 * M_PI);
            if (rotations > fast) {
              EXPECT_EQ(found[c], plain[c]) << rope_rule_name(rule) << ' ' << c;
            }
            if (rotations < 1) {
              EXPECT_EQ(found[c], plain[c] / 8) << rope_rule_name(rule) << ' ' << c;
            }
            EXPECT_LE(found[c], plain[c]);
            EXPECT_GE(found[c], plain[c] / 8);
            if (c) {
              EXPECT_LT(found[c], found[c - 1]);
            }
          }
        }
}

TEST(RopeFrequenciesByParts, AreBlendedInFourWays) {  // at pair 1 of d = 8, N = 512, by hand
  const double rotations = 512 * 0.1 / (2 * M_PI);
  const double index = 8 * std::log(512 / (2 * M_PI)) / (2 * std::log(1e4));  // of one rotation, 1.91
  const double first = std::max(0.0, 8 * std::log(512 / (32 * 2 * M_PI)) / (2 * std::log(1e4)));
  RopeConfig config = with(Rule::by_parts, 8);
  const auto expect = [&](double gamma) {
    config.blend = RopeBlend::arithmetic;
    EXPECT_NEAR(theta(config, 8)[1], (1 - gamma) * 0.1 / 8 + gamma * 0.1, 1e-16);
    config.blend = RopeBlend::harmonic;
    EXPECT_NEAR(theta(config, 8)[1], 0.1 / ((1 - gamma) * 8 + gamma), 1e-16);
  };
  expect(0.5);  // from 0 to 2
  config.truncate = false;
  expect(1 - (1 - first) / (index - first));
  config.truncate = true;
  config.ramp = RopeRamp::rotations;
  expect((rotations - 1) / 31);
  config.beta_fast = 10, config.beta_slow = 2;
  expect((rotations - 2) / 8);
}

TEST(RopeFrequenciesByParts, OfLlama3AreByPartsInRotations) {  // section 11, by wavelengths
  for (const auto& [low, high] : {std::pair{1.0, 4.0}, {2.0, 16.0}})
    for (int64_t trained : {512, 8192}) {
      RopeConfig config = with(Rule::llama3, 8), parts = with(Rule::by_parts, 8);
      config.base = parts.base = 5e5;
      parts.ramp = RopeRamp::rotations;
      parts.beta_slow = low, parts.beta_fast = high;
      if (high != 4) config.beta_slow = low, config.beta_fast = high;
      const Theta found = theta(config, 64, trained), plain = theta({.base = 5e5}, 64);
      EXPECT_EQ(found, theta(parts, 64, trained));
      for (size_t c = 0; c < 32; ++c) {
        const double wavelength = 2 * M_PI / plain[c], n = static_cast<double>(trained);
        const double smooth = (n / wavelength - low) / (high - low);
        const double golden = wavelength < n / high  ? plain[c]
                              : wavelength > n / low ? plain[c] / 8
                                                     : (1 - smooth) * plain[c] / 8 + smooth * plain[c];
        EXPECT_NEAR(found[c] / golden, 1, 1e-13) << c;
      }
      EXPECT_EQ(rope_frequencies(config, 64, trained, 0).magnitude, 1);
    }
}

TEST(RopeFrequenciesByParts, OfTheLegacyRuleAreBlendedTwice) {  // 2.8, with the ranges written once more
  for (const auto& [d, trained] : {std::pair<int64_t, int64_t>{128, 2048}, {64, 512}}) {
    const double width = static_cast<double>(d), n = static_cast<double>(trained), s = 4;
    const auto index = [&](double turns) { return width * std::log(n / (turns * 2 * M_PI)) / (2 * std::log(1e4)); };
    const auto ramp = [&](double c, double fast, double slow) {
      const double low = std::floor(index(fast)), high = std::ceil(index(slow));
      return std::min(1.0, std::max(0.0, (c - low) / (high - low)));
    };
    const Theta found = theta(with(Rule::by_parts_legacy, s), d, trained), ntk = theta(with(Rule::ntk_aware, s), d);
    const Theta plain = theta({}, d);
    for (size_t c = 0; c < found.size(); ++c) {
      const double x1 = 1 - ramp(static_cast<double>(c), 1.25, 0.75), x2 = 1 - ramp(static_cast<double>(c), 16, 2);
      const double t = plain[c] / s * (1 - x1) + ntk[c] * x1;
      EXPECT_NEAR(found[c] / (t * (1 - x2) + plain[c] * x2), 1, 1e-14) << c;
    }
    EXPECT_EQ(found.front(), plain.front());
    EXPECT_EQ(found.back(), plain.back() / s);
  }
}

TEST(RopeFrequenciesByParts, OfYarnComeWithAMagnitude) {  // 2.9 and section 11
  RopeConfig config = with(Rule::yarn, 8);
  EXPECT_NEAR(magnitude(config), 1.2079441542, 5e-11);
  EXPECT_NEAR(std::pow(magnitude(config), 2), 1.459129, 5e-7);
  EXPECT_NEAR(magnitude(with(Rule::yarn, 16)), 1.277259, 5e-7);
  EXPECT_NEAR(magnitude(with(Rule::yarn, 32)), 1.346574, 5e-7);
  config.mscale = 0.7;
  EXPECT_EQ(magnitude(config), magnitude(with(Rule::yarn, 8)));  // one alone changes nothing
  config.mscale_all_dim = 0.7;
  EXPECT_EQ(magnitude(config), 1);
  config.mscale = 1;
  EXPECT_NEAR(magnitude(config), (0.1 * std::log(8) + 1) / (0.07 * std::log(8) + 1), 1e-15);
  config.attention_factor = 1.25;
  EXPECT_EQ(magnitude(config), 1.25);
  for (Rule rule : {Rule::linear, Rule::ntk_old, Rule::ntk_aware, Rule::ntk_fixed, Rule::ntk_mixed, Rule::by_parts,
                    Rule::by_parts_legacy, Rule::llama3, Rule::dynamic, Rule::proportional})
    EXPECT_EQ(magnitude(with(rule, 8)), 1) << rope_rule_name(rule);
}

}  // namespace
}  // namespace rw::test
