#include "core/math/column_sum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using Sum = std::function<decltype(column_sum)>;

template <class T>
void naive(const Tensor& sum, const Tensor& x) {
  const View v = x;
  std::fill_n(sum.as<T>().data, v.width(), T(0));
  for (int64_t r = 0; r < v.rows(); ++r)
    for (int64_t c = 0; c < v.width(); ++c) sum.as<T>().data[c] += x.as<T>()[r][c];
}

std::string problems(const Sum& op, Bench& bench, const Backend& backend, int64_t rows, int64_t width, int64_t gap) {
  poison_scratch(bench.ctx);
  Tensor x({rows, width}, backend, gap), sum({width}, Where(backend).in_accumulator());
  x.fill(normal(x.size(), 1));
  const auto before = x.bytes();
  const DType precision = accumulator(backend.dtype);
  Tensor same_precision({width}, precision), exact({width}, DType::f64);
  Tensor x_same({rows, width}, precision), x_exact({rows, width}, DType::f64);
  x_same.fill(x.values()), x_exact.fill(x.values());
  naive<double>(exact, x_exact);
  visit_dtype<double, float>(precision, [&]<class T>() { naive<T>(same_precision, x_same); });

  op(bench.ctx, sum, x, Grad::overwrite);
  std::string found = parity("sum", sum, same_precision, exact);
  const auto bits = sum.bytes();
  auto twice = sum.values();
  for (double& v : twice) v *= 2;
  op(bench.ctx, sum, x, Grad::accumulate);
  const double limit = (backend.dtype == DType::f64 ? 1e-14 : 1e-6) * largest(twice);
  if (!(largest_difference(sum.values(), twice) <= limit)) found += "accumulate: not the sum\n";
  op(bench.ctx, sum, x, Grad::overwrite);
  if (sum.bytes() != bits) found += "overwrite: other bits\n";
  if (!sum.sentinels_intact()) found += "a sentinel was overwritten\n";
  if (x.bytes() != before) found += "an input changed\n";
  if (bench.ctx.scratch.mark() != 0) found += "scratch was not given back\n";
  return found;
}

TEST(ColumnSum, HasNoProblemsOnAnyBackend) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    if (backend.dtype == DType::bf16) {  // fewer: vectors of 8, by 32; 8 rows for each part, 256 parts
      for (const auto& [rows, width, gap] : {std::array<int64_t, 3>{1, 1, 0},
                                             {3, 8, 3},
                                             {17, 33, 0},
                                             {9, 256, 0},
                                             {33, 264, 8},
                                             {2, 4104, 0},
                                             {2063, 8, 0}})
        EXPECT_EQ(problems(column_sum, bench, backend, rows, width, gap), "") << backend << rows << 'x' << width;
      continue;
    }
    for (int64_t gap : {0, 3, 16}) {
      for (int64_t rows : {1, 3, 16, 17, 33})
        for (int64_t width : {1, 5, 15, 16, 17, 31, 32, 33, 129})
          EXPECT_EQ(problems(column_sum, bench, backend, rows, width, gap), "") << backend << rows << 'x' << width;
      EXPECT_EQ(problems(column_sum, bench, backend, 3, 4104, gap), "") << backend;
      EXPECT_EQ(problems(column_sum, bench, backend, 9, 132, gap), "") << backend;
      EXPECT_EQ(problems(column_sum, bench, backend, 2063, 9, gap), "") << backend;
      EXPECT_EQ(problems(column_sum, bench, backend, 6001, 4, gap), "") << backend;
      EXPECT_EQ(problems(column_sum, bench, backend, 257, 513, gap), "") << backend;
    }
  }
}

TEST(ColumnSum, EveryElementHasAnEffect) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor x({19, 5}, backend, 1);
    const Tensor sum({5}, Where(backend).in_accumulator());
    x.fill(normal(x.size(), 1));
    EXPECT_THAT(without_effect(x, {&sum}, [&] { column_sum(bench.ctx, sum, x, Grad::overwrite); }), testing::IsEmpty())
        << backend;
  }
}

