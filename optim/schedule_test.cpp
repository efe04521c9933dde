#include "optim/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error.hpp"

namespace rw::test {
namespace {

constexpr auto kAll = {ScheduleKind::constant, ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::wsd};

Schedule schedule(ScheduleKind kind) {
  return {.kind = kind, .lr = 0.5, .min_share = 0.1, .warmup = 20, .steps = 220, .decay_share = 0.2};
}

TEST(Schedule, WarmUpIsLinearFromZero) {
  for (ScheduleKind kind : kAll) {
    EXPECT_DOUBLE_EQ(learning_rate(schedule(kind), 1), 0.5 / 20);
    EXPECT_DOUBLE_EQ(learning_rate(schedule(kind), 10), 0.25);
    EXPECT_EQ(learning_rate(schedule(kind), 20), 0.5);
  }
}

TEST(Schedule, EndsAtTheSmallestShareAndStaysThere) {
  for (ScheduleKind kind : kAll) {
    const double end = kind == ScheduleKind::constant ? 0.5 : 0.05;
    for (int64_t step : {220, 221, 100000}) EXPECT_NEAR(learning_rate(schedule(kind), step), end, 1e-15);
  }
}

TEST(Schedule, ValuesOnTheWay) {  // by hand
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleKind::linear), 120), 0.5 * 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleKind::cosine), 120), 0.5 * 0.55);
  EXPECT_NEAR(learning_rate(schedule(ScheduleKind::cosine), 70), 0.5 * (0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2), 1e-15);
  EXPECT_EQ(learning_rate(schedule(ScheduleKind::wsd), 176), 0.5);  // 44 steps of decay
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleKind::wsd), 187), 0.5 * 0.55);
  EXPECT_EQ(learning_rate(schedule(ScheduleKind::constant), 219), 0.5);
}

TEST(Schedule, RisesThenNeverRisesAgain) {
  for (ScheduleKind kind : kAll)
    for (int64_t step = 2; step <= 230; ++step) {
      const double before = learning_rate(schedule(kind), step - 1), now = learning_rate(schedule(kind), step);
      if (step <= 20)
        EXPECT_GT(now, before) << step;
      else
        EXPECT_LE(now, before) << step;
    }
}

TEST(Schedule, HasNoJump) {
  // From step to step, with n steps, at most 1/W at the warm-up, π/2 / (n - W) in a cosine, 1/√D where a tail begins.
  for (ScheduleKind kind : kAll) {
    Schedule s = schedule(kind);
    s.steps = 200000, s.warmup = 2000;
    double most = 0;
    for (int64_t step = 2; step <= s.steps; ++step)
      most = std::max(most, std::abs(learning_rate(s, step) - learning_rate(s, step - 1)));
    EXPECT_LE(most, s.lr * (kind == ScheduleKind::wsd ? 0.9 / std::sqrt(40000.0) : 1.0 / 2000) + 1e-12);
  }
}

TEST(Schedule, ShortRuns) {
  for (ScheduleKind kind : kAll) {
    Schedule s = schedule(kind);
    s.steps = s.warmup = 4;  // warm-up only
    EXPECT_EQ(learning_rate(s, 4), 0.5);
    s.steps = 3;
    EXPECT_DOUBLE_EQ(learning_rate(s, 3), 0.375);
    s.steps = 1, s.warmup = 0;
    EXPECT_NEAR(learning_rate(s, 1), kind == ScheduleKind::constant || kind == ScheduleKind::wsd ? 0.5 : 0.05, 1e-15);
  }
  Schedule s = schedule(ScheduleKind::wsd);
  s.decay_share = 1;  // no stable part: the tail begins where the warm-up ends
  EXPECT_EQ(learning_rate(s, 20), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(s, 70), 0.5 * 0.55);
  s.decay_share = 0;
  EXPECT_EQ(learning_rate(s, 220), 0.5);
}

TEST(Schedule, ErrorsNameWhatIsWrong) {
  const auto error = [](auto change, int64_t step = 1) {
    Schedule s = schedule(ScheduleKind::cosine);
    change(s);
    return error_of([&] { learning_rate(s, step); });
  };
  using testing::HasSubstr;
  EXPECT_EQ(error([](Schedule&) {}), "");
  EXPECT_THAT(error([](Schedule&) {}, 0), HasSubstr("learning_rate: expected step >= 1"));
  EXPECT_THAT(error([](Schedule& s) { s.steps = 0; }), HasSubstr("s.steps = 0"));
  EXPECT_THAT(error([](Schedule& s) { s.warmup = -1; }), HasSubstr("s.warmup = -1"));
  EXPECT_THAT(error([](Schedule& s) { s.lr = -1; }), HasSubstr("s.lr = -1"));
  EXPECT_THAT(error([](Schedule& s) { s.min_share = 1.5; }), HasSubstr("s.min_share = 1.5"));
  EXPECT_THAT(error([](Schedule& s) { s.decay_share = -0.5; }), HasSubstr("s.decay_share = -0.5"));
}

}  // namespace
}  // namespace rw::test
