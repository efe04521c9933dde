#include "layers/rotary/drawn_positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(DrawnPositions, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(error_of([] { drawn(5, PositionDraw::random, 4); }), testing::HasSubstr("length = 5, range = 4"));
}

}  // namespace
}  // namespace rw::test
