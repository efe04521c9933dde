#include "layers/rotary/drawn_positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "tests/support/error.hpp"

namespace rw::test {
namespace {

constexpr PositionDraw kBoth[] = {PositionDraw::random, PositionDraw::pose};

std::vector<int32_t> drawn(size_t length, PositionDraw kind, int64_t range, uint32_t sample = 0, uint32_t step = 1) {
  std::vector<int32_t> out(length);
  draw_positions(out, kind, range, {.seed = 3, .step = step, .sample = sample});
  return out;
}

TEST(DrawnPositions, AscendBelowTheRange) {
  for (const PositionDraw kind : kBoth)
    for (const size_t length : {1, 2, 5, 64})
      for (const int64_t range : {static_cast<int64_t>(length), int64_t{64}, int64_t{65}, int64_t{1000}})
        for (uint32_t sample = 0; sample < 20; ++sample) {
          const auto p = drawn(length, kind, range, sample);
          EXPECT_GE(p.front(), 0);
          EXPECT_LT(p.back(), range);
          EXPECT_TRUE(std::ranges::is_sorted(p, std::less_equal())) << length << ' ' << range;
        }
}

TEST(DrawnPositions, AreConsecutiveWithoutRoom) {
  for (const PositionDraw kind : {PositionDraw::none, PositionDraw::random, PositionDraw::pose})
    EXPECT_THAT(drawn(5, kind, 5), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(drawn(4, PositionDraw::none, 50), testing::ElementsAre(0, 1, 2, 3));
}

TEST(DrawnPositions, DependOnSampleStepAndSeedOnly) {
  for (const PositionDraw kind : kBoth) {
    EXPECT_EQ(drawn(30, kind, 900, 4, 7), drawn(30, kind, 900, 4, 7));
    EXPECT_NE(drawn(30, kind, 900, 4, 7), drawn(30, kind, 900, 5, 7));
    EXPECT_NE(drawn(30, kind, 900, 4, 7), drawn(30, kind, 900, 4, 8));
  }
}

// Pairs of 0 .. 3: all six equally often.
TEST(DrawnPositions, RandomOnesAreUniform) {
  std::map<std::vector<int32_t>, int> seen;
  for (uint32_t sample = 0; sample < 6000; ++sample) ++seen[drawn(2, PositionDraw::random, 4, sample)];
  ASSERT_EQ(seen.size(), 6u);
  double chi_square = 0;
  for (const auto& [pair, count] : seen) chi_square += (count - 1000.0) * (count - 1000.0) / 1000;
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom, 0.1 %
}

TEST(DrawnPositions, PoseIsTwoChunks) {
  std::map<size_t, int> cut;
  std::map<int32_t, int> skip;
  for (uint32_t sample = 0; sample < 3000; ++sample) {
    const auto p = drawn(7, PositionDraw::pose, 10, sample);
    size_t first = 1;
    while (first < 7 && p[first] == p[first - 1] + 1) ++first;
    for (size_t t = first + 1; t < 7; ++t) ASSERT_EQ(p[t], p[t - 1] + 1);
    ++skip[p[6] - 6];
    if (p[6] > 6) ++cut[first];
  }
  EXPECT_EQ(skip.size(), 4u);  // 0 .. 3
  for (const auto& [u, count] : skip) EXPECT_NEAR(count, 750, 120) << u;
  EXPECT_EQ(cut.size(), 4u);  // 1 .. 4
  for (const auto& [n, count] : cut) EXPECT_NEAR(count, 562, 110) << n;
}

TEST(DrawnPositions, EqualMeanIsALineOfExponentialLength) {
  const auto line = [](size_t length, uint32_t sample, uint32_t step = 1) {
    std::vector<double> out(length);
    draw_equal_mean(out, {.seed = 3, .step = step, .sample = sample});
    return out;
  };
  constexpr int kSamples = 20000;
  double sum = 0;
  int beyond[4] = {};
  for (uint32_t sample = 0; sample < kSamples; ++sample) {
    const auto p = line(9, sample);
    EXPECT_EQ(p[0], 0);
    for (size_t t = 0; t < 9; ++t) EXPECT_NEAR(p[t], p[8] * static_cast<double>(t) / 8, 1e-14 * p[8]);
    sum += p[8];
    for (int k = 1; k < 4; ++k) beyond[k] += p[8] > 9 * k;
  }
  EXPECT_NEAR(sum / kSamples, 9, 0.25);  // four standard errors
  for (int k = 1; k < 4; ++k) EXPECT_NEAR(beyond[k], kSamples * std::exp(-k), 4 * std::sqrt(kSamples * std::exp(-k)));
  EXPECT_EQ(line(1, 0), std::vector<double>{0});
  EXPECT_EQ(line(30, 4, 7), line(30, 4, 7));
  EXPECT_NE(line(30, 4, 7), line(30, 5, 7));
  EXPECT_NE(line(30, 4, 7), line(30, 4, 8));
}

TEST(DrawnPositions, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(error_of([] { drawn(5, PositionDraw::random, 4); }), testing::HasSubstr("length = 5, range = 4"));
  EXPECT_THAT(error_of([] { drawn(5, PositionDraw::equal_mean, 5); }), testing::HasSubstr("equal_mean"));
  EXPECT_THAT(error_of([] { draw_equal_mean({}, {}); }), testing::HasSubstr("positions.empty()"));
}

}  // namespace
}  // namespace rw::test
