#include "train/report/axis.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/error.hpp"

namespace rw::report {
namespace {

using Labels = std::vector<std::string>;

Labels labels(double low, double high, Quantity quantity, bool log = false) {
  Labels out;
  for (const Tick& tick : make_axis(low, high, 5, quantity, log).ticks) out.push_back(tick.label);
  return out;
}

TEST(Axis, RoundNumbers) {
  EXPECT_EQ(labels(0, 10, Quantity::number), (Labels{"0", "2", "4", "6", "8", "10"}));
  EXPECT_EQ(labels(3.31, 3.55, Quantity::number), (Labels{"3.35", "3.40", "3.45", "3.50", "3.55"}));
  EXPECT_EQ(labels(0, 1e-3, Quantity::number), (Labels{"0", "0.0002", "0.0004", "0.0006", "0.0008", "0.0010"}));
  EXPECT_EQ(labels(0, 2.5e-4, Quantity::number), (Labels{"0", "5e-5", "1e-4", "1.5e-4", "2e-4", "2.5e-4"}));
  EXPECT_EQ(labels(0, 2.5e-3, Quantity::number), (Labels{"0", "0.0005", "0.0010", "0.0015", "0.0020", "0.0025"}));
  EXPECT_EQ(labels(-2, 2, Quantity::number), (Labels{"-2", "-1", "0", "1", "2"}));
  EXPECT_EQ(labels(0, 3300, Quantity::count), (Labels{"0", "1k", "2k", "3k"}));
  EXPECT_EQ(labels(0, 7'500'000, Quantity::count), (Labels{"0", "2M", "4M", "6M"}));
  EXPECT_EQ(labels(1, 3, Quantity::count), (Labels{"1", "2", "3"}));
  EXPECT_EQ(labels(0, 2.1e9, Quantity::bytes), (Labels{"0", "500 MB", "1 GB", "1.5 GB", "2 GB"}));
  EXPECT_EQ(labels(0, 55, Quantity::duration), (Labels{"0", "15 s", "30 s", "45 s"}));
  EXPECT_EQ(labels(0, 620, Quantity::duration), (Labels{"0", "5 min", "10 min"}));
  EXPECT_EQ(labels(0, 9000, Quantity::duration), (Labels{"0", "0.5 h", "1 h", "1.5 h", "2 h", "2.5 h"}));
  EXPECT_EQ(labels(0, 400'000, Quantity::duration), (Labels{"0", "1 d", "2 d", "3 d", "4 d"}));
}

TEST(Axis, LogScale) {
  EXPECT_EQ(labels(0.5, 2000, Quantity::number, true), (Labels{"1", "10", "100", "1000"}));
  EXPECT_EQ(labels(1.5, 40, Quantity::number, true), (Labels{"2", "5", "10", "20"}));
  EXPECT_EQ(labels(3, 8, Quantity::number, true), (Labels{"3", "4", "5", "6", "7", "8"}));
  const Axis axis = make_axis(0.1, 1000, 5, Quantity::number, true);
  EXPECT_DOUBLE_EQ(axis.position(0.1), 0);
  EXPECT_DOUBLE_EQ(axis.position(10), 0.5);
  EXPECT_DOUBLE_EQ(axis.position(1000), 1);
}

// Whatever the range: some ticks and not too many, inside of it and equally far apart.
TEST(Axis, AnyRangeHasTicks) {
  for (const Quantity quantity : {Quantity::number, Quantity::count, Quantity::duration, Quantity::bytes})
    for (const double low : {0.0, 1e-9, 0.3, 1.0, 7.0, 12'345.0, 3e11})
      for (const double width : {0.0, 1e-8, 0.013, 1.0, 3.7, 86'399.0, 5e12}) {
        const Axis axis = make_axis(low, low + width, 5, quantity);
        ASSERT_GE(axis.ticks.size(), 2u) << low << " " << width;
        ASSERT_LE(axis.ticks.size(), 7u) << low << " " << width;
        for (const Tick& tick : axis.ticks) {
          EXPECT_GE(tick.at, axis.low);
          EXPECT_LE(tick.at, axis.high);
          EXPECT_LE(tick.label.size(), 18u) << tick.label;
        }
        EXPECT_LE(axis.low, low);
        EXPECT_GE(axis.high, low + width);
        if (low > 0 && quantity == Quantity::number) {
          const Axis log = make_axis(low, low + width, 5, quantity, true);
          EXPECT_GE(log.ticks.size(), 2u) << low << " " << width;
          EXPECT_LE(log.ticks.size(), 8u) << low << " " << width;
        }
      }
  EXPECT_NE(test::error_of([] { make_axis(NAN, 1, 5, Quantity::number); }), "");
  EXPECT_NE(test::error_of([] { make_axis(0, 1, 5, Quantity::number, true); }), "");
}

TEST(Axis, Texts) {
  EXPECT_EQ(text_of(3.40249, Quantity::number), "3.402");
  EXPECT_EQ(text_of(0.0025, Quantity::number), "0.0025");
  EXPECT_EQ(text_of(2.5e-4, Quantity::number), "2.5e-4");
  EXPECT_EQ(text_of(12345, Quantity::number), "12345");
  EXPECT_EQ(text_of(0, Quantity::number), "0");
  EXPECT_EQ(text_of(999, Quantity::count), "999");
  EXPECT_EQ(text_of(1'638'400, Quantity::count), "1.64M");
  EXPECT_EQ(text_of(1054, Quantity::count), "1054");
  EXPECT_EQ(text_of(9999.6, Quantity::count), "10000");
  EXPECT_EQ(text_of(17.42, Quantity::duration), "17.4 s");
  EXPECT_EQ(text_of(59.97, Quantity::duration), "1 min");
  EXPECT_EQ(text_of(138.6, Quantity::duration), "2 min 19 s");
  EXPECT_EQ(text_of(720, Quantity::duration), "12 min");
  EXPECT_EQ(text_of(3599.6, Quantity::duration), "1 h");
  EXPECT_EQ(text_of(3900, Quantity::duration), "1 h 5 min");
  EXPECT_EQ(text_of(200'000, Quantity::duration), "2 d 8 h");
  EXPECT_EQ(measured_text(4.5996), "4.600");
  EXPECT_EQ(measured_text(0.75456), "0.7546");
  EXPECT_EQ(measured_text(12345.6), "12346");
  EXPECT_EQ(text_of(1.5e9, Quantity::bytes), "1.5 GB");
  EXPECT_EQ(text_of(NAN, Quantity::count), "?");
}

}  // namespace
}  // namespace rw::report
