#include "train/loop/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace rw {
namespace {

using Mode = ProgressOptions::Mode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A run whose clock, terminal and log are in memory.
struct Screen {
  std::string printed;
  std::vector<std::string> log;
  double now = 1000;
  int columns = 200;

  ProgressOptions options(Mode mode) {
    ProgressOptions o;
    o.mode = mode;
    o.total_steps = 1221;
    o.log_every = 10;
    o.print = [this](std::string_view text) { printed += text; };
    o.log = [this](std::string_view line) { log.emplace_back(line); };
    o.clock = [this] { return now; };
    o.width = [this] { return columns; };
    return o;
  }
  std::string take() { return std::exchange(printed, {}); }
};

StepReport report(int64_t step, double seconds = 1) {
  StepReport r;
  r.step = step;
  r.seconds = seconds;
  r.tokens = step * 16384;
  r.step_tokens = 16384;
  r.loss = 4.1173;
  r.ema = 4.204;
  r.lr = 9.8e-4;
  r.grad_norm = 0.81;
  r.memory = 0.41e9;
  return r;
}

TEST(Progress, PlainLinesEveryTenStepsOrThirtySeconds) {
  Screen screen;
  Progress progress(screen.options(Mode::plain));
  for (int64_t step = 1; step < 10; ++step) screen.now += 1, progress.step(report(step));
  EXPECT_EQ(screen.take(), "");
  progress.step(report(10));
  const std::string line =
      "step=10 total=1221 tokens=163840 loss=4.1173 ema=4.204 lr=0.00098 grad_norm=0.81 tok/s=16384 memory=410000000 "
      "eta=1211";
  EXPECT_EQ(screen.take(), line + '\n');
  EXPECT_THAT(screen.log, ElementsAre(line));
  screen.now += 29.9;
  progress.step(report(11));
  EXPECT_EQ(screen.take(), "");
  screen.now += 0.2;
  progress.step(report(12));
  EXPECT_THAT(screen.take(), HasSubstr("step=12 "));
  progress.finish();
  EXPECT_EQ(screen.take(), "");
  progress.step(report(13));
  progress.finish();  // a last step is never missing
  EXPECT_THAT(screen.take(), HasSubstr("step=13 "));
}

TEST(Progress, TheStatusLineHasItsFieldsInOrder) {
  Screen screen;
  auto options = screen.options(Mode::terminal);
  options.unicode = true;
  Progress progress(options);
  progress.evaluation(100, 4.31, 2.36, 2, true);
  EXPECT_EQ(screen.take(), "eval   step 100 · val 4.3100 · 2.3600 bpb · best so far · 2.0 s\n");
  progress.step(report(120));
  EXPECT_EQ(screen.take(),
            "\rstep  120/1221 ·  9.8% · ░░░░░░░░░░ · loss 4.117 · ema 4.204 · val 4.310 · 2.360 bpb · lr 9.8e-04 · "
            "|g| 0.81 · 16.4k tok/s · 0.41 GB · ETA 18:21\x1b[K");
  screen.now += 1;
  progress.step(report(620));
  EXPECT_THAT(screen.take(), HasSubstr("▓▓▓▓▓░░░░░"));
}

TEST(Progress, TheStatusLineIsDrawnFiveTimesASecondAtMost) {
  Screen screen;
  Progress progress(screen.options(Mode::terminal));
  int drawn = 0;
  for (int64_t step = 1; step <= 1000; ++step) {
    screen.now += 0.01;
    progress.step(report(step, 0.01));
    drawn += !screen.take().empty();
  }
  EXPECT_GE(drawn, 45);
  EXPECT_LE(drawn, 51);
  EXPECT_EQ(screen.log.size(), 100u);  // plain lines go into the log all the same
}

TEST(Progress, EveryWidthIsRespected) {
  for (bool unicode : {false, true})
    for (int columns = 1; columns <= 180; ++columns) {
      Screen screen;
      screen.columns = columns;
      auto options = screen.options(Mode::terminal);
      options.unicode = unicode;
      Progress progress(options);
      progress.evaluation(100, 4.31, 2.36, 2, true);
      screen.take();
      progress.step(report(120));
      const std::string text = screen.take(), line = text.substr(1, text.size() - 4);
      EXPECT_LT(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }), columns) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos);
      const bool ascii = std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; });
      EXPECT_TRUE(unicode || ascii) << line;
      const std::string important = columns > 60 ? "ETA" : "";
      EXPECT_THAT(line, AllOf(HasSubstr(important), HasSubstr(important.empty() ? "" : "loss 4.117")));
    }
}

TEST(Progress, PermanentLinesStayAboveTheStatusLine) {
  Screen screen;
  Progress progress(screen.options(Mode::terminal));
  progress.step(report(1));
  screen.take();
  screen.now += 1;
  progress.saved(1, "runs/a/checkpoints/step-000001", 0.75);
  EXPECT_THAT(screen.take(), testing::StartsWith("\r\x1b[Ksaved  runs/a/checkpoints/step-000001 | 0.8 s\n\rstep "));
  progress.note("two\nlines");
  EXPECT_EQ(screen.take(), "\r\x1b[Ktwo\nlines\n");
  screen.now += 1;
  progress.step(report(2));
  screen.take();
  progress.finish();
  EXPECT_THAT(screen.take(), AllOf(testing::StartsWith("\r"), testing::EndsWith("\n")));
}

TEST(Progress, ADestroyedOneEndsItsLine) {
  Screen screen;
  {
    Progress progress(screen.options(Mode::terminal));
    progress.step(report(1));
    screen.take();
  }
  EXPECT_EQ(screen.take(), "\n");
}

