#include "core/base/philox.hpp"

#include <gtest/gtest.h>

namespace rw::test {
namespace {

// Known answers of philox4x32-10, published with the paper's reference code.
static_assert(philox({0, 0, 0, 0}, {0, 0}) == PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
              PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

static_assert(philox_key(0x299f31d0a4093822) == PhiloxKey{0xa4093822, 0x299f31d0});
static_assert(name_word("") == 2166136261u && name_word("a") == 0xe40c292cu && name_word("foobar") == 0xbf9cf968u);

static_assert(uniform(0u) == 0x1p-24f && uniform(~0u) == 1.0f);  // in (0, 1], so its logarithm is finite
static_assert(uniform(0u, 0u) == 0x1p-53 && uniform(~0u, ~0u) == 1.0);

// The mean of f over n draws; each bound below is 5 standard deviations of such a mean.
template <class F>
double mean(uint32_t n, F&& f) {
  double sum = 0;
  for (uint32_t i = 0; i < n; ++i) sum += f(i);
  return sum / n;
}
constexpr uint32_t kDraws = 100000;
const double kRoot = std::sqrt(kDraws);

TEST(Philox, UniformsHaveTheirMoments) {
  const auto u = [](uint32_t i) { return static_cast<double>(uniform(philox({i, 0, 0, 7}, {1, 2})[i % 4])); };
  EXPECT_NEAR(mean(kDraws, u), 0.5, 5 * std::sqrt(1.0 / 12) / kRoot);
  EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return u(i) * u(i); }), 1.0 / 3, 5 * std::sqrt(4.0 / 45) / kRoot);
  EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return u(i) * u(i + 1); }), 0.25, 5 * std::sqrt(7.0 / 144) / kRoot);
  for (double part : {0.1, 0.5, 0.9})
    EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return u(i) <= part; }), part, 5 * std::sqrt(part * (1 - part)) / kRoot);
}

TEST(Philox, NormalsHaveTheirMoments) {
  for (size_t which : {0, 1, 2, 3}) {
    const auto z = [&](uint32_t i) { return double{four_normals({i, 0, 0, 7}, {1, 2})[which]}; };
    EXPECT_NEAR(mean(kDraws, z), 0, 5 / kRoot);
    EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return std::pow(z(i), 2); }), 1, 5 * std::sqrt(2) / kRoot);
    EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return std::pow(z(i), 3); }), 0, 5 * std::sqrt(15) / kRoot);
    EXPECT_NEAR(mean(kDraws, [&](uint32_t i) { return std::pow(z(i), 4); }), 3, 5 * std::sqrt(96) / kRoot);
  }
  for (size_t other : {1, 2, 3}) {
    const auto product = [&](uint32_t i) {
      const auto z = four_normals({i, 0, 0, 7}, {1, 2});
      return double{z[0]} * z[other];
    };
    EXPECT_NEAR(mean(kDraws, product), 0, 5 / kRoot) << other;
  }
}

TEST(Philox, EveryWordOfCounterAndKeyMatters) {
  const PhiloxCounter base = philox({1, 2, 3, 4}, {5, 6});
  for (size_t i = 0; i < 4; ++i) {
    PhiloxCounter counter = {1, 2, 3, 4};
    counter[i] ^= 1u << 31;
    EXPECT_NE(philox(counter, {5, 6}), base) << i;
  }
  EXPECT_NE(philox({1, 2, 3, 4}, {4, 6}), base);
  EXPECT_NE(philox({1, 2, 3, 4}, {5, 7}), base);
}

}  // namespace
}  // namespace rw::test
