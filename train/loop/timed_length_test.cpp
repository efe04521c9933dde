#include "train/loop/timed_length.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace rw::test {
namespace {

constexpr double kTime = 480;
constexpr Schedule kLinear{
    .kind = ScheduleKind::linear, .lr = 1, .min_share = 0, .warmup = 0, .steps = 1, .decay_share = 0.2};

struct Course {
  double elapsed = 0;  // with what comes after the last step
  std::vector<int64_t> totals;
  std::vector<double> positions, lrs;
};

// A run whose step takes seconds(elapsed), and `reserve` after each tenth of the time and after the last step.
Course course(int64_t estimate, const std::function<double(double)>& seconds, double reserve = 0, int64_t warmup = 0) {
  TimedLength length(kTime, warmup, 0, 0, estimate, 0);
  Course out;
  double known = 0;
  for (int64_t step = 0; step < length.total();) {
    length.begin_step(), ++step;
    out.elapsed += seconds(out.elapsed);
    length.end_step(out.elapsed, known);
    if (length.passed_tenth() || step == length.total()) out.elapsed += reserve, known = reserve;
    out.totals.push_back(length.total());
    out.positions.push_back(length.position());
    out.lrs.push_back(length.learning_rate(kLinear));
  }
  return out;
}

std::function<double(double)> changing(double before, double after, double share) {
  return [=](double elapsed) { return elapsed < share * kTime ? before : after; };
}

// The learning rate rises, then falls; no step moves it by more than a few even parts of the run.
void expect_smooth(const Course& c, double parts = 6) {
  const double steps = static_cast<double>(c.lrs.size());
  const auto top = static_cast<size_t>(std::ranges::max_element(c.lrs) - c.lrs.begin());
  for (size_t i = 1; i < c.lrs.size(); ++i) {
    EXPECT_GT(c.positions[i], c.positions[i - 1]) << i;
    if (i <= top)
      EXPECT_GT(c.lrs[i], c.lrs[i - 1]) << i;
    else
      EXPECT_LE(c.lrs[i], c.lrs[i - 1]) << i;
    if (i > top) {
      EXPECT_LT(c.positions[i] - c.positions[i - 1], parts / steps) << i << " of " << steps;
    }
  }
  EXPECT_GT(c.lrs[top], 0.98);
  EXPECT_LE(c.positions.back(), 1.0);
}

TEST(TimedLength, ASteadyMachineKeepsTheEstimate) {
  const Course c = course(4800, changing(0.1, 0.1, 1));
  EXPECT_NEAR(c.elapsed, kTime, 0.2);
  for (size_t i = 0; i < c.positions.size(); ++i)
    EXPECT_NEAR(c.positions[i], static_cast<double>(i + 1) / 4800, 1e-3) << i;
  EXPECT_NEAR(c.positions.back(), 1, 1e-9);
  EXPECT_NEAR(c.lrs.back(), 0, 1e-9);
  expect_smooth(c, 1.1);
}

TEST(TimedLength, AWrongFirstEstimateDoesNotMatter) {
  for (double wrong : {1.0 / 7, 1.0 / 3, 3.0, 7.0}) {
    const Course c = course(std::llround(wrong * 4800), changing(0.1, 0.1, 1));
    EXPECT_NEAR(c.elapsed, kTime, 0.2) << wrong;
    expect_smooth(c, 1.1);
    const auto warm = static_cast<double>(std::ranges::max_element(c.lrs) - c.lrs.begin() + 1);
    EXPECT_NEAR(warm, 96, 24) << wrong;  // 2 % of the steps, but for what the first four do
  }
}

TEST(TimedLength, TheSpeedMayChange) {
  for (double share : {0.002, 0.02, 0.1, 0.5, 0.85, 0.95})
    for (double factor : {1.0 / 3, 3.0}) {
      const Course c = course(4800, changing(0.1, 0.1 * factor, share));
      EXPECT_NEAR(c.elapsed / kTime, 1, 0.02) << share << ' ' << factor;
      EXPECT_GT(c.positions.back(), 0.98) << share << ' ' << factor;
      expect_smooth(c);
    }
}

TEST(TimedLength, ABusyMachineAndEvaluations) {
  // Three times slower in every second minute; each evaluation costs 2 % of the time.
  const auto wave = [](double elapsed) { return static_cast<int64_t>(elapsed) / 60 % 2 == 0 ? 0.3 : 0.1; };
  const Course c = course(700, wave, 0.02 * kTime);
  EXPECT_NEAR(c.elapsed / kTime, 1, 0.02);
  EXPECT_GT(c.positions.back(), 0.98);
  expect_smooth(c);
}

TEST(TimedLength, FewSteps) {
  for (int64_t steps : {1, 2, 3, 7, 20}) {
    const double seconds = kTime / static_cast<double>(steps);
    const Course c = course(3, changing(seconds, seconds, 1));
    EXPECT_LE(std::abs(c.elapsed - kTime), seconds) << steps;
    EXPECT_TRUE(std::ranges::is_sorted(c.positions));
  }
}

TEST(TimedLength, AWarmUpInSteps) {
  const Course c = course(700, changing(0.1, 0.1, 1), 0, 300);
  for (size_t i = 0; i < 300; ++i) EXPECT_NEAR(c.lrs[i], static_cast<double>(i + 1) / 300, 1e-6) << i;
  EXPECT_LT(c.lrs[300], 1);
  EXPECT_NEAR(c.elapsed, kTime, 0.2);
  EXPECT_NEAR(c.positions.back(), 1, 1e-9);
}

TEST(TimedLength, GoesOnWhereItWas) {
  // 0.125 s and 480 s: sums of the clock are exact, so that a new process estimates as the old one would have.
  TimedLength whole(kTime, 0, 0, 0, 3840, 0);
  double elapsed = 0;
  for (int64_t step = 0; step < 1000; ++step) {
    whole.begin_step();
    whole.end_step(elapsed += 0.125, 0);
  }
  TimedLength again(kTime, 0, 1000, elapsed, whole.total(), whole.position());
  for (int64_t step = 1000; step < 3840; ++step) {
    whole.begin_step(), again.begin_step();
    ASSERT_EQ(whole.position(), again.position()) << step;
    elapsed += 0.125;
    whole.end_step(elapsed, 0), again.end_step(elapsed, 0);
    ASSERT_EQ(whole.total(), again.total()) << step;
    ASSERT_EQ(whole.passed_tenth(), again.passed_tenth()) << step;
  }
  EXPECT_EQ(whole.total(), 3840);
}

TEST(TimedLength, TenTenths) {
  TimedLength length(kTime, 0, 0, 0, 480, 0);
  int tenths = 0;
  for (int64_t step = 0; step < length.total(); ++step) {
    length.begin_step();
    length.end_step(static_cast<double>(step + 1), 0);
    EXPECT_EQ(length.passed_tenth(), (step + 1) % 48 == 0) << step;
    tenths += length.passed_tenth();
  }
  EXPECT_EQ(tenths, 10);
}

TEST(TimedLength, TheTimeIsOver) {
  TimedLength length(kTime, 0, 0, 0, 100, 0);
  length.begin_step();
  length.end_step(kTime + 1, 0);
  EXPECT_EQ(length.total(), 1);
}

}  // namespace
}  // namespace rw::test
