// The learning rate, a pure function of the step. With t = step (from 1), n = steps, W = warmup, r = min_share:
//
//   warm-up    t <= W                lr · t / W
//   constant   t > W                 lr
//   linear     u = (t - W) / (n - W)           lr · (r + (1 - r) · (1 - u))
//   cosine     u = (t - W) / (n - W)           lr · (r + (1 - r) · (1 + cos(π · u)) / 2)
//   wsd        u = (t - (n - D)) / D           lr · (r + (1 - r) · (1 - √u)),  lr while t <= n - D
//
// D = decay_share · n rounded to the nearest step, at most n - W. After step n the value of step n holds. With W >= n
// there is warm-up only.
//
// Errors   rw::Error if step or steps is less than 1, warmup or lr is negative, or a share is outside [0, 1].
// Source   warm-up and cosine: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016,
//          arXiv 1608.03983, without restarts; wsd (warm-up, stable, decay): Hu and others, MiniCPM: Unveiling the
//          Potential of Small Language Models with Scalable Training Strategies, 2024, arXiv 2404.06395; its tail
//          1 - √u: Hägele and others, Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations,
//          2024, arXiv 2405.18392.
#pragma once
#include <cstdint>

namespace rw {

enum class ScheduleKind { constant, linear, cosine, wsd };

struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double lr = 1e-3;          // the peak
  double min_share = 0.1;    // of lr, at the last step; not for constant
  int64_t warmup = 0;        // steps
  int64_t steps = 1;         // of the whole run
  double decay_share = 0.2;  // of the run, for wsd
};

double learning_rate(const Schedule&, int64_t step);

}  // namespace rw