TEST(ColumnSum, RowsAreAllDimensionsButTheLast) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensor x({2, 3, 2}, DType::f64), sum({2}, DType::f64);
  x.fill({1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60});
  column_sum(bench.ctx, sum, x, Grad::overwrite);
  EXPECT_EQ(sum.values(), (std::vector<double>{21, 210}));
}

TEST(ColumnSum, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (bool plain : {true, false}) {
    Bench bench({"f32", DType::f32, {}, plain});
    Tensor x({100, 600}, DType::f32, 5), sum({600}, DType::f32);
    x.fill(normal(x.size(), 1));
    std::vector<std::vector<std::byte>> bits;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      column_sum(bench.ctx, sum, x, Grad::overwrite);
      bits.push_back(sum.bytes());
    }
    EXPECT_THAT(bits, testing::Each(bits[0]));
  }
  set_threads(before);
}

TEST(ColumnSum, NamesWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensor x({3, 8}, DType::f32), sum({8}, DType::f32), empty({0, 8}, DType::f32), narrow({7}, DType::f32);
  const Tensor f64({8}, DType::f64), far({8}, {DType::f32, {Device::cuda, 0}});
  const auto error = [&](View to, View from, Grad store) {
    return error_of([&] { column_sum(bench.ctx, to, from, store); });
  };
  const std::string op = "column_sum: expected ";
  EXPECT_EQ(error(sum, x, Grad::accumulate), "");
  EXPECT_EQ(error(sum, empty, Grad::overwrite), op + "x.rows() > 0 && x.width() > 0, got x = f32 [0, 8]");
  EXPECT_EQ(error(narrow, x, Grad::overwrite), op + "sum.shape == Shape{x.width()}, got sum = f32 [7], x = f32 [3, 8]");
  EXPECT_EQ(error(f64, x, Grad::overwrite),
            op + "sum.dtype == accumulator(x.dtype), got sum = f64 [8], x = f32 [3, 8]");
  EXPECT_EQ(error(far, x, Grad::overwrite), op + "on_device(ctx, sum, x), got sum = f32 [8] on cuda, x = f32 [3, 8]");
  EXPECT_EQ(error(reshape(rows(x.view(), 1, 1), {8}), x, Grad::overwrite),
            op + "disjoint(sum, x), got sum = f32 [8], x = f32 [3, 8]");
  EXPECT_EQ(error(sum, x, Grad::skip), op + "store != Grad::skip");
}

// The test is tested: each of these is wrong in one way.
TEST(ColumnSum, SabotageIsFoundOut) {
  const Backend backend{"plain_f32", DType::f32, {}, true};
  Bench bench(backend);
  const auto found = [&](const Sum& op) { return problems(op, bench, backend, 17, 33, 3); };
  using testing::HasSubstr;
  EXPECT_EQ(found(column_sum), "");
  EXPECT_THAT(
      found([](Ctx& ctx, View sum, CView x, Grad store) { column_sum(ctx, sum, rows(x, 0, x.rows() - 1), store); }),
      HasSubstr("sum: error"));
  EXPECT_THAT(found([](Ctx& ctx, View sum, CView x, Grad) { column_sum(ctx, sum, x, Grad::overwrite); }),
              HasSubstr("accumulate: not the sum"));
  EXPECT_THAT(found([](Ctx& ctx, View sum, CView x, Grad) { column_sum(ctx, sum, x, Grad::accumulate); }),
              HasSubstr("sum: error nan"));
  EXPECT_THAT(found([](Ctx& ctx, View sum, CView x, Grad store) {
                column_sum(ctx, sum, x, store);
                sum.as<float>().data[33] = 0;
              }),
              HasSubstr("a sentinel"));
}

}  // namespace
}  // namespace rw::test
