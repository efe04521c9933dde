#include "train/loop/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "core/base/check.hpp"
#include "core/file/json.hpp"
#include "train/loop/machine.hpp"

namespace rw {

namespace {

constexpr double kRedraw = 0.2, kSilence = 30;  // seconds: between two drawings at least, between two lines at most
constexpr size_t kRecent = 101;                 // steps that the estimates rest on

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string format_count(double n) {
  return n < 1e4 ? format("%.0f", n) : n < 1e6 ? format("%.1fk", n / 1e3) : format("%.2fM", n / 1e6);
}

int columns_of(std::string_view text) {  // code points of UTF-8
  return static_cast<int>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

// Names with numbers, in one order for both spellings; what is not known is left out.
class Numbers {
 public:
  explicit Numbers(const char* event) : json_{{"event", event}} {}
  Numbers& add(const char* name, double value, const char* pattern = "%.6g") {
    if (std::isnan(value)) return *this;
    add_plain(name, format(pattern, value));
    if (std::isfinite(value) && value == std::floor(value) && std::abs(value) < 0x1p53)
      json_[name] = static_cast<int64_t>(value);
    else
      json_[name] = std::isfinite(value) ? OrderedJson(value) : OrderedJson();
    return *this;
  }
  Numbers& add(const char* name, std::string_view text) {
    add_plain(name, text);
    json_[name] = text;
    return *this;
  }
  const std::string& plain() const { return plain_; }
  std::string json() const { return json_.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

 private:
  void add_plain(const char* name, std::string_view value) {
    if (!plain_.empty()) plain_ += ' ';
    plain_.append(name).append("=").append(value);
  }

  std::string plain_;
  OrderedJson json_;
};

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

bool locale_is_utf8() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (is_set(variable)) {
      const std::string value = std::getenv(variable);
      return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
    }
  return false;
}

void print_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(STDERR_FILENO, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;  // nobody looks any more: no reason to stop training
    text.remove_prefix(static_cast<size_t>(done));
  }
}

int terminal_width() {
  winsize size;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

ProgressOptions standard_progress(bool json, bool quiet) {
  using Mode = ProgressOptions::Mode;
  const char* term = std::getenv("TERM");
  const bool terminal = ::isatty(STDERR_FILENO) && term && std::string_view(term) != "dumb";
  ProgressOptions options;
  options.mode = quiet ? Mode::quiet : json ? Mode::json : terminal ? Mode::terminal : Mode::plain;
  options.colour = terminal && !is_set("NO_COLOR");
  options.unicode = locale_is_utf8();
  options.print = print_to_stderr;
  options.clock = monotonic_seconds;
  options.width = terminal_width;
  return options;
}

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto s = static_cast<long>(seconds + 0.5);
  char text[64];
  if (s < 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  else if (s < 86400)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ldd %02ld:%02ld", s / 86400, s / 3600 % 24, s / 60 % 60);
  return text;
}

Progress::Progress(ProgressOptions options) : options_(std::move(options)) {
  RW_CHECK(options_.print && options_.clock && options_.width);
  shown_at_ = options_.clock();
  drawn_at_ = shown_at_ - kRedraw;
}

Progress::~Progress() {
  if (line_open_) options_.print("\n");
}

double Progress::eta() const {
  if (recent_.empty()) return kNone;
  std::vector<double> seconds;
  for (const StepReport& report : recent_) seconds.push_back(report.seconds);
  const auto middle = seconds.begin() + static_cast<long>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  const auto left = [&](int64_t every) {
    return every > 0 ? static_cast<double>(options_.total_steps / every - last_.step / every) : 0.0;
  };
  double eta = *middle * static_cast<double>(options_.total_steps - last_.step);
  if (evals_ > 0) eta += left(options_.eval_every) * eval_seconds_ / static_cast<double>(evals_);
  if (saves_ > 0) eta += left(options_.save_every) * save_seconds_ / static_cast<double>(saves_);
  return std::max(eta, 0.0);
}

double Progress::rate() const {
  double tokens = 0, seconds = 0;
  for (const StepReport& report : recent_) tokens += report.step_tokens, seconds += report.seconds;
  return seconds > 0 ? tokens / seconds : kNone;
}

void Progress::length(int64_t total_steps, int64_t eval_every, int64_t save_every) {
  options_.total_steps = total_steps, options_.eval_every = eval_every, options_.save_every = save_every;
}

void Progress::step(const StepReport& report) {
  last_ = report;
  if (recent_.size() == 1 && recent_.front().step == options_.first_step + 1) recent_.clear();  // it warmed up
  recent_.push_back(report);
  if (recent_.size() > kRecent) recent_.pop_front();
  const double now = options_.clock();
  const bool due = options_.log_every > 0 && report.step % options_.log_every == 0;
  if (due || now - shown_at_ >= kSilence) show_step();
  if (options_.mode == ProgressOptions::Mode::terminal && now - drawn_at_ >= kRedraw) redraw();
}

void Progress::show_step() {
  using Mode = ProgressOptions::Mode;
  const double remaining = eta();
  Numbers numbers("step");
  numbers.add("step", static_cast<double>(last_.step), "%.0f")
      .add("total", static_cast<double>(options_.total_steps), "%.0f")
      .add("tokens", static_cast<double>(last_.tokens), "%.0f")
      .add("loss", last_.loss)
      .add("ema", last_.ema)
      .add("val", val_)
      .add("bpb", bits_)
      .add("lr", last_.lr)
      .add("grad_norm", last_.grad_norm)
      .add("tok/s", rate(), "%.0f")
      .add("memory", last_.memory, "%.0f")
      .add("eta", remaining, "%.0f");
  if (options_.log) options_.log(numbers.plain());
  if (options_.mode == Mode::plain) options_.print(numbers.plain() + '\n');
  if (options_.mode == Mode::json) options_.print(numbers.json() + '\n');
  shown_step_ = last_.step;
  shown_at_ = options_.clock();
}

std::string Progress::status_line(int columns) const {
  const double share =
      static_cast<double>(last_.step) / static_cast<double>(std::max<int64_t>(options_.total_steps, 1));
  std::string bar;
  for (int i = 0; i < 10; ++i) {
    const bool full = i < static_cast<int>(share * 10);
    bar += options_.unicode ? (full ? "▓" : "░") : (full ? "#" : "-");
  }
  struct Field {
    int importance;  // the least important ones go where the terminal is narrow
    std::string text;
  };
  std::vector<Field> fields;
  const auto add = [&](int importance, double value, const std::string& text) {
    if (!std::isnan(value)) fields.push_back({importance, text});
  };
  std::string number = std::to_string(last_.step);
  const std::string total = std::to_string(options_.total_steps);
  number.insert(0, total.size() - std::min(total.size(), number.size()), ' ');
  add(12, 0, "step " + number + '/' + total);
  add(9, 0, format("%4.1f%%", 100 * share));
  add(1, 0, bar);
  add(11, last_.loss, "loss " + format("%.3f", last_.loss));
  add(6, last_.ema, "ema " + format("%.3f", last_.ema));
  add(7, val_, "val " + format("%.3f", val_));
  add(5, bits_, format("%.3f", bits_) + " bpb");
  add(4, last_.lr, "lr " + format("%.1e", last_.lr));
  add(3, last_.grad_norm, "|g| " + format("%.2f", last_.grad_norm));
  add(8, rate(), format_count(rate()) + " tok/s");
  add(2, last_.memory, format("%.2f GB", last_.memory / 1e9));
  add(10, eta(), "ETA " + format_duration(eta()));
  const std::string between = options_.unicode ? " · " : " | ";
  for (;;) {
    std::string line;
    for (const Field& field : fields) line.append(line.empty() ? "" : between).append(field.text);
    if (columns_of(line) <= columns) return line;
    if (fields.size() <= 1) return line.substr(0, static_cast<size_t>(std::max(columns, 0)));  // ASCII
    fields.erase(std::ranges::min_element(fields, {}, &Field::importance));
  }
}

void Progress::redraw() {
  options_.print('\r' + status_line(options_.width() - 1) + "\x1b[K");  // the last column would start a new line
  line_open_ = true;
  drawn_at_ = options_.clock();
}

void Progress::show(const Event& event, bool warning) {
  using Mode = ProgressOptions::Mode;
  if (options_.log) options_.log(event.plain);
  switch (options_.mode) {
    case Mode::terminal:
      options_.print((line_open_ ? "\r\x1b[K" : "") + event.terminal + '\n');
      line_open_ = false;
      if (!recent_.empty() && options_.clock() - drawn_at_ >= kRedraw) redraw();
      break;
    case Mode::plain:
      options_.print(event.plain + '\n');
      break;
    case Mode::json:
      options_.print(event.json + '\n');
      break;
    case Mode::quiet:
      if (warning) options_.print(event.plain + '\n');
      break;
  }
}

void Progress::evaluation(int64_t step, double val_loss, double bits_per_byte, double seconds, bool best) {
  val_ = val_loss, bits_ = bits_per_byte;
  eval_seconds_ += seconds;
  ++evals_;
  Numbers numbers("eval");
  numbers.add("step", static_cast<double>(step), "%.0f").add("val", val_loss).add("bpb", bits_per_byte);
  numbers.add("best", best ? 1 : 0).add("seconds", seconds, "%.3g");
  const std::string between = options_.unicode ? " · " : " | ";
  std::string text = "eval   step " + std::to_string(step) + between + "val " + format("%.4f", val_loss);
  if (!std::isnan(bits_per_byte)) text += between + format("%.4f", bits_per_byte) + " bpb";
  if (best) text += between + "best so far";
  show({text + between + format("%.1f s", seconds), "eval " + numbers.plain(), numbers.json()}, false);
}

void Progress::saved(int64_t step, std::string_view folder, double seconds) {
  save_seconds_ += seconds;
  ++saves_;
  Numbers numbers("save");
  numbers.add("step", static_cast<double>(step), "%.0f").add("folder", folder).add("seconds", seconds, "%.3g");
  const std::string text = "saved  " + std::string(folder) + (options_.unicode ? " · " : " | ");
  show({text + format("%.1f s", seconds), "save " + numbers.plain(), numbers.json()}, false);
}

void Progress::note(std::string_view text) {
  show({std::string(text), std::string(text), Numbers("note").add("text", text).json()}, false);
}

void Progress::warning(std::string_view text) {
  const std::string word = options_.colour ? "\x1b[33mwarning:\x1b[0m " : "warning: ";
  show({word + std::string(text), "warning: " + std::string(text), Numbers("warning").add("text", text).json()}, true);
}

void Progress::finish() {
  if (recent_.empty()) return;
  if (shown_step_ != last_.step) show_step();
  if (options_.mode != ProgressOptions::Mode::terminal) return;
  redraw();
  options_.print("\n");
  line_open_ = false;
}

}  // namespace rw
