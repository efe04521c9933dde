#include "optim/schedule.hpp"

#include <cmath>
#include <numbers>

#include "core/base/check.hpp"

namespace rw {
namespace {

// How much of the way from lr down to min_share · lr is left, from 1 to 0. Called after the warm-up.
double height(const Schedule& s, int64_t step) {
  const auto share = [](int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); };
  switch (s.kind) {
    case ScheduleKind::constant:
      return 1;
    case ScheduleKind::linear:
      return 1 - share(step - s.warmup, s.steps - s.warmup);
    case ScheduleKind::cosine:
      return (1 + std::cos(std::numbers::pi * share(step - s.warmup, s.steps - s.warmup))) / 2;
    case ScheduleKind::wsd: {
      const int64_t decay =
          std::min<int64_t>(std::llround(s.decay_share * static_cast<double>(s.steps)), s.steps - s.warmup);
      const int64_t stable = s.steps - decay;
      return step <= stable ? 1 : 1 - std::sqrt(share(step - stable, decay));
    }
  }
  throw Error("learning_rate: unknown schedule");
}

}  // namespace

double learning_rate(const Schedule& s, int64_t step) {
  RW_CHECK(step >= 1 && s.steps >= 1, step, s.steps);
  RW_CHECK(s.lr >= 0 && s.warmup >= 0, s.lr, s.warmup);
  RW_CHECK(s.min_share >= 0 && s.min_share <= 1, s.min_share);
  RW_CHECK(s.decay_share >= 0 && s.decay_share <= 1, s.decay_share);
  step = std::min(step, s.steps);
  if (step <= s.warmup) return s.lr * static_cast<double>(step) / static_cast<double>(s.warmup);
  return s.lr * (s.min_share + (1 - s.min_share) * height(s, step));
}

}  // namespace rw
