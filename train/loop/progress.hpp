// What a user sees of a run, on stderr and in log.txt.
//   terminal  one status line, rewritten at most 5 times a second; evaluations, saves and warnings stay above it
//   plain     key=value lines, every `log_every` steps and at least every 30 s
//   json      the same as JSON Lines: {"event":"step","step":120,...}, "eval", "save", "note", "warning"
//   quiet     warnings only
// log.txt always gets what `plain` prints.
#pragma once
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace rw {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // a number that is not known: not printed

struct StepReport {
  int64_t step = 0;        // optimizer steps done
  double seconds = 0;      // of this step, without evaluation and saving
  int64_t tokens = 0;      // seen in training so far
  double step_tokens = 0;  // of this step, for tok/s
  double loss = kNone, ema = kNone, lr = kNone, grad_norm = kNone;
  double memory = kNone;  // bytes
};

struct ProgressOptions {
  enum class Mode { terminal, plain, json, quiet } mode = Mode::plain;
  bool colour = false;
  bool unicode = false;                                    // the locale's characters are UTF-8
  int64_t first_step = 0;                                  // done before this process started
  int64_t total_steps = 0;                                 // of the whole run
  int64_t log_every = 10, eval_every = 0, save_every = 0;  // steps; 0: never
  std::function<void(std::string_view)> print;             // where bytes go: stderr
  std::function<void(std::string_view)> log;               // a line of log.txt, without its end; may be empty
  std::function<double()> clock;                           // seconds, monotonic
  std::function<int()> width;                              // columns of the terminal
};

// With print, clock and width of this process, and the mode that fits stderr, --json, --quiet, NO_COLOR and TERM.
ProgressOptions standard_progress(bool json, bool quiet);

class Progress {
 public:
  explicit Progress(ProgressOptions options);
  ~Progress();  // ends the status line

  void length(int64_t total_steps, int64_t eval_every, int64_t save_every);  // as in the options, from now on
  void step(const StepReport& report);                                       // after each step
  void evaluation(int64_t step, double val_loss, double bits_per_byte, double seconds, bool best);
  void saved(int64_t step, std::string_view folder, double seconds);
  void note(std::string_view text);  // permanent; may have several lines
  void warning(std::string_view text);
  void finish();  // the last step is shown, whatever the interval; the status line ends

  // Seconds to go: the median of recent steps times the steps left, and for each evaluation and save left the mean of
  // those so far. NaN before the first step.
  double eta() const;

 private:
  struct Event {  // in three spellings
    std::string terminal, plain, json;
  };
  void show(const Event& event, bool warning);
  void show_step();
  void redraw();
  std::string status_line(int columns) const;
  double rate() const;  // tokens per second of recent steps

  ProgressOptions options_;
  StepReport last_;
  double val_ = kNone, bits_ = kNone;
  std::deque<StepReport> recent_;
  double eval_seconds_ = 0, save_seconds_ = 0;  // of all so far
  int64_t evals_ = 0, saves_ = 0;
  double drawn_at_ = 0, shown_at_ = 0;
  int64_t shown_step_ = 0;
  bool line_open_ = false;
};

std::string format_duration(double seconds);  // "12:31", "1:02:03", "3d 04:05"

}  // namespace rw