TEST(Progress, ColourOnlyWhereItIsWanted) {
  Screen screen;
  auto options = screen.options(Mode::terminal);
  options.colour = true;
  Progress(options).warning("slow disk");
  EXPECT_EQ(screen.take(), "\x1b[33mwarning:\x1b[0m slow disk\n");
  Progress(screen.options(Mode::terminal)).warning("slow disk");
  EXPECT_EQ(screen.take(), "warning: slow disk\n");
  EXPECT_THAT(screen.log, ElementsAre("warning: slow disk", "warning: slow disk"));
}

TEST(Progress, JsonLines) {
  Screen screen;
  Progress progress(screen.options(Mode::json));
  StepReport bare;
  bare.step = 10;
  bare.loss = 4.25;
  progress.step(bare);
  progress.evaluation(10, 4.5, kNone, 0.5, false);
  progress.saved(10, "a \"b\"", 0.25);
  progress.note("hello\nyou");
  progress.warning("\xff");
  EXPECT_EQ(screen.take(),
            "{\"event\":\"step\",\"step\":10,\"total\":1221,\"tokens\":0,\"loss\":4.25,\"eta\":0}\n"
            "{\"event\":\"eval\",\"step\":10,\"val\":4.5,\"best\":0,\"seconds\":0.5}\n"
            "{\"event\":\"save\",\"step\":10,\"folder\":\"a \\\"b\\\"\",\"seconds\":0.25}\n"
            "{\"event\":\"note\",\"text\":\"hello\\nyou\"}\n"
            "{\"event\":\"warning\",\"text\":\"\xef\xbf\xbd\"}\n");
  EXPECT_THAT(screen.log[1], testing::Eq("eval step=10 val=4.5 best=0 seconds=0.5"));
}

TEST(Progress, QuietSaysWarningsOnly) {
  Screen screen;
  Progress progress(screen.options(Mode::quiet));
  progress.step(report(10));
  progress.evaluation(10, 4.5, 2, 1, true);
  progress.saved(10, "x", 1);
  progress.note("note");
  progress.finish();
  EXPECT_EQ(screen.take(), "");
  progress.warning("look");
  EXPECT_EQ(screen.take(), "warning: look\n");
  EXPECT_EQ(screen.log.size(), 5u);  // but the log has all
}

TEST(Progress, EtaIsTheMedianAndTheMeasuredCostOfTheRest) {
  Screen screen;
  auto options = screen.options(Mode::plain);
  options.total_steps = 1000;
  options.eval_every = 100;
  options.save_every = 250;
  Progress progress(options);
  EXPECT_TRUE(std::isnan(progress.eta()));
  for (int64_t step = 1; step <= 500; ++step) progress.step(report(step, step % 5 == 0 ? 50.0 : 2.0));
  EXPECT_EQ(progress.eta(), 500 * 2.0);
  progress.evaluation(100, 1, 1, 10, false);
  progress.evaluation(200, 1, 1, 20, false);
  EXPECT_EQ(progress.eta(), 500 * 2.0 + 5 * 15);
  progress.saved(250, "x", 4);
  EXPECT_EQ(progress.eta(), 500 * 2.0 + 5 * 15 + 2 * 4);
  for (int64_t step = 501; step <= 1000; ++step) progress.step(report(step, 3));  // only recent ones count
  EXPECT_EQ(progress.eta(), 0);
  progress.step(report(900, 3));
  EXPECT_EQ(progress.eta(), 100 * 3.0 + 1 * 15 + 1 * 4);
}

// The first step of a process warms up: it counts only as long as there is no other.
TEST(Progress, TheLengthMayChange) {
  Screen screen;
  Progress progress(screen.options(Mode::plain));
  progress.length(100, 0, 0);
  progress.step(report(10));
  EXPECT_THAT(screen.take(), AllOf(HasSubstr("total=100 "), HasSubstr("eta=90\n")));
  progress.length(2000, 0, 0);
  progress.step(report(20));
  EXPECT_THAT(screen.take(), AllOf(HasSubstr("total=2000 "), HasSubstr("eta=1980\n")));
}

TEST(Progress, TheFirstStepSaysLittle) {
  Screen screen;
  auto options = screen.options(Mode::plain);
  options.first_step = 100;
  options.total_steps = 110;
  Progress progress(options);
  progress.step(report(101, 60));
  EXPECT_EQ(progress.eta(), 9 * 60.0);
  progress.step(report(102, 2));
  EXPECT_EQ(progress.eta(), 8 * 2.0);
}

TEST(Progress, Durations) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(751), "12:31");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(3 * 86400 + 4 * 3600 + 5 * 60), "3d 04:05");
  EXPECT_EQ(format_duration(kNone), "?");
  EXPECT_EQ(format_duration(-1), "?");
}

// ctest gives no terminal, so this is what a log of a batch system gets.
TEST(Progress, TheModeFitsThePlace) {
  EXPECT_EQ(standard_progress(false, true).mode, Mode::quiet);
  EXPECT_EQ(standard_progress(true, false).mode, Mode::json);
  setenv("TERM", "dumb", 1);
  EXPECT_EQ(standard_progress(false, false).mode, Mode::plain);
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(standard_progress(false, false).colour);
  setenv("LC_ALL", "C.UTF-8", 1);
  EXPECT_TRUE(standard_progress(false, false).unicode);
  setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(standard_progress(false, false).unicode);
  const auto options = standard_progress(false, false);
  EXPECT_GT(options.width(), 0);
  EXPECT_GT(options.clock(), 0);
}

}  // namespace
}  // namespace rw
