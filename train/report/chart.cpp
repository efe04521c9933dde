#include "train/report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/base/check.hpp"
#include "train/report/html.hpp"

namespace rw::report {
namespace {

constexpr double kWidth = 480, kHeight = 280;                       // of the picture, in its own units
constexpr double kLeft = 58, kRight = 14, kTop = 10, kBottom = 40;  // around the plot
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kMark = 4;            // around the plot, for marks at its edge
constexpr int kMostX = 6, kMostY = 7;  // ticks
constexpr int kCells = 240;            // horizontal parts of the plot that are told apart
constexpr size_t kMostDots = 60;       // marks of a line
constexpr double kFaintShare = .01;    // of raw values, at either end, that may lie outside of the plot
constexpr const char* kDashes[] = {"", " dash1", " dash2", " dash3"};

std::string number(double value) {  // one digit behind the point is a third of a pixel at most
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string out = text;
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string class_of(const Line& line) {
  std::string out = "c";
  out += std::to_string(line.run % kPalette);
  if (line.faint) out += " faint";
  return out + kDashes[line.run / kPalette % static_cast<int>(std::size(kDashes))];
}

std::vector<Point> drawable(const Chart& chart, const Line& line) {
  std::vector<Point> out;
  for (const Point& p : line.points)
    if (std::isfinite(p.x) && std::isfinite(p.y) && (!chart.log_x || p.x > 0) && (!chart.log_y || p.y > 0))
      out.push_back(p);
  return out;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) { low = std::min(low, value), high = std::max(high, value); }
};

Range range_of_x(const std::vector<std::vector<Point>>& lines) {
  Range range;
  for (const auto& points : lines)
    for (const Point& p : points) range.add(p.x);
  return range;
}

// What every line but the faint ones needs, and of those all but their outliers; and some air.
Range range_of_y(const Chart& chart, const std::vector<std::vector<Point>>& lines) {
  Range range;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!chart.lines[i].faint) {
      for (const Point& p : lines[i]) range.add(p.y);
    } else if (!lines[i].empty()) {
      std::vector<double> y;
      for (const Point& p : lines[i]) y.push_back(p.y);
      range.add(quantile(y, kFaintShare));
      range.add(quantile(std::move(y), 1 - kFaintShare));
    }
  }
  if (chart.log_y) {
    const double air = std::pow(range.high / range.low, 0.03);
    return {range.low / air, range.high * air};
  }
  if (chart.from_zero) range.add(0);
  const double air = 0.03 * (range.high - range.low);
  return {chart.from_zero && range.low == 0 ? 0 : range.low - air, range.high + air};
}

// Ticks as lines across the plot, and their labels outside of it.
std::string grid(const Axis& x, const Axis& y, const std::string& x_name) {
  std::string out = "<g class=\"grid\">";
  for (const Tick& tick : y.ticks) {
    const std::string at = number(kTop + kPlotHeight * (1 - y.position(tick.at)));
    out += "<path d=\"M" + number(kLeft) + " " + at + "H" + number(kWidth - kRight) + "\"/>";
  }
  for (const Tick& tick : x.ticks) {
    const std::string at = number(kLeft + kPlotWidth * x.position(tick.at));
    out += "<path d=\"M" + at + " " + number(kTop) + "V" + number(kHeight - kBottom) + "\"/>";
  }
  out += "</g>\n<g class=\"labels\">";
  for (const Tick& tick : y.ticks)
    out += element("text", tick.label,
                   "x=\"" + number(kLeft - 7) + "\" y=\"" +
                       number(kTop + kPlotHeight * (1 - y.position(tick.at)) + 4.5) + "\" text-anchor=\"end\"");
  for (const Tick& tick : x.ticks)
    out += element("text", tick.label,
                   "x=\"" + number(kLeft + kPlotWidth * x.position(tick.at)) + "\" y=\"" +
                       number(kHeight - kBottom + 17) + "\" text-anchor=\"middle\"");
  out += element("text", x_name,
                 "class=\"name\" x=\"" + number(kLeft + kPlotWidth / 2) + "\" y=\"" + number(kHeight - 5) +
                     "\" text-anchor=\"middle\"");
  return out + "</g>\n";
}

