#include "layers/rotary/frequencies.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(RopeFrequencies, FormAGeometricSeries) {
  EXPECT_THAT(rope_frequencies(10000, 8),
              ElementsAre(1, DoubleNear(0.1, 1e-16), DoubleNear(0.01, 1e-17), DoubleNear(0.001, 1e-18)));
  EXPECT_THAT(rope_frequencies(5e5, 2), ElementsAre(1));
  const auto theta = rope_frequencies(10000, 128);  // rotations in 512 positions, spec/positions.md 12.1
  const auto rotations = [&](size_t c) { return 512 * theta.at(c) / (2 * M_PI); };
  EXPECT_NEAR(rotations(0), 81.487, 5e-4);
  EXPECT_NEAR(rotations(20), 4.582, 5e-4);
  EXPECT_NEAR(rotations(63), 0.00941, 5e-6);
}

TEST(RopeFrequencies, ErrorsNameWhatIsWrong) {
  const auto error = [](double base, int64_t d) { return error_of([=] { rope_frequencies(base, d); }); };
  EXPECT_EQ(error(1, 8), "rope_frequencies: expected base > 1, got base = 1");
  EXPECT_EQ(error(std::nan(""), 8), "rope_frequencies: expected base > 1, got base = nan");
  EXPECT_EQ(error(10000, 7), "rope_frequencies: expected d > 0 && d % 2 == 0, got d = 7");
  EXPECT_EQ(error(10000, 0), "rope_frequencies: expected d > 0 && d % 2 == 0, got d = 0");
}

TEST(RopeTable, HoldsCosinesAndSinesRoundedOnce) {
  const std::vector<double> theta = rope_frequencies(10000, 10);
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensor cos({300, 5}, dtype, {}, 3), sin({300, 5}, dtype, {}, 3);
    rope_table(cos, sin, theta);
    for (size_t p = 0; p < 300; ++p)
      for (size_t c = 0; c < 5; ++c) {
        const double angle = static_cast<double>(p) * theta[c];
        const auto rounded = [&](double v) { return dtype == DType::f64 ? v : double{static_cast<float>(v)}; };
        ASSERT_EQ(cos.values()[p * 5 + c], rounded(std::cos(angle)));
        ASSERT_EQ(sin.values()[p * 5 + c], rounded(std::sin(angle)));
      }
    EXPECT_TRUE(cos.sentinels_intact() && sin.sentinels_intact());
  }
}

TEST(RopeTable, ErrorsNameWhatIsWrong) {
  const Tensor a({3, 2}, DType::f32), b({3, 2}, DType::f32), narrow({3, 1}, DType::f32), f64({3, 2}, DType::f64);
  const Tensor empty({0, 2}, DType::f32), i32({3, 2}, DType::i32), far({3, 2}, DType::f32, {Device::cuda, 0});
  const auto error = [](View cos, View sin) { return error_of([&] { rope_table(cos, sin, {1, 0.5}); }); };
  EXPECT_EQ(error(a, b), "");
  EXPECT_THAT(error(narrow, narrow), HasSubstr("rope_table: expected cos.rows() > 0"));
  EXPECT_THAT(error(empty, empty), HasSubstr("got cos = f32 [0, 2]"));
  EXPECT_THAT(error(a, narrow), HasSubstr("expected sin.shape == cos.shape, got sin = f32 [3, 1], cos = f32 [3, 2]"));
  EXPECT_THAT(error(i32, i32), HasSubstr("expected cos.dtype == DType::f64 || cos.dtype == DType::f32"));
  EXPECT_THAT(error(a, f64), HasSubstr("expected sin.dtype == cos.dtype, got sin = f64 [3, 2], cos = f32 [3, 2]"));
  EXPECT_THAT(error(a, far), HasSubstr("sin = f32 [3, 2] on cuda"));
  EXPECT_THAT(error(a, a), HasSubstr("expected disjoint(cos, sin)"));
}

