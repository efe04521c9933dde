#include "train/report/curve.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace rw::report {
namespace {

std::vector<Point> noise(size_t count) {
  std::mt19937 random(3);
  std::vector<Point> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back({static_cast<double>(i), static_cast<double>(random() % 1'000'000) / 1e6});
  return out;
}

TEST(Curve, ThinKeepsWhatALineCovers) {
  const auto points = noise(100'000);
  constexpr int kCells = 50;
  const auto few = thin(points, 0, 99'999, kCells);
  EXPECT_LE(few.size(), 4u * kCells);
  EXPECT_TRUE(std::ranges::is_sorted(few, {}, &Point::x));
  EXPECT_EQ(few.front(), points.front());
  EXPECT_EQ(few.back(), points.back());
  for (int cell = 0; cell < kCells; ++cell) {
    const auto lies_in = [&](const Point& p) {
      return std::min(static_cast<int>(p.x / 99'999 * kCells), kCells - 1) == cell;
    };
    const auto extremes = [&](const std::vector<Point>& all) {
      std::pair out{1e9, -1e9};
      for (const Point& p : all)
        if (lies_in(p)) out = {std::min(out.first, p.y), std::max(out.second, p.y)};
      return out;
    };
    EXPECT_EQ(extremes(few), extremes(points)) << cell;
  }
}

TEST(Curve, ThinLeavesShortOnesAlone) {
  const std::vector<Point> points = {{1, 5}, {2, 4}, {3, 9}};
  EXPECT_EQ(thin(points, 1, 3, 240), points);
  EXPECT_EQ(thin(std::vector<Point>{{7, 1}}, 7, 7, 10), (std::vector<Point>{{7, 1}}));
  EXPECT_TRUE(thin({}, 0, 1, 10).empty());
}

TEST(Curve, MediansOfParts) {
  const std::vector<Point> points = {{0, 1}, {1, 9}, {2, 2}, {8, 7}, {10, 7}};
  EXPECT_EQ(medians(points, 0, 10, 2), (std::vector<Point>{{1, 2}, {9, 7}}));
}

TEST(Curve, Quantile) {
  EXPECT_EQ(quantile({3, 1, 2}, 0), 1);
  EXPECT_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(quantile({3, 1, 2}, 1), 3);
  EXPECT_EQ(quantile({7, 1}, 0.5), 4);
  EXPECT_EQ(quantile({5, 9, 1, 2}, 0.75), 6);  // sorted, place 2.25
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

}  // namespace
}  // namespace rw::report
