// One axis of a chart: its range, and round numbers on it with their labels.
#pragma once
#include <string>
#include <vector>

namespace rw::report {

enum class Quantity {
  number,    // 0.25, 2e-4
  count,     // 500, 1.5k, 20M: whole numbers, powers of 1000
  duration,  // seconds: 30 s, 5 min, 2 h, 3 d
  bytes,     // 1.5 GB
};

struct Tick {
  double at = 0;
  std::string label;
};

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<Tick> ticks;           // in [low, high], ascending
  double position(double at) const;  // 0 at low, 1 at high
};

// For values from low to high, with at most `most` ticks, and at least 2. A range without width gets one. With `log`,
// low must be positive.
Axis make_axis(double low, double high, int most, Quantity quantity, bool log = false);

// As short as a reader wants it: "3.402", "0.0025", "1.64M", "12 min 4 s", "1.5 GB".
std::string text_of(double value, Quantity quantity);
std::string measured_text(double value);  // always four digits: "4.600"

}  // namespace rw::report