std::string drawn(const Chart& chart, const Line& line, std::vector<Point> points, const Axis& x, const Axis& y) {
  const auto at = [&](const Point& p) {
    return std::pair{kPlotWidth * x.position(p.x), kPlotHeight * (1 - y.position(p.y))};
  };
  std::string out;
  if (points.size() > 1) {
    std::vector<Point> on_plot;
    for (const Point& p : points) {
      const auto [right, down] = at(p);
      on_plot.push_back({right, down});
    }
    out += "<polyline class=\"" + class_of(line) + "\" points=\"";
    for (const Point& p : thin(on_plot, 0, kPlotWidth, kCells)) out += number(p.x) + "," + number(p.y) + " ";
    out.back() = '"';
    out += "/>\n";
  }
  if (points.size() == 1 || (line.dots && points.size() <= kMostDots))
    for (const Point& p : points) {
      const auto [right, down] = at(p);
      out += "<circle class=\"" + class_of(line) + "\" cx=\"" + number(right) + "\" cy=\"" + number(down) +
             "\" r=\"3\">" +
             element("title", (line.name.empty() ? "" : line.name + ", ") + chart.x_name + " " + text_of(p.x, chart.x) +
                                  ": " + text_of(p.y, chart.y)) +
             "</circle>\n";
    }
  return out;
}

}  // namespace

bool is_empty(const Chart& chart) {
  return std::ranges::all_of(chart.lines, [&](const Line& line) { return drawable(chart, line).empty(); });
}

std::string to_svg(const Chart& chart) {
  std::vector<std::vector<Point>> lines;
  for (const Line& line : chart.lines) lines.push_back(drawable(chart, line));
  const Range of_x = range_of_x(lines), of_y = range_of_y(chart, lines);
  RW_CHECK(of_x.low <= of_x.high, chart.title);
  const double left = !chart.log_x && of_x.low > 0 && of_x.low < 0.25 * of_x.high ? 0 : of_x.low;
  Axis x = make_axis(left, of_x.high, kMostX, chart.x, chart.log_x);
  if (!chart.x_ticks.empty()) {
    x.ticks = chart.x_ticks;
    std::erase_if(x.ticks, [&](const Tick& tick) { return tick.at < x.low || tick.at > x.high; });
  }
  const Axis y = make_axis(of_y.low, of_y.high, kMostY, chart.y, chart.log_y);

  std::string out = "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(kHeight) + "\" role=\"img\" aria-label=\"" +
                    escape(chart.title + ", " + chart.unit + ", by " + chart.x_name) + "\">\n" +
                    grid(x, y, chart.x_name);
  // A picture in the picture cuts off what lies outside of the plot.
  out += "<svg class=\"plot\" x=\"" + number(kLeft - kMark) + "\" y=\"" + number(kTop - kMark) + "\" width=\"" +
         number(kPlotWidth + 2 * kMark) + "\" height=\"" + number(kPlotHeight + 2 * kMark) + "\" viewBox=\"" +
         number(-kMark) + " " + number(-kMark) + " " + number(kPlotWidth + 2 * kMark) + " " +
         number(kPlotHeight + 2 * kMark) + "\">\n";
  for (const bool faint : {true, false})
    for (size_t i = 0; i < lines.size(); ++i)
      if (chart.lines[i].faint == faint) out += drawn(chart, chart.lines[i], std::move(lines[i]), x, y);
  return out + "</svg>\n</svg>\n";
}

std::string figure(const Chart& chart) {
  if (is_empty(chart)) return {};
  return figure(chart.title, chart.unit, legend(chart) + to_svg(chart));
}

std::string legend(const Chart& chart) {
  std::string out;
  for (const Line& line : chart.lines) {
    if (line.name.empty()) continue;
    const std::string look = class_of(line);
    out += "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\"><path class=\"" + look + "\" d=\"M0 6H22\"/>";
    if (line.dots) out += "<circle class=\"" + look + "\" cx=\"11\" cy=\"6\" r=\"3\"/>";
    out += "</svg>" + element("span", line.name);
    if (!line.value.empty()) out.append(" ").append(element("b", line.value));
    out += "</li>";
  }
  if (out.empty()) return {};
  return "<ul class=\"legend\">" + out + "</ul>\n";
}

}  // namespace rw::report
