// The length in steps of a run that is given a time, and where it is in its schedule. The machine may become faster or
// slower on the way, so the number of steps is only ever estimated:
//
//   n = t + (time - elapsed - reserve) · speed          after step t
//   speed = steps / seconds                             over the last tenth of the time: an evaluation counts too
//
// made anew whenever another hundredth of the time is over, and at first also after 4, 8, 16, ... steps. `reserve` is
// what evaluating and saving take after the last step. The learning rate follows the position p in [0, 1], which each
// step moves by an even part of what is left. So it has no jump when n changes, and p = 1 with the last step:
//
//   warm-up, p < 1/50      p += min((1 - p) / (n - t), 1/500)       2 % of the run, and at least 10 steps
//   with W steps of it     p = t / (50 · W)                         while t <= W
//   then                   p += (1 - p) / (n - t)
//
// total, position and elapsed are all that a run goes on with; as long as n is as it was, so is every number.
#pragma once
#include <cstdint>
#include <deque>

#include "optim/schedule.hpp"

namespace rw {

class TimedLength {
 public:
  // After `step` steps in `elapsed` of `time` seconds. `warmup` in steps, 0: see above.
  TimedLength(double time, int64_t warmup, int64_t step, double elapsed, int64_t total, double position);

  int64_t total() const { return total_; }        // n
  double position() const { return position_; }   // p, of the step that was begun last
  void begin_step();                              // moves p
  void end_step(double elapsed, double reserve);  // may change n; with the time over, this step is the last
  bool passed_tenth() const { return tenth_; }    // another tenth of the time was over when the last step ended

  // The learning rate at p. Of the schedule, steps and warmup are not used.
  double learning_rate(Schedule schedule) const;

 private:
  struct Mark {
    int64_t step;
    double elapsed;
  };

  double time_;
  int64_t warmup_, first_step_, step_, total_;
  double position_, elapsed_;
  bool tenth_ = false;
  std::deque<Mark> marks_;  // where n was estimated in the last tenth of the time; the first is before it
};

}  // namespace rw
