#include "train/report/chart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace rw::report {
namespace {

using testing::HasSubstr;
using testing::Not;

// What follows each `before` in the text, up to `after`.
std::vector<std::string> between(const std::string& text, const std::string& before, char after) {
  std::vector<std::string> out;
  for (size_t at = text.find(before); at != text.npos; at = text.find(before, at)) {
    at += before.size();
    out.push_back(text.substr(at, text.find(after, at) - at));
  }
  return out;
}

std::vector<std::vector<Point>> polylines(const std::string& svg) {
  std::vector<std::vector<Point>> out;
  for (const std::string& points : between(svg, "points=\"", '"')) {
    std::istringstream in(points);
    out.emplace_back();
    char comma = 0;
    for (Point p; in >> p.x >> comma >> p.y;) out.back().push_back(p);
  }
  return out;
}

std::vector<double> grid_lines(const std::string& svg) {  // heights of those across the plot
  std::vector<double> out;
  for (const std::string& path : between(svg, "<path d=\"M58 ", '"'))
    if (path.find('H') != path.npos) out.push_back(std::stod(path));
  return out;
}

Chart chart_of(std::vector<Point> points) {
  Chart chart{.title = "Loss", .unit = "nats", .x_name = "step"};
  chart.lines.push_back({.name = "a <run>", .value = "3.4", .points = std::move(points)});
  return chart;
}

// The plot is 408 wide and 230 high; values have 3 % of air above and below.
TEST(Chart, PointsLieWhereTheirNumbersSay) {
  const std::string svg = to_svg(chart_of({{0, 2}, {50, 3}, {100, 4}}));
  const auto lines = polylines(svg);
  ASSERT_EQ(lines.size(), 1u);
  const double high = 230 * (1 - 2.06 / 2.12), low = 230 * 2.06 / 2.12;
  const Point expected[] = {{0, low}, {204, 115}, {408, high}};
  ASSERT_EQ(lines[0].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(lines[0][i].x, expected[i].x, 0.051);
    EXPECT_NEAR(lines[0][i].y, expected[i].y, 0.051);
  }
  const auto grid = grid_lines(svg);  // 2.0, 2.5, ... 4.0, ten below the top of the picture
  ASSERT_EQ(grid.size(), 5u);
  EXPECT_NEAR(grid[0], 10 + low, 0.051);
  EXPECT_NEAR(grid[4], 10 + high, 0.051);
  EXPECT_THAT(svg, HasSubstr(">2.0</text>"));
  EXPECT_THAT(svg, HasSubstr(">step</text>"));
  EXPECT_THAT(svg, HasSubstr("aria-label=\"Loss, nats, by step\""));
}

TEST(Chart, LogScale) {
  Chart chart = chart_of({{1, 1}, {2, 10}, {3, 100}, {4, 0}});  // 0 has no place
  chart.log_y = true;
  const auto lines = polylines(to_svg(chart));
  ASSERT_EQ(lines[0].size(), 3u);
  EXPECT_NEAR(lines[0][1].y, 115, 0.051);
  EXPECT_NEAR(lines[0][0].y - lines[0][1].y, lines[0][1].y - lines[0][2].y, 0.11);
}

TEST(Chart, LogScaleAcross) {
  Chart chart = chart_of({{0, 5}, {10, 1}, {100, 2}, {1000, 3}});
  chart.log_x = true, chart.x_ticks = {{1, "out"}, {10, "ten"}, {1000, "end"}};
  const std::string svg = to_svg(chart);
  const auto lines = polylines(svg);
  ASSERT_EQ(lines[0].size(), 3u);
  EXPECT_NEAR(lines[0][0].x, 0, 0.051);
  EXPECT_NEAR(lines[0][1].x, 204, 0.051);
  EXPECT_NEAR(lines[0][2].x, 408, 0.051);
  EXPECT_THAT(svg, testing::AllOf(HasSubstr(">ten</text>"), HasSubstr(">end</text>"), Not(HasSubstr(">out</text>"))));
}

TEST(Chart, FromZero) {
  Chart chart = chart_of({{0, 50}, {1, 100}});
  chart.from_zero = true;
  EXPECT_NEAR(polylines(to_svg(chart))[0][0].y, 230 * (1 - 50 / 103.0), 0.051);
}

// A spike of raw values does not flatten everything else.
TEST(Chart, FaintOutliersAreCutOff) {
  Chart chart = chart_of({{0, 2}, {999, 1}});
  Line raw{.name = "raw", .faint = true};
  for (int i = 0; i < 1000; ++i) raw.points.push_back({static_cast<double>(i), i == 500 ? 1e6 : 1.5});
  chart.lines.push_back(raw);
  const auto lines = polylines(to_svg(chart));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LT(lines[0].size(), 970u);                                    // the faint one comes first
  EXPECT_LT(lines[1][0].y, 10);                                        // and the other fills the plot
  EXPECT_LT(std::ranges::min_element(lines[0], {}, &Point::y)->y, 0);  // the spike leaves it
}

TEST(Chart, WhatIsNotFiniteIsLeftOut) {
  const auto lines = polylines(to_svg(chart_of({{0, 1}, {1, NAN}, {2, INFINITY}, {3, 2}})));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].size(), 2u);
  EXPECT_TRUE(is_empty(chart_of({{0, NAN}})));
  EXPECT_TRUE(is_empty(chart_of({})));
  EXPECT_FALSE(is_empty(chart_of({{0, 1}})));
  EXPECT_THAT(to_svg(chart_of({{5, 1}})), HasSubstr("<circle"));  // a single point is seen
}

TEST(Chart, DotsHaveTheirNumbers) {
  Chart chart = chart_of({{0, 2}, {1500, 3.25}});
  EXPECT_THAT(to_svg(chart), Not(HasSubstr("<circle")));
  chart.lines[0].dots = true;
  EXPECT_THAT(to_svg(chart), HasSubstr("<title>a &lt;run&gt;, step 1500: 3.25</title>"));
}

TEST(Chart, RunsDifferInColourThenInDashes) {
  Chart chart = chart_of({{0, 1}, {1, 2}});
  chart.lines[0].run = 7;
  EXPECT_THAT(to_svg(chart), HasSubstr("class=\"c1 dash1\""));
  EXPECT_THAT(legend(chart), HasSubstr("class=\"c1 dash1\""));
  EXPECT_THAT(legend(chart), HasSubstr("a &lt;run&gt;</span> <b>3.4</b>"));
  chart.lines[0].name.clear();
  EXPECT_EQ(legend(chart), "");
}

TEST(Chart, AMillionPointsAreAFewKilobytes) {
  std::vector<Point> points;
  for (int i = 0; i < 1'000'000; ++i) points.push_back({static_cast<double>(i), std::sin(i * 0.7) + i * 1e-6});
  EXPECT_LT(to_svg(chart_of(std::move(points))).size(), 16'000u);
}

}  // namespace
}  // namespace rw::report
