#include "train/loop/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/parallel.hpp"
#include "core/math/gemm.hpp"
#include "tests/support/error.hpp"
#include "train/loop/workspace.hpp"

namespace rw {
namespace {

// A new process has none of the threads of this one's team.
pid_t fork_process() {
  const pid_t child = fork();
  if (child == 0) set_threads(1);
  return child;
}

TEST(Signals, EachIsNotedAndTheFirstIsKept) {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    const StopSignals signals;
    EXPECT_EQ(interrupted(), 0);
    raise(signal);
    EXPECT_EQ(interrupted(), signal);
    for (int another : {SIGINT, SIGINT, SIGTERM, SIGUSR1}) raise(another);
    EXPECT_EQ(interrupted(), signal);
  }
  EXPECT_STREQ(signal_name(SIGUSR1), "SIGUSR1");
}

TEST(Signals, OnlyOneAtATime) {
  {
    const StopSignals signals;
    EXPECT_NE(test::error_of([] { StopSignals second; }), "");
    raise(SIGTERM);  // still caught
    EXPECT_EQ(interrupted(), SIGTERM);
  }
  const StopSignals next;
  EXPECT_EQ(interrupted(), 0);
}

// Without one alive the signal has its usual effect, also after one has lived.
TEST(Signals, TheUsualEffectComesBack) {
  const pid_t child = fork_process();
  if (child == 0) {
    { const StopSignals signals; }
    raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

// After one has come, they stay noted: the process ends with its own exit code.
TEST(Signals, AfterASignalTheEndIsNotSpoiled) {
  const pid_t child = fork_process();
  if (child == 0) {
    for (int round = 0; round < 2; ++round) {
      const StopSignals signals;
      raise(SIGINT);
    }
    raise(SIGTERM);
    _exit(75);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 75);
}

// A read that a signal interrupts goes on.
TEST(Signals, CallsGoOn) {
  int ends[2], ready[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork_process();
  if (child == 0) {
    const StopSignals signals;
    char byte = 0;
    if (write(ready[1], "r", 1) != 1) _exit(1);
    if (read(ends[0], &byte, 1) != 1 || byte != 'x') _exit(2);
    _exit(interrupted() == SIGINT ? 75 : 3);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  usleep(20'000);
  for (int i = 0; i < 3; ++i) kill(child, SIGINT), usleep(2000);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 75);
}

// A multiplication that signals interrupt gives the same numbers, and nothing else is written to.
TEST(Signals, MatrixMultiplicationSurvivesThem) {
  const Buffer a({}, {32, 257}, DType::f32), b({}, {257, 16}, DType::f32), c({}, {32, 16}, DType::f32);
  for (const Buffer* x : {&a, &b})
    for (int64_t i = 0; i < x->view().shape.elements(); ++i) x->view().as<float>().data[i] = static_cast<float>(i % 13);
  Workspace workspace({}, {});
  gemm_nn(workspace.ctx, c, a, b, Grad::overwrite);
  const auto result = [&] { return std::string(reinterpret_cast<const char*>(c.view().data), 32 * 16 * 4); };
  const std::string expected = result();
  const StopSignals signals;
  const pid_t self = getpid(), sender = fork();
  if (sender == 0) {
    while (getppid() == self) kill(self, SIGINT), usleep(20);  // also after a crash of this process it ends
    _exit(0);
  }
  int wrong = 0;
  for (int round = 0; round < 30000; ++round) {
    gemm_nn(workspace.ctx, c, a, b, Grad::overwrite);
    wrong += result() != expected;
  }
  kill(sender, SIGKILL);
  waitpid(sender, nullptr, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(interrupted(), SIGINT);
}

}  // namespace
}  // namespace rw
