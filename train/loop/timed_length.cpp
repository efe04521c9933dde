#include "train/loop/timed_length.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/check.hpp"

namespace rw {
namespace {

constexpr double kWarmup = 0.02;              // share of the run
constexpr int64_t kShortestWarmup = 10;       // steps
constexpr int64_t kWholeRun = 1'000'000'000;  // the run in a schedule that counts whole parts
constexpr int64_t kFirstMark = 4;             // steps

}  // namespace

TimedLength::TimedLength(double time, int64_t warmup, int64_t step, double elapsed, int64_t total, double position)
    : time_(time),
      warmup_(warmup),
      first_step_(step),
      step_(step),
      total_(total),
      position_(position),
      elapsed_(elapsed),
      marks_{{step, elapsed}} {
  RW_CHECK(time > 0 && elapsed >= 0 && warmup >= 0, time, elapsed, warmup);
  RW_CHECK(step >= 0 && total >= step && position >= 0 && position <= 1, step, total, position);
}

void TimedLength::begin_step() {
  RW_CHECK(step_ < total_, step_, total_);
  const double even = (1 - position_) / static_cast<double>(total_ - step_);
  if (step_ < warmup_)
    position_ = kWarmup * static_cast<double>(step_ + 1) / static_cast<double>(warmup_);
  else if (warmup_ == 0 && position_ < kWarmup)
    position_ += std::min(even, kWarmup / kShortestWarmup);
  else
    position_ += even;
  position_ = std::min(position_, 1.0);
  ++step_;
}

void TimedLength::end_step(double elapsed, double reserve) {
  const auto parts = [&](double seconds, double count) { return std::floor(count * seconds / time_); };
  tenth_ = parts(elapsed, 10) > parts(elapsed_, 10);
  const int64_t done = step_ - first_step_;
  const bool early = done >= kFirstMark && std::has_single_bit(static_cast<uint64_t>(done));
  const bool marks = early || parts(elapsed, 100) > parts(elapsed_, 100);
  elapsed_ = elapsed;
  if (!marks) return;
  while (marks_.size() > 1 && marks_[1].elapsed <= elapsed - time_ / 10) marks_.pop_front();
  const double seconds = elapsed - marks_.front().elapsed, left = time_ - elapsed - reserve;
  if (seconds > 0) {
    const double speed = static_cast<double>(step_ - marks_.front().step) / seconds;
    total_ = step_ + std::llround(std::max(left, 0.0) * speed);
  }
  marks_.push_back({step_, elapsed});
}

double TimedLength::learning_rate(Schedule schedule) const {
  schedule.steps = kWholeRun;
  schedule.warmup = std::llround(kWarmup * kWholeRun);
  return rw::learning_rate(schedule, std::max<int64_t>(1, std::llround(position_ * kWholeRun)));
}

}  // namespace rw
