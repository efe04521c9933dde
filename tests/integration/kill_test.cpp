// A run that is killed, interrupted or out of disk at any moment loses nothing: what it goes on to is, bit for bit,
// what it would have been.
#include <gtest/gtest.h>

#include "tests/support/sanitizer.hpp"
#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 30;

struct Kill : TinyRuns {
  // Waits until the run has made steps.
  void wait_for_steps(const std::string& run) const {
    std::error_code ignored;
    for (int i = 0; i < 20000; ++i) {
      if (const auto size = fs::file_size(folder / run / "metrics.jsonl", ignored); !ignored && size > 0) return;
      usleep(1000);
    }
    FAIL() << "no step in 20 s";
  }
  // Waits until a file is there, or has gone.
  static void wait_for(const fs::path& file, bool there) {
    for (int i = 0; i < 20000; ++i) {
      if (fs::exists(file) == there) return;
      usleep(1000);
    }
    FAIL() << file << " is not " << (there ? "made" : "removed") << " in 20 s";
  }
};

TEST_F(Kill, AtThirtyRandomMoments) {
  if (kSanitizer) GTEST_SKIP() << "what is killed says nothing to a sanitizer";
  const Words length = {"--steps", "100"};
  const double seconds = whole("whole", length);
  const RunState expected = state_of(folder / "whole");

  std::mt19937 random(7);
  int kills = 0, runs = 0, abandoned = 0;
  for (bool finished = true; kills < kKills || !finished;) {
    if (finished) ++runs;
    const std::string name = "run" + std::to_string(runs);
    const int64_t before = newest_step(name);
    Process process(ropewalk(before < 0 ? pretrain(name, length + Words{"--overwrite"}) : resume(name)),
                    {.folder = folder.path()});
    if (kills < kKills) {
      usleep(static_cast<useconds_t>(std::uniform_real_distribution<>(0, seconds / 3)(random) * 1e6));
      process.send(SIGKILL);
    }
    const Finished done = process.wait();
    finished = done.exit == 0;
    if (!finished) {
      ASSERT_EQ(done.signal, SIGKILL) << done.err;
      ++kills;
    }
    const int64_t after = newest_step(name);
    ASSERT_GE(after, before);  // what was saved is there
    if (fs::exists(folder / name)) abandoned += !named(name, ".tmp-").empty();
    if (finished) {
      EXPECT_TRUE(state_of(folder / name) == expected);
      EXPECT_EQ(metrics_of(folder / name), metrics_of(folder / "whole"));
      EXPECT_EQ(named(name, ".tmp-"), std::vector<std::string>{});
    }
  }
  std::printf("%d kills in %d runs, %d of them left an abandoned temporary file, 0 checkpoints lost\n", kills, runs,
              abandoned);
  EXPECT_GE(kills, kKills);
  EXPECT_GE(abandoned, 1);
}

TEST_F(Kill, SignalsSaveAndExit75) {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    const std::string name = "run" + std::to_string(signal);
    const Words common = {"--save-every", "1000000", "--eval-every", "1000000", "--schedule", "constant"};
    Process process(ropewalk(pretrain(name, common + Words{"--steps", "1000000"})), {.folder = folder.path()});
    wait_for_steps(name);
    process.send(signal);
    const Finished done = process.wait();
    ASSERT_EQ(done.exit, 75) << done.err;
    EXPECT_NE(done.out.find("next:    ropewalk resume " + name), std::string::npos) << done.out;
    const int64_t step = newest_step(name);
    ASSERT_GE(step, 1);
    EXPECT_EQ(metrics_of(folder / name).back().first, step);  // of the step that was under way

    const Words end = {"--steps", std::to_string(step + 3)};
    const Finished rest = at(resume(name, end));
    EXPECT_EQ(rest.exit, 0) << rest.err;
    whole("whole" + std::to_string(signal), common + end);
    EXPECT_TRUE(state_of(folder / name).tensors == state_of(folder / ("whole" + std::to_string(signal))).tensors);
  }
}

TEST_F(Kill, MoreSignalsDuringTheSaveDoNoHarm) {
  for (int round = 0; round < 5; ++round) {
    const std::string name = "run" + std::to_string(round);
    Process process(ropewalk(pretrain(name, {"--steps", "1000000", "--save-every", "1000000"})),
                    {.folder = folder.path()});
    wait_for_steps(name);
    for (int i = 0; i < 300; ++i) {
      process.send(SIGINT);
      usleep(200);
    }
    const Finished done = process.wait();
    EXPECT_EQ(done.exit, 75) << done.signal << done.err;
    EXPECT_GE(newest_step(name), 1);
  }
}

TEST_F(Kill, SaveAndStopFiles) {
  Process process(ropewalk(pretrain("run", {"--steps", "1000000", "--save-every", "1000000"})),
                  {.folder = folder.path()});
  wait_for_steps("run");
  EXPECT_EQ(newest_step("run"), -1);
  write_file(folder / "run" / "SAVE", "");
  wait_for(folder / "run" / "SAVE", false);
  const int64_t saved = newest_step("run");
  EXPECT_GE(saved, 1);
  write_file(folder / "run" / "STOP", "");
  const Finished done = process.wait();
  EXPECT_EQ(done.exit, 75) << done.err;
  EXPECT_GT(newest_step("run"), saved);
  EXPECT_FALSE(fs::exists(folder / "run" / "STOP"));
}

