#include "train/config/units.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::user_error_of;

TEST(Units, ReadsWholeNumbers) {
  struct Case {
    const char* text;
    Unit unit;
    int64_t value;
  };
  for (const Case& c : {Case{"12", Unit::integer, 12},
                        {"-3", Unit::integer, -3},
                        {"+3", Unit::integer, 3},
                        {"9223372036854775807", Unit::integer, std::numeric_limits<int64_t>::max()},
                        {"200M", Unit::count, 200'000'000},
                        {"1.5G", Unit::count, 1'500'000'000},
                        {"64k", Unit::count, 64'000},
                        {"2e8", Unit::count, 200'000'000},
                        {"64k", Unit::length, 65536},
                        {"1.5k", Unit::length, 1536},
                        {"1M", Unit::length, 1048576},
                        {"0", Unit::count, 0}})
    EXPECT_EQ(parse_integer(c.text, c.unit), c.value) << c.text;
}

TEST(Units, ReadsNumbers) {
  struct Case {
    const char* text;
    Unit unit;
    double value;
  };
  for (const Case& c : {Case{"1e-3", Unit::number, 1e-3},
                        {"-.5", Unit::number, -0.5},
                        {"1/16", Unit::number, 0.0625},
                        {"-3/4", Unit::number, -0.75},
                        {"5%", Unit::share, 0.05},
                        {"0.05", Unit::share, 0.05},
                        {"90s", Unit::duration, 90},
                        {"10min", Unit::duration, 600},
                        {"1.5h", Unit::duration, 5400},
                        {"2d", Unit::duration, 172800}})
    EXPECT_EQ(parse_number(c.text, c.unit), c.value) << c.text;
}

TEST(Units, SaysWhatIsWrong) {
  struct Case {
    const char* text;
    Unit unit;
    const char* what;
    const char* advice;
  };
  for (const Case& c : {Case{"", Unit::integer, "'' is empty", "whole number"},
                        {"many", Unit::integer, "'many' is not a number", "such as 12"},
                        {"12k", Unit::integer, "'12k' ends in 'k', which is no unit here", "such as 12"},
                        {"1.5", Unit::integer, "'1.5' is not a whole number", "such as 12"},
                        {"200X", Unit::count, "'200X' ends in 'X', which is no unit here", "k, M or G"},
                        {"200 M", Unit::count, "'200 M' ends in ' M', which is no unit here", "k, M or G"},
                        {"1.0001k", Unit::count, "'1.0001k' is not a whole number", "k, M or G"},
                        {"4G", Unit::length, "'4G' ends in 'G', which is no unit here", "1024"},
                        {"9223372036854775808", Unit::integer, "'9223372036854775808' is out of range", ""},
                        {"1e300G", Unit::count, "'1e300G' is out of range", ""},
                        {"1e400", Unit::number, "'1e400' is out of range", ""},
                        {"1/0", Unit::number, "'1/0' is out of range", ""},
                        {"1/", Unit::number, "'' is empty", ""},
                        {"1/x", Unit::number, "'x' is not a number", ""},
                        {"nan", Unit::number, "'nan' is out of range", ""},
                        {"inf", Unit::share, "'inf' is out of range", ""},
                        {"5%", Unit::number, "'5%' ends in '%', which is no unit here", "0.001"},
                        {"10", Unit::duration, "'10' has no unit", "10min"},
                        {"10m", Unit::duration, "'10m' ends in 'm', which is no unit here", "10min"},
                        {"0x10", Unit::count, "'0x10' ends in 'x10', which is no unit here", ""}}) {
    const bool whole = c.unit == Unit::integer || c.unit == Unit::count || c.unit == Unit::length;
    const auto error =
        user_error_of([&] { whole ? void(parse_integer(c.text, c.unit)) : void(parse_number(c.text, c.unit)); });
    EXPECT_EQ(error.code, Exit::usage) << c.text;
    EXPECT_EQ(error.what, c.what);
    EXPECT_NE(error.advice.find(c.advice), std::string::npos) << error.advice;
  }
}

TEST(Units, ReadsFlags) {
  for (const char* text : {"true", "on", "yes", "1"}) EXPECT_TRUE(parse_flag(text));
  for (const char* text : {"false", "off", "no", "0"}) EXPECT_FALSE(parse_flag(text));
  EXPECT_EQ(user_error_of([] { parse_flag("maybe"); }).what, "'maybe' is neither true nor false");
}

TEST(Units, PrintsWhatReadsAsTheSame) {
  struct Case {
    int64_t value;
    Unit unit;
    const char* text;
  };
  for (const Case& c : {Case{200'000'000, Unit::count, "200M"},
                        {65536, Unit::count, "65536"},
                        {65536, Unit::length, "64k"},
                        {1000, Unit::count, "1k"},
                        {1048576, Unit::length, "1M"},
                        {-4000, Unit::count, "-4k"},
                        {4000, Unit::integer, "4000"},
                        {0, Unit::count, "0"},
                        {std::numeric_limits<int64_t>::max(), Unit::count, "9223372036854775807"},
                        {std::numeric_limits<int64_t>::min(), Unit::length, "-9223372036854775808"}}) {
    EXPECT_EQ(integer_text(c.value, c.unit), c.text);
    EXPECT_EQ(parse_integer(c.text, c.unit), c.value);
  }
  for (const double value : {0.0, 0.1, 1.0 / 3, 1e-8, 1e300, 5400.0, 86400.0, 86401.0, 0.25})
    for (const Unit unit : {Unit::number, Unit::share, Unit::duration})
      EXPECT_EQ(parse_number(number_text(value, unit), unit), value) << number_text(value, unit);
  EXPECT_EQ(number_text(480, Unit::duration), "8min");
  EXPECT_EQ(number_text(90, Unit::duration), "90s");
}

}  // namespace
}  // namespace rw
