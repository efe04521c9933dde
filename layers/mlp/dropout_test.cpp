#include "layers/mlp/dropout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "layers/mlp/mlp_test.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Batch {
  int64_t samples, length, width, gap;
};
std::ostream& operator<<(std::ostream& out, const Batch& b) {
  return out << b.samples << 'x' << b.length << 'x' << b.width << " gap " << b.gap;
}
std::vector<Batch> batches(DType dtype) {
  if (dtype == DType::bf16)
    return {{1, 1, 1, 0}, {3, 5, 8, 0}, {3, 5, 17, 3}, {2, 3, 264, 8}, {3, 9, 33, 0}, {2, 4100, 8, 0}};
  std::vector<Batch> all;
  for (int64_t width : {1, 3, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129, 768})
    for (int64_t gap : {0, 3}) all.insert(all.end(), {{1, 1, width, gap}, {3, 5, width, gap}});
  all.insert(all.end(), {{2, 2, 4099, 1}, {3, 9, 132, 4}, {2, 4100, 4, 0}});
  return all;
}

constexpr DrawKey kKey{.seed = 0x123456789abcdef0, .step = 11, .sample = 5, .site = 3};
constexpr double kP = 0.3;

using Op = std::function<decltype(dropout)>;

// The contract, word by word.
bool kept(DrawKey key, double p, int64_t sample, int64_t element) {
  const PhiloxCounter counter = {static_cast<uint32_t>(element / 4), key.sample + static_cast<uint32_t>(sample),
                                 key.step, key.site};
  return static_cast<double>(uniform(philox(counter, philox_key(key.seed))[static_cast<size_t>(element % 4)])) > p;
}

// A line for everything that is wrong.
std::string problems(const Op& op, const Backend& backend, Ctx& ctx, const Batch& b, double p, DrawKey key) {
  std::string found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  };
  const Shape shape{b.samples, b.length, b.width};
  Tensor x(shape, backend, b.gap), y(shape, backend, b.gap), truth(shape, backend.dtype);
  x.fill(normal(x.size(), 1));
  const auto before = x.bytes();
  op(ctx, y, x, p, key);
  auto masked = x.values();
  const double scale = backend.dtype == DType::f64 ? 1 / (1 - p) : static_cast<float>(1 / (1 - p));
  for (size_t i = 0; i < masked.size(); ++i) {
    const int64_t e = static_cast<int64_t>(i), per_sample = b.length * b.width;
    masked[i] *= kept(key, p, e / per_sample, e % per_sample) ? scale : 0;
  }
  truth.fill(masked);  // rounds the product as the op does, so equal bits are asked for
  expect(largest_difference(y.values(), truth.values()) == 0, "y: not mask · x / (1 - p)");
  expect(x.bytes() == before, "the input changed");
  expect(y.sentinels_intact(), "a sentinel was overwritten");
  op(ctx, x, x, p, key);
  expect(x.bytes() == y.bytes(), "y = x: differs");
  return found;
}

TEST(Dropout, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Batch& b : batches(backend.dtype))
      for (double p : {0.0, 0.1, 0.5, 0.999})
        EXPECT_EQ(problems(dropout, backend, bench.ctx, b, p, kKey), "") << backend << ' ' << b << " p " << p;
  }
}

TEST(Dropout, EveryElementThatIsKeptHasAnEffect) {
  std::vector<size_t> dropped;
  for (int64_t i = 0; i < 2 * 5 * 9; ++i)
    if (!kept(kKey, kP, i / 45, i % 45)) dropped.push_back(static_cast<size_t>(i));
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor x({2, 5, 9}, backend, 1), y({2, 5, 9}, backend, 1);
    x.fill(normal(x.size(), 1));
    EXPECT_EQ(without_effect(x, {&y}, [&] { dropout(bench.ctx, y, x, kP, kKey); }), dropped) << backend;
  }
}