// One save of a run, in which each system call in turn kills the process or fails.
class KillBySystemCall : public Kill {
 protected:
  struct Point {
    std::string call;
    int number;     // of this call in the process
    bool clean_up;  // of what an earlier save left: a failure is a warning
  };
  static constexpr const char* kCalls = "pwrite64,fsync,ftruncate,mkdir,rename,renameat2,unlink,unlinkat,rmdir";
  const Words steps_ = {"--schedule", "constant", "--eval-every", "1"};

  void SetUp() override {
    if (Process({"strace", "-qq", "-o", "/dev/null", "true"}).wait().exit != 0)
      GTEST_SKIP() << "strace is not installed, or may not trace here";
    whole("three", steps_ + Words{"--steps", "3"});
    whole("four", steps_ + Words{"--steps", "4"});
  }

  // The run "three" goes on in a copy, for one step.
  Finished traced(const Words& strace) const {
    fs::remove_all(folder / "run");
    fs::copy(folder / "three", folder / "run", fs::copy_options::recursive);
    ProcessOptions options;
    options.folder = folder.path();
    const char* asan = std::getenv("ASAN_OPTIONS");
    options.environment["ASAN_OPTIONS"] = (asan ? std::string(asan) + ":" : "") + "detect_leaks=0";  // cannot be traced
    return Process(Words{"strace", "-qq", "-o", "trace"} + strace + ropewalk(resume("run", {"--steps", "4"})), options)
        .wait();
  }

  // All calls of the save, but for some of the many writes.
  std::vector<Point> points() const {
    const Finished done = traced({"-e", std::string("trace=") + kCalls});
    EXPECT_EQ(done.exit, 0) << done.err;
    std::istringstream trace(read_file(folder / "trace"));
    std::map<std::string, int> count;
    std::vector<Point> out;
    bool saving = false, clean_up = false;
    for (std::string line; std::getline(trace, line);) {
      const std::string call = line.substr(0, line.find('('));
      const int number = ++count[call];
      saving |= call == "mkdir" && line.find("/step-000004.tmp-") != std::string::npos;
      clean_up |= saving && line.find("-removed\"") != std::string::npos;
      if (line.find("log.txt") != std::string::npos || (clean_up && call == "pwrite64")) break;
      if (saving && (call != "pwrite64" || number % 10 == 0)) out.push_back({call, number, clean_up});
    }
    return out;
  }

  // Whatever happened to the save, a good checkpoint is there, and the run goes on from it to the same end.
  void expect_nothing_lost() const {
    const int64_t step = newest_step("run");
    ASSERT_TRUE(step == 3 || step == 4) << step;
    EXPECT_TRUE(state_of(folder / "run") == state_of(folder / (step == 3 ? "three" : "four")));
    const Finished rest = at(resume("run", {"--steps", "4"}));
    EXPECT_EQ(rest.exit, 0) << rest.err;
    EXPECT_EQ(newest_step("run"), 4);
    EXPECT_TRUE(state_of(folder / "run") == state_of(folder / "four"));
  }
};

TEST_F(KillBySystemCall, KilledAtEachCall) {
  if (kSanitizer) GTEST_SKIP() << "what is killed says nothing to a sanitizer";
  int lost_step = 0;
  const std::vector<Point> all = points();
  for (const Point& p : all) {
    SCOPED_TRACE(p.call + " " + std::to_string(p.number));
    const Finished done = traced({"-e", "inject=" + p.call + ":signal=KILL:when=" + std::to_string(p.number)});
    EXPECT_EQ(done.signal, SIGKILL) << done.exit << done.err;
    lost_step += newest_step("run") == 3;
    expect_nothing_lost();
  }
  std::printf("killed at %zu calls, %d of them before the save was complete, 0 checkpoints lost\n", all.size(),
              lost_step);
  EXPECT_GE(all.size(), 30u);
  EXPECT_GE(lost_step, 20);
}

TEST_F(KillBySystemCall, EachCallFails) {
  int failures = 0;
  const std::vector<Point> all = points();
  for (const Point& p : all) {
    const char* error = failures % 2 == 0 ? "ENOSPC" : "EIO";
    SCOPED_TRACE(p.call + " " + std::to_string(p.number) + " " + error);
    const Finished done =
        traced({"-e", "inject=" + p.call + ":error=" + error + ":when=" + std::to_string(p.number) + "+"});
    ++failures;
    if (p.clean_up) {
      EXPECT_EQ(done.exit, 0) << done.err;
      EXPECT_NE(done.err.find("warning: cannot "), std::string::npos) << done.err;
    } else {
      EXPECT_EQ(done.exit, 6) << done.signal;
      EXPECT_TRUE(done.err.starts_with("error: cannot write run/")) << done.err;
      EXPECT_NE(done.err.find(error == std::string("EIO") ? "Input/output error" : "No space left"), std::string::npos);
      EXPECT_EQ(named("run", ".tmp-"), Words{});
    }
    expect_nothing_lost();
  }
  std::printf("%d calls failed, 0 checkpoints lost\n", failures);
  EXPECT_GE(failures, 30);
}

}  // namespace
}  // namespace rw::test
