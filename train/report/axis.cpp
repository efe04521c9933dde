#include "train/report/axis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/check.hpp"

namespace rw::report {
namespace {

struct Scale {
  double size;
  const char* name;
};
constexpr Scale kThousands[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
constexpr Scale kBytes[] = {{1e12, " TB"}, {1e9, " GB"}, {1e6, " MB"}, {1e3, " kB"}, {1, " B"}};
constexpr Scale kTimes[] = {{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}};
constexpr double kTimeSteps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};

std::string format(const char* pattern, int digits, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, digits, value);
  return text;
}

// 1.50e-04 -> 1.5e-4
std::string scientific(double value, int digits) {
  std::string text = format("%.*e", digits, value);
  size_t at = text.find('e');
  const size_t last = text.find_last_not_of('0', at - 1);
  if (text.find('.') < at) text.erase(last + (text[last] != '.'), at - last - (text[last] != '.'));
  at = text.find('e') + 1;
  if (text[at] == '+') text.erase(at, 1);
  if (text[at] == '-') ++at;
  while (at + 1 < text.size() && text[at] == '0') text.erase(at, 1);
  return text;
}

// With `digits` significant digits, where the whole part has no more.
std::string rounded(double value, int digits) {
  const int whole = value == 0 ? 1 : static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  return format("%.*f", std::max(0, digits - whole), value);
}

// The same without the zeros at its end.
std::string significant(double value, int digits) {
  std::string text = rounded(value, digits);
  if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

// A value in the largest unit that it has one of.
template <size_t n>
std::string scaled(double value, const Scale (&scales)[n], int digits) {
  const Scale* scale = &scales[n - 1];
  for (const Scale& s : scales)
    if (std::abs(value) >= s.size * (1 - 1e-12)) {
      scale = &s;
      break;
    }
  return significant(value / scale->size, digits) + scale->name;
}

// In the two largest units: "17.4 s", "2 min 19 s", "1 h 5 min".
std::string time_text(double seconds) {
  if (!(seconds >= 59.95 && seconds < 1e12)) return significant(seconds, 3) + " s";
  const Scale* scale = &kTimes[2];
  while (scale > kTimes && std::round(seconds / scale[1].size) * scale[1].size >= scale[-1].size) --scale;
  const auto parts = static_cast<int64_t>(std::round(seconds / scale[1].size)),
             each = static_cast<int64_t>(scale->size / scale[1].size);
  std::string text = std::to_string(parts / each) + scale->name;
  if (parts % each > 0) text.append(" ").append(std::to_string(parts % each)).append(scale[1].name);
  return text;
}

// The smallest of 1, 2, 5 times a power of ten that is not below `least`.
double round_up(double least) {
  const double power = std::pow(10, std::floor(std::log10(least) + 1e-9));
  for (const double m : {1.0, 2.0, 5.0})
    if (m * power >= least * (1 - 1e-9)) return m * power;
  return 10 * power;
}

double step_of(double least, Quantity quantity) {
  if (quantity == Quantity::count) return round_up(std::max(least, 1.0));
  if (quantity == Quantity::duration && least > 0.5) {
    for (const double step : kTimeSteps)
      if (step >= least * (1 - 1e-9)) return step;
    return 86400 * round_up(least / 86400);
  }
  return round_up(least);
}

// What stands at a tick, where neighbours are `step` apart and `most` is the largest of all.
std::string label(double value, double step, double most, Quantity quantity) {
  if (std::abs(value) < step * 1e-6) return "0";
  const int exponent = static_cast<int>(std::floor(std::log10(step) + 1e-9));
  switch (quantity) {
    case Quantity::count:
      return scaled(value, kThousands, 6);
    case Quantity::bytes:
      return scaled(value, kBytes, 6);
    case Quantity::duration:  // all ticks in the unit of the step, or of the largest if the step is whole in it
      for (const Scale& s : kTimes)
        if (step >= s.size || (most >= 2 * s.size && std::fmod(2 * step, s.size) == 0))
          return significant(value / s.size, 6) + s.name;
      return significant(value, 6) + " s";
    case Quantity::number:
      break;
  }
  if (most >= 1e6 || (most < 1e-2 && exponent < -4)) {
    const int top = static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9));
    return scientific(value, std::max(0, top - exponent));
  }
  return format("%.*f", std::max(0, -exponent), value);
}

void add_ticks(Axis& axis, double step, Quantity quantity) {
  const double most = std::max(std::abs(axis.low), std::abs(axis.high));
  for (double i = std::ceil(axis.low / step - 1e-9); i * step <= axis.high + step * 1e-9; ++i) {
    const double at = std::clamp(i * step, axis.low, axis.high);
    axis.ticks.push_back({at, label(at, step, most, quantity)});
  }
}

// Powers of ten, with 2 and 5 between them where there is room.
void add_powers(Axis& axis, int most, Quantity quantity) {
  const int first = static_cast<int>(std::floor(std::log10(axis.low))),
            last = static_cast<int>(std::ceil(std::log10(axis.high)));
  const int apart = std::max(1, (last - first + most - 1) / most);
  const auto add = [&](double at) {
    if (at < axis.low * (1 - 1e-9) || at > axis.high * (1 + 1e-9)) return;
    axis.ticks.push_back({at, text_of(at, quantity)});
  };
  for (int power = first; power <= last; ++power) {
    const double at = std::pow(10, power);
    if ((power - first) % apart == 0) add(at);
    if (3 * (last - first) <= most + 1) add(2 * at), add(5 * at);
  }
}

}  // namespace

double Axis::position(double at) const {
  return log ? std::log(at / low) / std::log(high / low) : (at - low) / (high - low);
}

Axis make_axis(double low, double high, int most, Quantity quantity, bool log) {
  RW_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && most >= 2 && (!log || low > 0), low, high, most);
  if (high - low <= 1e-9 * std::max(std::abs(low), std::abs(high))) {
    const double half = low == 0 ? 1 : 0.05 * std::abs(low);
    if (low != 0) low -= half;
    high += half;
  }
  Axis axis{low, high, log, {}};
  if (log && high / low >= 10) {
    add_powers(axis, most, quantity);
    if (axis.ticks.size() >= 2) return axis;
    axis.ticks.clear();
  }
  double step = step_of((high - low) / most, quantity);
  add_ticks(axis, step, quantity);
  if (axis.ticks.size() < 2) {  // the range lies between two round numbers
    axis.low = std::floor(low / step) * step, axis.high = std::ceil(high / step) * step;
    if (log && axis.low <= 0) axis.low = low;
    axis.ticks.clear();
    add_ticks(axis, step, quantity);
  }
  return axis;
}

std::string text_of(double value, Quantity quantity) {
  if (!std::isfinite(value)) return "?";
  switch (quantity) {
    case Quantity::count:
      return std::abs(value) < 1e4 ? significant(value, 4) : scaled(value, kThousands, 3);
    case Quantity::bytes:
      return scaled(value, kBytes, 3);
    case Quantity::duration:
      return time_text(value);
    case Quantity::number:
      break;
  }
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e6)) return scientific(value, size < 1e-3 ? 1 : 3);
  return significant(value, 4);
}

std::string measured_text(double value) { return std::isfinite(value) ? rounded(value, 4) : "?"; }

}  // namespace rw::report