TEST(Dropout, EitherTensorMayBeUnaligned) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    std::vector<std::vector<double>> all;
    for (const auto& [x_gap, y_gap] : {std::pair{0, 0}, {0, 3}, {3, 0}}) {
      Tensor x({2, 3, 8}, backend, x_gap), y({2, 3, 8}, backend, y_gap);
      x.fill(normal(x.size(), 1));
      dropout(bench.ctx, y, x, kP, kKey);
      all.push_back(y.values());
      EXPECT_TRUE(y.sentinels_intact()) << backend;
    }
    EXPECT_THAT(all, testing::Each(all.front())) << backend;
  }
}

TEST(Dropout, AUniformThatEqualsPIsDropped) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (int64_t gap : {0, 3})
      for (uint32_t element : {0u, 6u}) {
        const auto words = philox({element / 4, kKey.sample, kKey.step, kKey.site}, philox_key(kKey.seed));
        const double u = static_cast<double>(uniform(words[element % 4]));
        for (double p : {u, u - 0x1p-30, u - 0x1p-24})
          EXPECT_EQ(problems(dropout, backend, bench.ctx, {1, 1, 8, gap}, p, kKey), "")
              << backend << " p - u " << p - u;
      }
  }
}

TEST(Dropout, GradientMatchesCentralDifferences) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensor x({2, 3, 7}, DType::f64), y({2, 3, 7}, DType::f64), dy({2, 3, 7}, DType::f64), dx({2, 3, 7}, DType::f64);
  x.fill(normal(x.size(), 1)), dy.fill(normal(dy.size(), 2));
  dropout(bench.ctx, dx, dy, kP, kKey);
  EXPECT_LT(gradient_error(x, dx,
                           [&] {
                             dropout(bench.ctx, y, x, kP, kKey);
                             return dot(dy.values(), y.values());
                           }),
            1e-7);
}

TEST(Dropout, ABatchCutIntoMicroBatchesDrawsTheSameMasks) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor x({6, 5, 33}, backend), whole({6, 5, 33}, backend), cut({6, 5, 33}, backend);
    x.fill(normal(x.size(), 1));
    dropout(bench.ctx, whole, x, kP, kKey);
    for (int64_t first = 0; first < 6; first += 2) {
      DrawKey key = kKey;
      key.sample += static_cast<uint32_t>(first);
      const auto part = [&](const Tensor& t) { return reshape(rows(t.view(), first * 5, 10), {2, 5, 33}); };
      dropout(bench.ctx, part(cut), part(x), kP, key);
    }
    EXPECT_EQ(cut.bytes(), whole.bytes()) << backend;
  }
}

TEST(Dropout, KeepsTheExpectedShareAndMean) {
  constexpr int64_t n = 50000;
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor x({1, 50, n / 50}, backend), y({1, 50, n / 50}, backend);
    x.fill(std::vector<double>(x.size(), 1.0));
    for (double p : {0.1, 0.5, 0.9}) {
      dropout(bench.ctx, y, x, p, kKey);
      double kept_count = 0, sum = 0;
      for (double v : y.values()) kept_count += v != 0, sum += v;
      EXPECT_NEAR(kept_count / n, 1 - p, 5 * std::sqrt(p * (1 - p) / n)) << backend;
      EXPECT_NEAR(sum / n, 1, 5 * std::sqrt(p / (1 - p) / n)) << backend;
    }
  }
}

TEST(Dropout, EveryPartOfTheKeyChangesTheMask) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor x({1, 4, 64}, backend), y({1, 4, 64}, backend), other({1, 4, 64}, backend);
    x.fill(std::vector<double>(x.size(), 1.0));
    dropout(bench.ctx, y, x, 0.5, kKey);
    std::vector<DrawKey> keys(5, kKey);
    keys[0].seed += 1, keys[1].seed += uint64_t{1} << 32, keys[2].step += 1, keys[3].sample += 1, keys[4].site += 1;
    for (const DrawKey& key : keys) {
      dropout(bench.ctx, other, x, 0.5, key);
      double differ = 0;
      for (size_t i = 0; i < 256; ++i) differ += y.values()[i] != other.values()[i];
      EXPECT_NEAR(differ, 128, 40) << backend;  // half of them, 5 standard deviations
    }
  }
}

