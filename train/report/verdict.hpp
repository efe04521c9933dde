// What became of a run, from its record.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "train/report/axis.hpp"
#include "train/report/record.hpp"

namespace rw::report {

struct Outline {  // NaN, or 0 for counts, where it is not known
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  int64_t step = 0, total_steps = 0;
  double tokens = kUnknown, seconds = kUnknown;
  double tokens_per_second = kUnknown;  // median
  double memory = kUnknown;             // bytes, the most
  double loss = kUnknown;               // moving average at the end
  double val_loss = kUnknown, best_val = kUnknown,
         bits_per_byte = kUnknown;  // the last, the lowest, those of the lowest
  int64_t best_step = 0;
};
Outline outline_of(const Record& record);

enum class Course {
  unknown,   // too little was logged
  falling,   // the loss fell by more than kStill in the last quarter of the steps
  level,     // by less
  rising,    // the last validation loss is more than kRise above the lowest
  diverged,  // the training loss has lost a good part of what it had gained
};
inline constexpr double kStill = 0.005, kRise = 0.01;  // shares of the loss
Course course_of(const Record& record);
std::string_view name_of(Course course);

struct Verdict {
  enum class Tone { good, neutral, warning, bad } tone = Tone::neutral;
  std::string end;                    // "Finished", "Interrupted by SIGINT", ...
  std::vector<std::string> findings;  // a sentence each
};
Verdict verdict_of(const Record& record);

}  // namespace rw::report
