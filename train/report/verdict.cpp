#include "train/report/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace rw::report {
namespace {

constexpr double kQuarter = 0.75;              // of the steps: where the last quarter begins
constexpr size_t kFewest = 4, kFewTrain = 40;  // validation and training losses that a judgement needs
constexpr double kLost = 0.2, kAbove = 0.1;    // diverged: of what was gained, and of the first loss

double last_y(const std::vector<Point>& points) { return points.empty() ? Outline::kUnknown : points.back().y; }

double lowest(const std::vector<Point>& points, double from, double below) {
  double least = std::numeric_limits<double>::infinity();
  for (const Point& p : points)
    if (p.x >= from && p.x < below) least = std::min(least, p.y);
  return least;
}

// The share by which the lowest loss fell in the last quarter.
double late_fall(const std::vector<Point>& points) {
  const double edge = kQuarter * points.back().x;
  const double before = lowest(points, 0, edge), late = lowest(points, edge, std::numeric_limits<double>::infinity());
  return (before - late) / before;
}

std::string two_digit_percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g %%", 100 * share);
  return text;
}

}  // namespace

Outline outline_of(const Record& record) {
  const Metrics& m = record.metrics;
  Outline out;
  out.step = m.last_step();
  const auto last = [](const std::vector<double>& v) { return v.empty() ? Outline::kUnknown : v.back(); };
  out.tokens = last(m.values("tokens")), out.seconds = last(m.values("seconds"));
  if (record.status && record.status->step >= out.step) {
    out.step = record.status->step;
    out.tokens = static_cast<double>(record.status->tokens), out.seconds = record.status->seconds;
  }
  if (record.status) out.total_steps = record.status->total_steps;
  if (out.total_steps == 0 && record.settings) out.total_steps = record.settings->settings.train.steps;
  out.tokens_per_second = quantile(m.values("tokens_per_second"), 0.5);
  out.memory = quantile(m.values("memory"), 1);
  out.loss = last_y(m.curve("step", "ema"));
  const std::vector<Point> val = m.curve("step", "val_loss");
  if (!val.empty()) {
    const Point best = *std::ranges::min_element(val, {}, &Point::y);
    out.val_loss = val.back().y, out.best_val = best.y, out.best_step = static_cast<int64_t>(best.x);
    for (const Point& p : m.curve("step", "val_bits_per_byte"))
      if (p.x == best.x) out.bits_per_byte = p.y;
  }
  return out;
}

Course course_of(const Record& record) {
  const std::vector<Point> train = record.metrics.curve("step", "ema"), val = record.metrics.curve("step", "val_loss");
  if (train.size() >= 2) {
    const double first = record.metrics.curve("step", "loss").front().y,
                 least = quantile(record.metrics.values("ema"), 0);
    if (train.back().y - least > std::max(kLost * (first - least), kAbove * first)) return Course::diverged;
  }
  if (val.size() >= kFewest) {
    const double best = std::ranges::min_element(val, {}, &Point::y)->y;
    if (val.back().y > best * (1 + kRise)) return Course::rising;
    return late_fall(val) > kStill ? Course::falling : Course::level;
  }
  if (val.empty() && train.size() >= kFewTrain) return late_fall(train) > kStill ? Course::falling : Course::level;
  return Course::unknown;
}

std::string_view name_of(Course course) {
  constexpr std::string_view kNames[] = {"unknown", "falling", "level", "rising", "diverged"};
  return kNames[static_cast<size_t>(course)];
}

Verdict verdict_of(const Record& record) {
  using Tone = Verdict::Tone;
  Verdict out;
  const std::string go_on = "Go on with: ropewalk resume " + record.name();
  if (!record.status) {
    out.end = "How it ended is not known";
    out.findings.push_back("There is no status.json in the folder.");
  } else {
    switch (record.status->state) {
      case RunStatus::State::running:
        out.end = record.in_use ? "Running" : "Broken off";
        if (record.in_use) break;
        out.tone = Tone::warning;
        out.findings.push_back("Its process ended without a word: killed, a crash, or a power failure.");
        out.findings.push_back(go_on);
        break;
      case RunStatus::State::finished:
        out.end = "Finished", out.tone = Tone::good;
        break;
      case RunStatus::State::interrupted:
        out.end = "Interrupted by " + record.status->why, out.tone = Tone::warning;
        out.findings.push_back(go_on);
        break;
      case RunStatus::State::failed:
        out.end = "Ended by an error", out.tone = Tone::bad;
        out.findings.push_back(record.status->why);
        break;
    }
  }
  const Outline o = outline_of(record);
  const std::vector<Point> val = record.metrics.curve("step", "val_loss");
  switch (course_of(record)) {
    case Course::unknown:
      break;
    case Course::falling: {
      const bool by_val = !val.empty();
      out.findings.push_back(std::string("The ") + (by_val ? "validation" : "training") +
                             " loss was still falling: by " +
                             two_digit_percent(late_fall(by_val ? val : record.metrics.curve("step", "ema"))) +
                             " in the last quarter of the steps. A longer run would go lower.");
      break;
    }
    case Course::level:
      out.findings.push_back("The loss has levelled off: it fell by less than " + two_digit_percent(kStill) +
                             " in the last quarter of the steps.");
      break;
    case Course::rising:
      out.findings.push_back("The validation loss rose from " + measured_text(o.best_val) + " at step " +
                             std::to_string(o.best_step) + " to " + measured_text(o.val_loss) +
                             ": the best checkpoint is not the last one (" +
                             (record.folder / "checkpoints" / "best").string() +
                             "). More data, dropout or a shorter run would help against overfitting.");
      if (out.tone == Tone::good || out.tone == Tone::neutral) out.tone = Tone::warning;
      break;
    case Course::diverged:
      out.findings.push_back("The training loss has diverged: " + measured_text(o.loss) + " at the end, " +
                             measured_text(quantile(record.metrics.values("ema"), 0)) +
                             " at its lowest. Try a lower --lr or a longer --warmup.");
      out.tone = Tone::bad;
      break;
  }
  for (const std::string& problem : record.problems) out.findings.push_back(problem);
  return out;
}

}  // namespace rw::report