TEST(Dropout, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (bool plain : {true, false}) {
    Bench bench({"f32", DType::f32, {}, plain});
    std::vector<std::vector<std::byte>> all;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      Tensor x({3, 17, 33}, DType::f32), y({3, 17, 33}, DType::f32);
      x.fill(normal(x.size(), 1));
      dropout(bench.ctx, y, x, kP, kKey);
      all.push_back(y.bytes());
    }
    EXPECT_THAT(all, testing::Each(all[0]));
  }
  set_threads(before);
}

TEST(Dropout, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensor x({2, 3, 8}, DType::f32), y({2, 3, 8}, DType::f32), narrow({2, 3, 7}, DType::f32);
  const Tensor empty({2, 0, 8}, DType::f32), flat({6, 8}, DType::f32), f64({2, 3, 8}, DType::f64);
  const Tensor far({2, 3, 8}, {DType::f32, {Device::cuda, 0}});
  const auto error = [&](View to, View from, double p) {
    return error_of([&] { dropout(bench.ctx, to, from, p, kKey); });
  };
  EXPECT_EQ(error(y, x, 0.5), "");
  EXPECT_EQ(error(y, x, 1), "dropout: expected p >= 0 && p < 1, got p = 1");
  EXPECT_EQ(error(y, x, -0.5), "dropout: expected p >= 0 && p < 1, got p = -0.5");
  EXPECT_EQ(error(y, x, std::nan("")), "dropout: expected p >= 0 && p < 1, got p = nan");
  View huge = x;  // its last element would need a 33rd bit
  huge.shape = {1, int64_t{1} << 20, int64_t{1} << 14};
  huge.row_stride = huge.width();
  const std::vector<Wrong> wrong = {
      {0, narrow, "expected y.shape == x.shape, got y = f32 [2, 3, 7], x = f32 [2, 3, 8]"},
      {1, empty, "expected x.shape.rank == 3 && x.rows() > 0 && x.width() > 0, got x = f32 [2, 0, 8]"},
      {1, flat, "expected x.shape.rank == 3 && x.rows() > 0 && x.width() > 0, got x = f32 [6, 8]"},
      {1, huge, "< int64_t{1} << 34, got x = f32 [1, 1048576, 16384]"},
      {0, f64, "expected y.dtype == x.dtype, got y = f64 [2, 3, 8], x = f32 [2, 3, 8]"},
      {0, far, "y = f32 [2, 3, 8] on cuda"},
      {0, shifted(x), "expected same(y, x) || disjoint(y, x)"},
  };
  for (const auto& [argument, instead, message] : wrong)
    EXPECT_THAT(error(argument == 0 ? instead : y, argument == 1 ? instead : x, 0.5),
                AllOf(StartsWith("dropout: "), HasSubstr(message)));
}

TEST(Dropout, SabotageIsFoundOut) {
  const Backend backend{"plain_f32", DType::f32, {}, true};
  Bench bench(backend);
  const auto found = [&](const Op& op) { return problems(op, backend, bench.ctx, {3, 5, 7, 3}, kP, kKey); };
  EXPECT_EQ(found(dropout), "");
  const auto with = [](auto change) {
    return [=](Ctx& ctx, View y, CView x, double p, DrawKey key) {
      change(p, key);
      dropout(ctx, y, x, p, key);
    };
  };
  EXPECT_THAT(found(with([](double&, DrawKey& key) { key.sample += 1; })), HasSubstr("y: not mask"));
  EXPECT_THAT(found(with([](double& p, DrawKey&) { p = 0.5; })), HasSubstr("y: not mask"));
  EXPECT_THAT(found([](Ctx& ctx, View y, CView x, double p, DrawKey key) {
                dropout(ctx, y, x, p, key);
                y.as<float>().data[y.width()] = 0;
              }),
              HasSubstr("a sentinel"));
  EXPECT_THAT(found([](Ctx& ctx, View y, CView x, double p, DrawKey key) {
                dropout(ctx, y, x, p, key);
                if (!same(y, x)) const_cast<float*>(x.as<float>().data)[0] += 1;
              }),
              HasSubstr("the input changed"));
}

}  // namespace
}  // namespace rw::test
