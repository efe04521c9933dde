#include "layers/rotary/log_n_factor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

// Every element of more than one block of a grid, with gaps between the rows.
TEST(LogNFactor, IsTheLogarithmOfThePosition) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    for (const int64_t least : {int64_t{1}, int64_t{64}, int64_t{300}}) {
      Tensor factor({3, 201}, backend, 5), position({3, 201}, {DType::i32, backend.device}, 2);
      std::vector<double> at, expected;
      for (size_t i = 0; i < position.size(); ++i) {
        at.push_back(static_cast<double>(i * 37 % 1000));
        expected.push_back(std::log(std::max(at.back() + 1, static_cast<double>(least))) / std::log(64.0));
      }
      position.fill(at);
      const auto before = position.bytes();
      log_n_factor(bench.ctx, factor, position, least, 64);
      const double limit = backend.dtype == DType::f64 ? 1e-15 : 0x1p-23;
      EXPECT_LE(largest_difference(factor.values(), expected), limit) << backend << ' ' << least;
      EXPECT_TRUE(factor.sentinels_intact() && position.bytes() == before) << backend;
    }
  }
}

TEST(LogNFactor, EveryPositionHasAnEffect) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensor factor({3, 33}, backend, 5), position({3, 33}, {DType::i32, backend.device}, 2);
    const auto run = [&] { log_n_factor(bench.ctx, factor, position, 1, 64); };
    position.fill(std::vector<double>(position.size(), 7));
    EXPECT_THAT(without_effect(position, {&factor}, run, [](double p) { return p + 1; }), testing::IsEmpty())
        << backend;
  }
}

TEST(LogNFactor, NamesWhatIsWrong) {
  Arena saved("saved", {}, 0), scratch("scratch", {}, 0);
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
  const Tensor factor({2, 3}, DType::f32), narrow({2, 2}, DType::f32), bf({2, 3}, DType::bf16);
  Tensor position({2, 3}, DType::i32);
  const auto error = [&](View f, View p, int64_t least = 1, int64_t trained = 8) {
    return error_of([&] { log_n_factor(ctx, f, p, least, trained); });
  };
  using testing::HasSubstr;
  EXPECT_EQ(error(factor, position), "");
  EXPECT_THAT(error(narrow, position), HasSubstr("factor.shape == position.shape"));
  EXPECT_THAT(error(bf, position), HasSubstr("position.dtype == DType::i32"));
  EXPECT_THAT(error(factor, factor), HasSubstr("position.dtype == DType::i32"));
  EXPECT_THAT(error(factor, position, 0), HasSubstr("least >= 1"));
  EXPECT_THAT(error(factor, position, 1, 1), HasSubstr("trained >= 2"));
  position.fill({0, 1, 2, 3, -4, 5});
  EXPECT_THAT(error(factor, position), HasSubstr("position[4] = -4"));
}

}  // namespace
}  // namespace rw::test
