#include "train/loop/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/error.hpp"

namespace rw {
namespace {

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
  const pid_t child = fork();
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

// A read that a signal interrupts goes on.
TEST(Signals, CallsGoOn) {
  int ends[2], ready[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
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

}  // namespace
}  // namespace rw
