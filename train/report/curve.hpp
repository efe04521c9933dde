// Long series of points, made short enough to draw.
#pragma once
#include <span>
#include <vector>

namespace rw::report {

struct Point {
  double x = 0, y = 0;
  bool operator==(const Point&) const = default;
};

// At most 4 points of each of `cells` equal parts of [low, high]: the first, the lowest, the highest and the last, in
// their order. A line through them covers the same pixels as one through all. x ascends, and lies in [low, high].
std::vector<Point> thin(std::span<const Point> points, double low, double high, int cells);

// The median y of each part that has points, above the mean of their x.
std::vector<Point> medians(std::span<const Point> points, double low, double high, int cells);

// The value below which a share q in [0, 1] of them lies, linear between two of them; NaN without values.
double quantile(std::vector<double> values, double q);

}  // namespace rw::report