// Σ_c cos(r θ[c]) written once more.
double similarity(double base, int64_t d, int64_t r) {
  double sum = 0;
  for (int64_t c = 0; c < d / 2; ++c)
    sum += std::cos(static_cast<double>(r) * std::pow(base, -2.0 * static_cast<double>(c) / static_cast<double>(d)));
  return sum;
}
int64_t first_negative(double base, int64_t d, int64_t below) {  // `below` if there is none
  for (int64_t r = 0; r < below; ++r)
    if (similarity(base, d, r) < 0) return r;
  return below;
}

struct Bound {
  int64_t context, d;
  double base;  // as published, to 4 or 5 digits
};

TEST(RopeBaseBound, IsThePublishedOne) {  // spec/positions.md 7.1 and 9.7
  for (const auto& [context, d, base] : {Bound{256, 128, 8.90e2},
                                         {256, 64, 1.41e3},
                                         {512, 128, 2.066e3},
                                         {512, 64, 3.439e3},
                                         {512, 32, 1.249e4},
                                         {1024, 256, 2.968e3},
                                         {1024, 128, 4.2935e3},
                                         {1024, 64, 7.753e3},
                                         {1024, 32, 5.815e4},
                                         {2048, 128, 1.1587e4},
                                         {2048, 64, 2.962e4},
                                         {4096, 128, 2.6953e4},
                                         {4096, 64, 1.0007e5},
                                         {8192, 128, 8.3764e4},
                                         {8192, 64, 3.237e5},
                                         {16384, 128, 2.3164e5},
                                         {32768, 128, 6.2998e5}}) {
    const double digit = std::pow(10, std::floor(std::log10(base))) * (base < 3e3 ? 5e-3 : 5e-4);
    EXPECT_NEAR(rope_base_bound(context, d), base, digit) << context << ' ' << d;
  }
}

TEST(RopeBaseBound, IsTheFirstFeasibleOneOfItsGrid) {
  for (const auto& [context, d] : {std::pair<int64_t, int64_t>{40, 16}, {100, 32}, {200, 20}}) {
    double bound = 1000.0 * static_cast<double>(context);  // the search without any of its short cuts
    for (int64_t steps = 10; steps <= 100000; steps *= 10)
      for (int64_t i = 1; i <= steps; ++i) {
        const double base = bound * (static_cast<double>(i) / static_cast<double>(steps));
        if (base <= 1 || (steps > 1000 && base < 0.99 * bound)) continue;  // the last two grids, only near their end
        if (first_negative(base, d, context) == context) {
          bound = base;
          break;
        }
      }
    EXPECT_EQ(rope_base_bound(context, d), bound) << context << ' ' << d;
  }
}

TEST(RopeBaseBound, IsFeasible) {
  for (const auto& [context, d] : {std::pair<int64_t, int64_t>{1, 2}, {2, 2}, {3, 128}, {1024, 64}, {2048, 128}}) {
    const double base = rope_base_bound(context, d);
    EXPECT_GT(base, 1);
    EXPECT_EQ(first_negative(base, d, context), context) << context << ' ' << d << ' ' << base;
  }
}

TEST(RopeBaseBound, DependsOnTheFirstNegativeDistance) {  // the definition against the inverse function, 7.1
  for (const auto& [base, first] :
       {std::pair<double, int64_t>{100, 59}, {500, 171}, {1000, 361}, {10000, 1707}, {20000, 2666}, {80000, 6505}})
    EXPECT_EQ(first_negative(base, 128, 10000), first) << base;
}

TEST(RopeBaseBound, ErrorsNameWhatIsWrong) {
  const auto error = [](int64_t context, int64_t d) { return error_of([=] { rope_base_bound(context, d); }); };
  EXPECT_EQ(error(0, 8), "rope_base_bound: expected context > 0, got context = 0");
  EXPECT_EQ(error(8, 7), "rope_base_bound: expected d > 0 && d % 2 == 0, got d = 7");
  const CaughtUserError none = user_error_of([] { rope_base_bound(1024, 2); });
  EXPECT_EQ(none.code, Exit::usage);
  EXPECT_EQ(none.what, "no rotary base up to 1024000 suits a context of 1024 with a rotated width of 2");
  EXPECT_THAT(none.advice, HasSubstr("choose wider heads"));
}

}  // namespace
}  // namespace rw::test
