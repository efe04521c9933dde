// What stays, what goes, and what a failing save leaves.
#include "train/checkpoint/retention.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train/checkpoint/checkpoint_test.hpp"

namespace rw {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;
namespace fs = std::filesystem;

std::string pointer(const fs::path& file) { return read_file(file); }

TEST(Retention, StepNames) {
  EXPECT_EQ(step_name(0), "step-000000");
  EXPECT_EQ(step_name(123), "step-000123");
  EXPECT_EQ(step_name(12345678), "step-12345678");
  for (int64_t step : {0, 1, 999999, 1000000}) EXPECT_EQ(step_of(step_name(step)), step);
  for (const char* name : {"", "step-", "step-1", "step--00001", "step-0000001", "step-00001x", "Step-000001",
                           "step-000001.tmp-1", "step-99999999999999999999"})
    EXPECT_FALSE(step_of(name)) << name;
}

TEST(Retention, KeepsTheNewestAndTheBest) {
  const TemporaryFolder f;
  save(f.path(), 10, {.keep = 2, .best = true});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000010"}));
  save(f.path(), 20, {.keep = 2, .best = false});
  save(f.path(), 30, {.keep = 2, .best = false});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000010", "step-000020", "step-000030"}));
  EXPECT_EQ(pointer(f / "latest"), "step-000030\n");
  EXPECT_EQ(pointer(f / "best"), "step-000010\n");
  save(f.path(), 40, {.keep = 2, .best = true});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000030", "step-000040"}));
  EXPECT_EQ(pointer(f / "best"), "step-000040\n");
  save(f.path(), 50, {.keep = 1, .best = false});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000040", "step-000050"}));
  save(f.path(), 60, {.keep = 1, .best = true});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000060"}));
  EXPECT_TRUE(holds(Checkpoint::open(f.path()), 60));
}

TEST(Retention, TheSameStepAgainReplaces) {
  const TemporaryFolder f;
  save(f.path(), 10, {});
  const State other(DType::f32, 77);
  CheckpointMeta meta = meta_of(10);
  meta.command = "again";
  save_checkpoint(f.path(), meta, other.tensors, {}, {.keep = 1, .best = false});
  const Checkpoint checkpoint = Checkpoint::open(f.path());
  EXPECT_EQ(checkpoint.meta(), meta);
  EXPECT_EQ(loaded(checkpoint, DType::f32), other.bytes());
  EXPECT_EQ(f.names(), (Names{"latest", "step-000010"}));
}

// A run that goes on from an earlier step has left the course on which the later ones lie.
TEST(Retention, LaterStepsOfALeftCourseGo) {
  const TemporaryFolder f;
  for (int64_t step : {10, 20, 30}) save(f.path(), step, {.keep = 9, .best = step == 30});
  save(f.path(), 15, {.keep = 9, .best = false});
  EXPECT_EQ(f.names(), (Names{"latest", "step-000010", "step-000015"}));
  EXPECT_TRUE(holds(Checkpoint::open(f.path()), 15));
}

TEST(Retention, ClearsWhatDeadProcessesLeft) {
  const TemporaryFolder f;
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const std::string tail = ".tmp-" + std::to_string(dead), alive = ".tmp-" + std::to_string(getppid());
  for (const std::string& name : {"step-000001" + tail, "step-000002" + tail + "-removed", "step-000003" + alive}) {
    fs::create_directories(f / name);
    write_file(f / name / "checkpoint.h5", "x");
  }
  write_file(f / ("latest" + tail), "step-");
  fs::create_directories(f / "mine");
  save(f.path(), 10, {});
  EXPECT_EQ(f.names(), (Names{"latest", "mine", "step-000003" + alive, "step-000010"}));
}

// Twenty saves that fail at different places, with one checkpoint kept: it stays, whole, and is named by `latest`. Each
// in a process of its own, because libhdf5 does not give back the memory of a file that it could not close.
TEST(Retention, AFailingSaveLeavesTheOnlyCheckpoint) {
  const TemporaryFolder f;
  save(f.path(), 10, {.keep = 1, .best = true});
  const State state(DType::f32, 20);
  for (rlim_t i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const rlimit low{i * i * 200, i * i * 200};  // up to 72 KB, less than the file has
      if (setrlimit(RLIMIT_FSIZE, &low) != 0) _exit(1);
      const auto error = user_error_of(
          [&] { save_checkpoint(f.path(), meta_of(20), state.tensors, kTokenizer, {.keep = 1, .best = true}); });
      _exit(error.code == Exit::write && error.what.find("step-000020") != std::string::npos ? 75 : 2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << i;
    EXPECT_EQ(WEXITSTATUS(status), 75) << i;
    EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000010"})) << i;
    EXPECT_EQ(pointer(f / "latest"), "step-000010\n");
    EXPECT_TRUE(holds(Checkpoint::open(f.path()), 10)) << i;
  }
  save(f.path(), 20, {.keep = 1, .best = true});
  EXPECT_EQ(f.names(), (Names{"best", "latest", "step-000020"}));
}

// The state is written, but its name is not: what was there is there, and the new one as well.
TEST(Retention, LatestThatCannotBeWritten) {
  const TemporaryFolder f;
  save(f.path(), 10, {.keep = 1, .best = false});
  fs::remove(f / "latest");
  fs::create_directories(f / "latest" / "in the way");
  const State state(DType::f32, 20);
  EXPECT_EQ(user_error_of([&] { save_checkpoint(f.path(), meta_of(20), state.tensors, kTokenizer); }).code,
            Exit::write);
  EXPECT_TRUE(holds(Checkpoint::open(f / "step-000010"), 10));
  EXPECT_TRUE(holds(Checkpoint::open(f / "step-000020"), 20));
}

TEST(Retention, PlacesThatCannotBeWritten) {
  const TemporaryFolder f;
  write_file(f / "file", "x");
  const State state(DType::f32, 20);
  for (const fs::path& path : {f / "file", f / "file" / "checkpoints", fs::path("/proc/checkpoints")})
    EXPECT_EQ(user_error_of([&] { save_checkpoint(path, meta_of(20), state.tensors, kTokenizer); }).code, Exit::write)
        << path;
  EXPECT_EQ(read_file(f / "file"), "x");
}

// Root may write everywhere, so it steps aside for this one.
TEST(Retention, AReadOnlyFolder) {
  const TemporaryFolder f;
  save(f / "c", 10, {});
  fs::permissions(f.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  fs::permissions(f / "c",
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  const bool root = geteuid() == 0;
  ASSERT_EQ(seteuid(root ? 65534 : geteuid()), 0);
  const State state(DType::f32, 20);
  const auto error = user_error_of([&] { save_checkpoint(f / "c", meta_of(20), state.tensors, kTokenizer); });
  ASSERT_EQ(seteuid(root ? 0 : geteuid()), 0);
  EXPECT_EQ(error.code, Exit::write);
  EXPECT_THAT(error.advice, HasSubstr("Permission denied"));
  EXPECT_TRUE(holds(Checkpoint::open(f / "c"), 10));
  EXPECT_EQ(names_in(f / "c"), (Names{"latest", "step-000010"}));
  fs::permissions(f / "c", fs::perms::owner_all);
}

// Killed at twenty moments of saving over and over, with one checkpoint kept: there is always a whole one.
TEST(Retention, KilledWhileSaving) {
  const TemporaryFolder f;
  int64_t newest = 0;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = newest + 1;; ++step) {
        const State state(DType::f32, static_cast<unsigned>(step));
        save_checkpoint(f.path(), meta_of(step), state.tensors, kTokenizer, {.keep = 1, .best = false});
      }
    }
    while (!fs::exists(f / "latest")) usleep(1000);
    usleep(static_cast<useconds_t>(8'000 * i));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const Checkpoint checkpoint = Checkpoint::open(f.path());
    EXPECT_GE(checkpoint.meta().step, newest);
    newest = checkpoint.meta().step;
    EXPECT_TRUE(holds(checkpoint, newest));
    const std::string latest = read_pointer(f / "latest");
    EXPECT_TRUE(holds(Checkpoint::open(f / latest), *step_of(latest)));
  }
  EXPECT_GT(newest, 3);  // it was not always the first save that was killed
  save(f.path(), newest + 1, {.keep = 1, .best = false});
  EXPECT_EQ(f.names(), (Names{"latest", step_name(newest + 1)}));
}

}  // namespace
}  // namespace rw
