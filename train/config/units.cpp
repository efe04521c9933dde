#include "train/config/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"

namespace rw {
namespace {

struct Suffix {
  std::string_view name;
  double factor;
};
constexpr Suffix kCount[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
constexpr Suffix kLength[] = {{"", 1}, {"k", 1024}, {"M", 1024.0 * 1024}};
constexpr Suffix kPlain[] = {{"", 1}};
constexpr Suffix kShare[] = {{"", 1}, {"%", 0.01}};
constexpr Suffix kDuration[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};

std::span<const Suffix> suffixes(Unit unit) {
  switch (unit) {
    case Unit::count:
      return kCount;
    case Unit::length:
      return kLength;
    case Unit::share:
      return kShare;
    case Unit::duration:
      return kDuration;
    default:
      return kPlain;
  }
}

const char* expected(Unit unit) {
  switch (unit) {
    case Unit::integer:
      return "expected a whole number, such as 12";
    case Unit::count:
      return "expected a whole number, or one with k, M or G (1000, 1000², 1000³), such as 200M";
    case Unit::length:
      return "expected a whole number, or one with k or M (1024, 1024²), such as 4k";
    case Unit::share:
      return "expected a number or a percentage, such as 0.1 or 10%";
    case Unit::duration:
      return "expected a number with s, min, h or d, such as 90s, 10min or 2h";
    default:
      return "expected a number, such as 0.001, 1e-3 or 1/16";
  }
}

[[noreturn]] void fail(std::string_view text, const std::string& why, Unit unit) {
  throw UserError(Exit::usage, "'" + std::string(text) + "' " + why, expected(unit));
}

struct Parsed {
  double number;
  Suffix suffix;
  std::string_view digits;
};

Parsed parse(std::string_view text, Unit unit) {
  const std::string_view whole = text;
  if (text.empty()) fail(whole, "is empty", unit);
  if (text.front() == '+') text.remove_prefix(1);
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status == std::errc::invalid_argument) fail(whole, "is not a number", unit);
  if (status != std::errc{} || !std::isfinite(number)) fail(whole, "is out of range", unit);
  const auto length = static_cast<size_t>(end - text.data());
  const std::string_view suffix = text.substr(length);
  for (const Suffix& known : suffixes(unit))
    if (known.name == suffix) return {number, known, text.substr(0, length)};
  if (suffix.empty()) fail(whole, "has no unit", unit);
  fail(whole, "ends in '" + std::string(suffix) + "', which is no unit here", unit);
}

std::string shortest(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace

int64_t parse_integer(std::string_view text, Unit unit) {
  const Parsed parsed = parse(text, unit);
  if (parsed.suffix.factor == 1) {  // all 64 bits, which a double has not
    int64_t value = 0;
    const char* const end = parsed.digits.data() + parsed.digits.size();
    const auto [at, status] = std::from_chars(parsed.digits.data(), end, value);
    if (status == std::errc::result_out_of_range) fail(text, "is out of range", unit);
    if (at == end) return value;
  }
  const double value = parsed.number * parsed.suffix.factor;
  if (value != std::floor(value)) fail(text, "is not a whole number", unit);
  constexpr double kLargest = 0x1p53;  // whole numbers are exact up to here
  if (std::abs(value) > kLargest) fail(text, "is out of range", unit);
  return static_cast<int64_t>(value);
}

double parse_number(std::string_view text, Unit unit) {
  const size_t slash = text.find('/');
  if (unit == Unit::number && slash != text.npos) {  // 1/16
    const double below = parse_number(text.substr(slash + 1), unit),
                 value = parse_number(text.substr(0, slash), unit) / below;
    if (!std::isfinite(value)) fail(text, "is out of range", unit);
    return value;
  }
  const Parsed parsed = parse(text, unit);
  const double value = parsed.suffix.name == "%" ? parsed.number / 100 : parsed.number * parsed.suffix.factor;
  if (!std::isfinite(value)) fail(text, "is out of range", unit);
  return value;
}

bool parse_flag(std::string_view text) {
  for (const std::string_view word : {"true", "on", "yes", "1"})
    if (text == word) return true;
  for (const std::string_view word : {"false", "off", "no", "0"})
    if (text == word) return false;
  throw UserError(Exit::usage, "'" + std::string(text) + "' is neither true nor false", "expected true or false");
}

std::string integer_text(int64_t value, Unit unit) {
  const auto known = suffixes(unit);
  for (size_t i = known.size(); i-- > 1;) {
    const auto factor = static_cast<int64_t>(known[i].factor);
    if (value != 0 && value % factor == 0 && std::abs(value / factor) < int64_t{1} << 40)
      return std::to_string(value / factor) + std::string(known[i].name);
  }
  return std::to_string(value);
}

std::string number_text(double value, Unit unit) {
  if (unit != Unit::duration) return shortest(value);
  for (const Suffix& suffix : {kDuration[3], kDuration[2], kDuration[1]}) {
    const double amount = value / suffix.factor;
    if (amount >= 1 && amount == std::floor(amount) && amount < 0x1p40)
      return shortest(amount) + std::string(suffix.name);
  }
  return shortest(value) + "s";
}

}  // namespace rw
