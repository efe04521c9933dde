#include "layers/rotary/base_bound.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layers/rotary/frequencies.hpp"
#include "tests/support/error.hpp"
#include "tests/support/files.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

std::vector<double> theta(double base, int64_t d) {
  RopeConfig config;
  config.base = base;
  return rope_frequencies(config, d, 1, 1).theta;
}

// Σ_c cos(r θ[c]) written once more.
double similarity(double base, int64_t d, int64_t r, int64_t still = 0) {
  double sum = static_cast<double>(still) / 2;
  for (int64_t c = 0; c < d / 2; ++c)
    sum += std::cos(static_cast<double>(r) * std::pow(base, -2.0 * static_cast<double>(c) / static_cast<double>(d)));
  return sum;
}
int64_t first_negative(double base, int64_t d, int64_t below, int64_t still = 0) {  // `below` if there is none
  for (int64_t r = 0; r < below; ++r)
    if (similarity(base, d, r, still) < 0) return r;
  return below;
}

// Half a unit of the last of `digits` digits.
double rounding(double v, int digits) { return 0.5001 * std::pow(10, std::floor(std::log10(v)) - digits + 1); }

TEST(RopeSimilarity, IsTheSumOfCosines) {
  EXPECT_EQ(rope_similarity(theta(10000, 128), 0), 64);
  EXPECT_EQ(rope_similarity(theta(10000, 64), 0, 64), 64);
  for (int64_t r : {1, 59, 1707, 100'000})
    for (int64_t still : {0, 6})
      EXPECT_NEAR(rope_similarity(theta(500, 64), r, still), similarity(500, 64, r, still), 1e-9);
  EXPECT_EQ(rope_similarity({}, 7, 4), 2);
}

TEST(RopeUsableLength, IsThePublishedOne) {  // spec/positions.md 7.1
  const struct {
    int64_t d;
    double base;
    int64_t length;
  } rows[] = {{128, 100, 59},     {128, 500, 171},   {128, 1000, 361},  {128, 10000, 1707}, {128, 20000, 2666},
              {128, 80000, 6505}, {128, 5e5, 18438}, {128, 1e6, 27115}, {64, 10000, 725},   {64, 80000, 2919},
              {64, 5e5, 9937},    {64, 1e6, 6235},   {32, 10000, 474}};
  for (const auto& row : rows) {
    EXPECT_EQ(rope_usable_length(theta(row.base, row.d), 1 << 20), row.length) << row.d << ' ' << row.base;
    EXPECT_EQ(rope_usable_length(theta(row.base, row.d), row.length), row.length);  // none below
    EXPECT_EQ(rope_usable_length(theta(row.base, row.d), row.length + 1), row.length);
  }
  EXPECT_EQ(rope_usable_length(theta(100, 128), 0), 0);
  EXPECT_EQ(rope_usable_length({std::acos(-1e-9)}, 10), 1);  // barely negative
  EXPECT_EQ(rope_usable_length({std::acos(1e-9)}, 10), 2);
}

TEST(RopeUsableLength, IsTheFirstNegativeDistance) {  // whatever the short cuts of the search
  for (int64_t d : {2, 6, 16, 50})
    for (double base : {1.5, 3.0, 77.0, 1234.5, 98765.0})
      for (int64_t still : {0, 1, 4}) {
        const int64_t found = rope_usable_length(theta(base, d), 20'000, still);
        EXPECT_EQ(found, first_negative(base, d, 20'000, still)) << d << ' ' << base << ' ' << still;
      }
}

TEST(RopeUsableLength, HasNoEndWhenHalfOfTheHeadIsStill) {  // 7.2
  for (double base : {10.0, 1e4, 1e6}) {
    EXPECT_EQ(rope_usable_length(theta(base, 64), 200'000, 64), 200'000) << base;
    EXPECT_EQ(rope_usable_length(theta(base, 32), 200'000, 96), 200'000) << base;
  }
  EXPECT_LT(rope_usable_length(theta(1e4, 64), 200'000), 1000);
}

TEST(RopeUsableLength, CountsViolationsAsPublished) {  // 9.14: bases and frequencies of two methods, d = 128
  const std::vector<double> first = theta(5e6, 128);
  std::vector<double> second = theta(1e4 * std::pow(8, 128.0 / 88), 128);
  for (size_t c = 44; c < 64; ++c) second[c] = theta(1e4, 128)[c] / 8;
  const auto violations = [](const std::vector<double>& frequencies, int64_t below) {
    int64_t count = 0;
    for (int64_t r = 0; r < below; ++r) count += rope_similarity(frequencies, r) < 0;
    return count;
  };
  EXPECT_EQ(violations(first, 15360), 0);
  EXPECT_EQ(violations(first, 30720), 0);
  EXPECT_EQ(violations(second, 15360), 97);
  EXPECT_EQ(violations(second, 30720), 2554);
}

struct Bound {
  int64_t context, d;
  double base;
  int digits;
};

TEST(RopeBaseBound, IsThePublishedOne) {  // 7.1, to the digits given; with d = 128 it is the row of 9.7
  const Bound bounds[] = {
      {256, 128, 8.90e2, 3},     {256, 64, 1.41e3, 3},      {512, 128, 2.066e3, 4},    {512, 64, 3.439e3, 4},
      {512, 32, 1.249e4, 4},     {1024, 256, 2.968e3, 4},   {1024, 128, 4.2935e3, 5},  {1024, 64, 7.753e3, 4},
      {1024, 32, 5.815e4, 4},    {2048, 128, 1.1587e4, 5},  {2048, 64, 2.962e4, 4},    {4096, 256, 1.773e4, 4},
      {4096, 128, 2.6953e4, 5},  {4096, 64, 1.0007e5, 5},   {8192, 128, 8.3764e4, 5},  {8192, 64, 3.237e5, 4},
      {16384, 128, 2.3164e5, 5}, {32768, 128, 6.2998e5, 5}, {65536, 128, 2.0902e6, 5}, {131072, 128, 4.8691e6, 5}};
  for (const auto& [context, d, base, digits] : bounds) {
    const double found = rope_base_bound(context, d);
    EXPECT_NEAR(found, base, rounding(base, digits)) << context << ' ' << d;
    EXPECT_GE(rope_usable_length(theta(found, d), 2 * context), context) << context << ' ' << d;  // it is feasible
  }
}

TEST(RopeBaseBound, IsTheFirstFeasibleOneOfItsGrid) {
  const struct { int64_t context, d, still; } rows[] = {{40, 16, 0}, {100, 32, 0}, {200, 20, 0}, {200, 20, 4}};
  for (const auto& [context, d, still] : rows) {
    double bound = 1000.0 * static_cast<double>(context);  // the search without any of its short cuts
    for (int64_t steps = 10; steps <= 100000; steps *= 10)
      for (int64_t i = 1; i <= steps; ++i) {
        const double base = bound * (static_cast<double>(i) / static_cast<double>(steps));
        if (base <= 1 || (steps > 1000 && base < 0.99 * bound)) continue;  // the last two grids, only near their end
        if (first_negative(base, d, context, still) == context) {
          bound = base;
          break;
        }
      }
    EXPECT_EQ(rope_base_bound(context, d, still), bound) << context << ' ' << d << ' ' << still;
  }
}

TEST(RopeBaseBound, IsFeasible) {
  for (const auto& [context, d] : {std::pair<int64_t, int64_t>{1, 2}, {2, 2}, {3, 128}, {1024, 64}, {2048, 128}}) {
    const double base = rope_base_bound(context, d);
    EXPECT_GT(base, 1);
    EXPECT_EQ(first_negative(base, d, context), context) << context << ' ' << d << ' ' << base;
  }
}

TEST(RopeBaseBound, FallsWithWhatIsStill) {  // and is gone where that is half of the head
  double above = rope_base_bound(1024, 64);
  for (int64_t still : {8, 16, 32}) {
    const double bound = rope_base_bound(1024, 64, still);
    EXPECT_LT(bound, above) << still;
    EXPECT_EQ(first_negative(bound, 64, 1024, still), 1024) << still;
    above = bound;
  }
  EXPECT_LT(rope_base_bound(1024, 64, 64), 1.01);
}

TEST(RopeBaseBound, ErrorsNameWhatIsWrong) {
  const auto error = [](int64_t context, int64_t d) { return error_of([=] { rope_base_bound(context, d); }); };
  EXPECT_EQ(error(0, 8), "rope_base_bound: expected context > 0 && still >= 0, got context = 0, still = 0");
  EXPECT_EQ(error(8, 7), "rope_base_bound: expected d > 0 && d % 2 == 0, got d = 7");
  EXPECT_THAT(error_of([] { rope_usable_length({1}, -1); }), HasSubstr("rope_usable_length: expected most >= 0"));
  const CaughtUserError none = user_error_of([] { rope_base_bound(1024, 2); });
  EXPECT_EQ(none.code, Exit::usage);
  EXPECT_EQ(none.what, "no rotary base up to 1024000 suits a context of 1024 with a rotated width of 2");
  EXPECT_THAT(none.advice, HasSubstr("choose wider heads"));
}

}  // namespace
}  // namespace rw::test
