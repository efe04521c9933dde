#include "train/report/curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rw::report {
namespace {

// Calls f(first, end) for the points of each part that has some.
template <class F>
void for_cells(std::span<const Point> points, double low, double high, int cells, F&& f) {
  const auto cell_of = [&](const Point& p) {
    const double share = high > low ? (p.x - low) / (high - low) : 0;
    return std::clamp(static_cast<int>(share * cells), 0, cells - 1);
  };
  for (size_t begin = 0; begin < points.size();) {
    const int cell = cell_of(points[begin]);
    size_t end = begin + 1;
    while (end < points.size() && cell_of(points[end]) == cell) ++end;
    f(begin, end);
    begin = end;
  }
}

}  // namespace

std::vector<Point> thin(std::span<const Point> points, double low, double high, int cells) {
  std::vector<Point> out;
  for_cells(points, low, high, cells, [&](size_t begin, size_t end) {
    size_t keep[] = {begin, begin, begin, end - 1};
    for (size_t i = begin; i < end; ++i) {
      if (points[i].y < points[keep[1]].y) keep[1] = i;
      if (points[i].y > points[keep[2]].y) keep[2] = i;
    }
    std::ranges::sort(keep);
    for (size_t i = 0; i < 4; ++i)
      if (i == 0 || keep[i] != keep[i - 1]) out.push_back(points[keep[i]]);
  });
  return out;
}

std::vector<Point> medians(std::span<const Point> points, double low, double high, int cells) {
  std::vector<Point> out;
  std::vector<double> y;
  for_cells(points, low, high, cells, [&](size_t begin, size_t end) {
    double x = 0;
    y.clear();
    for (size_t i = begin; i < end; ++i) x += points[i].x, y.push_back(points[i].y);
    out.push_back({x / static_cast<double>(end - begin), quantile(y, 0.5)});
  });
  return out;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double place = q * static_cast<double>(values.size() - 1), share = place - std::floor(place);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(place);
  std::ranges::nth_element(values, below);
  if (share == 0) return *below;
  return (1 - share) * *below + share * *std::ranges::min_element(below + 1, values.end());
}

}  // namespace rw::report
