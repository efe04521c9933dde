#include "optim/clip.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

struct Result {
  double norm, clip;
};

Result run(Bench& bench, const Tensor& g, double limit) {
  const Where where(g.view().dtype, g.view().device);
  const Tensor norm({1}, where), clip({1}, where);
  const auto before = g.bytes();
  clip_factor(bench.ctx, norm, clip, g, limit);
  EXPECT_TRUE(norm.sentinels_intact() && clip.sentinels_intact() && g.bytes() == before);
  EXPECT_EQ(bench.ctx.scratch.mark(), 0u);
  return {norm.values()[0], clip.values()[0]};
}

TEST(ClipFactor, IsTheNormOfAll) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    for (int64_t n : {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{17}, int64_t{33}, kClipBlock - 1, kClipBlock,
                      kClipBlock + 1, 3 * kClipBlock + 7}) {
      Tensor g({n}, backend);
      g.fill(normal(g.size(), 1));
      const double norm = std::sqrt(dot(g.values(), g.values()));
      const double close = backend.dtype == DType::f64 ? 1e-13 : 0x1p-23;  // the sum is in f64, only the result is not
      for (double limit : {0.0, 0.25, 2 * norm}) {
        const Result got = run(bench, g, limit);
        EXPECT_NEAR(got.norm, norm, close * norm) << backend << ' ' << n;
        if (limit == 0.25 && norm > limit)
          EXPECT_NEAR(got.clip, limit / norm, 2 * close) << backend << ' ' << n;
        else
          EXPECT_EQ(got.clip, 1.0) << backend << ' ' << n << ' ' << limit;
      }
    }
  }
}

TEST(ClipFactor, EveryElementHasAnEffect) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensor g({133}, backend);
    const Tensor norm({1}, backend), clip({1}, backend);
    g.fill(normal(g.size(), 1));
    for (const Tensor* output : {&norm, &clip})
      EXPECT_THAT(without_effect(g, {output}, [&] { clip_factor(bench.ctx, norm, clip, g, 1); }), testing::IsEmpty())
          << backend;
  }
}

TEST(ClipFactor, ZerosAreNotScaled) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensor g({40}, backend);
    g.fill(std::vector<double>(40, 0.0));
    const Result got = run(bench, g, 1);
    EXPECT_EQ(got.norm, 0.0);
    EXPECT_EQ(got.clip, 1.0);
  }
}

TEST(ClipFactor, LargeAndSmallValuesKeepTheirDigits) {  // whose squares f32 could not hold
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensor g({4}, backend);
    g.fill({3e30, 0, 4e30, 0});
    EXPECT_NEAR(run(bench, g, 1).norm / 5e30, 1, 1e-6) << backend;
    EXPECT_NEAR(run(bench, g, 1).clip * 5e30, 1, 1e-6) << backend;
    g.fill({0, 3e-30, 0, 4e-30});
    EXPECT_NEAR(run(bench, g, 1).norm / 5e-30, 1, 1e-6) << backend;
  }
}

TEST(ClipFactor, NotFiniteAnywhereIsSeen) {
  const auto good = normal(size_t{kClipBlock} + 19, 1);
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    for (double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                       -std::numeric_limits<double>::infinity()})
      for (size_t at : {size_t{0}, size_t{17}, size_t{kClipBlock}, size_t{kClipBlock} + 18})
        for (double limit : {0.0, 1.0}) {
          Tensor g({kClipBlock + 19}, backend);
          auto values = good;
          values[at] = bad;
          g.fill(values);
          const Result got = run(bench, g, limit);
          EXPECT_FALSE(std::isfinite(got.norm)) << backend << ' ' << at;
          EXPECT_TRUE(std::isnan(got.clip)) << backend << ' ' << at;
        }
  }
}

TEST(ClipFactor, SameBitsForEveryNumberOfThreadsAndInstructionSet) {
  const int before = threads();
  std::vector<double> norms;
  for (const Backend& backend : backends_without_bf16()) {
    if (backend.plain) continue;
    Bench bench(backend);
    Tensor g({5 * kClipBlock + 3}, backend);
    g.fill(normal(g.size(), 1));
    for (int team : {1, 2, 3}) {
      set_threads(team);
      norms.push_back(run(bench, g, 1).norm);
    }
  }
  set_threads(before);
  EXPECT_THAT(norms, testing::Each(norms[0]));
}

// More blocks than the kernel that adds them has threads; one element of each counts.
TEST(ClipFactor, AddsEveryBlock) {
  constexpr size_t kBlocks = 258;
  std::vector<double> values(kBlocks * kClipBlock - 5);
  for (size_t block = 0; block < kBlocks; ++block) values[block * kClipBlock + 61 * block] = 1;
  const double norm = std::sqrt(dot(values, values));
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensor g({static_cast<int64_t>(values.size())}, backend);
    g.fill(values);
    EXPECT_NEAR(run(bench, g, 0).norm / norm, 1, 0x1p-23) << backend;
  }
}

// Not seen in the norm, which is rounded to f32.
TEST(ClipFactor, PartialSumsOnADeviceHaveTheSameBitsAtEveryAddress) {
  constexpr int64_t kElements = 2 * kClipBlock - 3;
  const auto values = normal(kElements + 3, 1);
  for (const Backend& backend : gpu_backends()) {
    if (backend.dtype == DType::bf16) continue;
    Bench bench(backend);
    std::vector<std::vector<std::byte>> bits;
    for (int64_t from : {0, 1, 3}) {
      Tensor g({kElements + 3}, backend);
      auto moved = values;
      std::rotate(moved.begin(), moved.end() - from, moved.end());
      g.fill(moved);
      const Tensor norm({1}, backend), clip({1}, backend), partial({2}, {DType::f64, backend.device});
      cuda::clip_factor(bench.ctx, norm, clip, columns(g.view(), from, kElements), 0, partial);
      bits.push_back(partial.bytes());
    }
    EXPECT_THAT(bits, testing::Each(bits[0])) << backend;
  }
}

TEST(ClipFactor, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensor norm({1}, DType::f32), clip({1}, DType::f32), g({8}, DType::f32), wide({2}, DType::f32);
  const Tensor f64({1}, DType::f64), empty({0}, DType::f32), matrix({2, 4}, DType::f32);
  const std::vector<View> right = {norm, clip, g};
  const auto error = [&](const std::vector<View>& v, double limit) {
    return error_of([&] { clip_factor(bench.ctx, v[0], v[1], v[2], limit); });
  };
  using testing::HasSubstr;
  EXPECT_EQ(error(right, 1), "");
  EXPECT_EQ(error(right, -1), "clip_factor: expected limit >= 0, got limit = -1");
  for (const auto& [argument, instead, message] : std::vector<Wrong>{
           {0, wide, "norm = f32 [2]"},
           {1, f64, "clip = f64 [1]"},
           {1, norm, "expected disjoint(norm, clip)"},
           {2, empty, "g = f32 [0]"},
           {2, matrix, "expected g.shape.rank == 1"},
       }) {
    auto views = right;
    views[argument] = instead;
    EXPECT_THAT(error(views, 1), HasSubstr(message));
  }
}

}  // namespace
}  // namespace rw::test
