// A chart of lines as inline SVG. Colours are classes, c0 ... c5, so that the page's style decides them.
#pragma once
#include <string>
#include <vector>

#include "train/report/axis.hpp"
#include "train/report/curve.hpp"

namespace rw::report {

struct Line {
  std::string name = {};   // in the legend; empty: not there
  std::string value = {};  // behind the name: "3.402 at the end"
  std::vector<Point> points = {};
  int run = 0;         // which decides colour and dashes
  bool faint = false;  // raw values: drawn under all others, and do not decide the range alone
  bool dots = false;   // few points that are worth a mark each, with its numbers as a tooltip
};

struct Chart {
  std::string title = {}, unit = {};  // of y: "Loss", "nats per token"
  std::string x_name = {};            // "step", "tokens", "training time"
  Quantity x = Quantity::count, y = Quantity::number;
  bool log_x = false, log_y = false;
  bool from_zero = false;          // y
  std::vector<Tick> x_ticks = {};  // in the place of round numbers
  std::vector<Line> lines = {};
};

inline constexpr int kPalette = 6;  // colours; further runs have them again, with dashes

bool is_empty(const Chart& chart);  // no line has a point that can be drawn

// <svg>, with values that are not finite (and not positive, on a log scale) left out. Only for what is not empty.
std::string to_svg(const Chart& chart);

std::string figure(const Chart& chart);  // <figure>: title, unit, legend, picture; empty if the chart is

std::string legend(const Chart& chart);  // <ul>, of the lines that have names; empty if none has

}  // namespace rw::report
