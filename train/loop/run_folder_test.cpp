#include "train/loop/run_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::read_file;
using test::TemporaryFolder;
using test::user_error_of;
using test::write_file;
using testing::AllOf;
using testing::HasSubstr;
using Names = std::vector<std::string>;
namespace fs = std::filesystem;

TEST(RunFolder, ANewRun) {
  const TemporaryFolder f;
  const RunFolder run = RunFolder::create(f / "runs/a/", false);
  EXPECT_EQ(run.path(), f / "runs/a");
  EXPECT_TRUE(run.moved_aside().empty());
  EXPECT_EQ(run.checkpoints(), f / "runs/a/checkpoints");
  run.write_settings("seed = 1\n");
  run.log("one");
  run.log("two");
  run.add_sample(10, "val 3.4", "It was\n```\nso");
  run.add_sample(20, "", "x");
  run.write_tokenizer(std::vector<TokenizerFile>{{"tokenizer.model", "abc"}});
  run.write_command(std::vector<std::string>{"ropewalk", "pretrain", "--prompt", "it's"});
  EXPECT_EQ(read_file(f / "runs/a/run.toml"), "seed = 1\n");
  EXPECT_EQ(read_file(f / "runs/a/log.txt"), "one\ntwo\n");
  EXPECT_EQ(read_file(f / "runs/a/tokenizer/tokenizer.model"), "abc");
  EXPECT_THAT(read_file(f / "runs/a/samples.md"),
              AllOf(HasSubstr("## step 10, "), HasSubstr("\n\nval 3.4\n\n    It was\n    ```\n    so\n\n## step 20")));
  EXPECT_THAT(read_file(f / "runs/a/command.txt"), HasSubstr("ropewalk pretrain --prompt 'it'\\''s'\n"));
}

TEST(RunFolder, RefusesAnExistingRunAndSaysWhatToType) {
  const TemporaryFolder f;
  { RunFolder::create(f / "a", false).log("x"); }
  const auto error = user_error_of([&] { RunFolder::create(f / "a", false); });
  EXPECT_EQ(error.code, Exit::write);
  EXPECT_THAT(error.what, HasSubstr((f / "a").string()));
  EXPECT_THAT(error.advice, AllOf(HasSubstr("ropewalk resume " + (f / "a").string()), HasSubstr("--overwrite")));
  EXPECT_EQ(read_file(f / "a/log.txt"), "x\n");
}

TEST(RunFolder, OverwriteMovesTheOldOneAside) {
  const TemporaryFolder f;
  for (const char* text : {"1", "2", "3"}) RunFolder::create(f / "a", true).log(text);
  EXPECT_EQ(f.names(), (Names{"a", "a.old-1", "a.old-2"}));
  EXPECT_EQ(read_file(f / "a.old-1/log.txt"), "1\n");
  EXPECT_EQ(read_file(f / "a.old-2/log.txt"), "2\n");
  EXPECT_EQ(read_file(f / "a/log.txt"), "3\n");
  EXPECT_EQ(RunFolder::create(f / "a", true).moved_aside(), f / "a.old-3");
}

TEST(RunFolder, WhatIsNoRunIsLeftAlone) {
  const TemporaryFolder f;
  fs::create_directories(f / "home");
  write_file(f / "home/thesis.tex", "x");
  write_file(f / "file", "x");
  for (const char* name : {"home", "file", "file/a"})
    for (bool overwrite : {false, true})
      EXPECT_EQ(user_error_of([&] { RunFolder::create(f / name, overwrite); }).code, Exit::write) << name;
  EXPECT_EQ(f.names(), (Names{"file", "home"}));
  EXPECT_FALSE(fs::exists(f / "home/.lock"));
  fs::create_directories(f / "empty");
  EXPECT_NO_THROW(RunFolder::create(f / "empty", false));
  EXPECT_EQ(user_error_of([&] { RunFolder::resume(f / "home"); }).code, Exit::data);
  EXPECT_EQ(user_error_of([&] { RunFolder::resume(f / "gone"); }).code, Exit::data);
}

TEST(RunFolder, TwoCannotTrainInOne) {
  const TemporaryFolder f;
  {
    const RunFolder run = RunFolder::create(f / "a", false);
    run.log("x");
    for (bool resume : {true, false}) {
      const auto error = user_error_of([&] { resume ? RunFolder::resume(f / "a") : RunFolder::create(f / "a", true); });
      EXPECT_EQ(error.code, Exit::write);
      EXPECT_THAT(error.what, HasSubstr("in use"));
      EXPECT_THAT(error.advice, AllOf(HasSubstr("process " + std::to_string(getpid()) + " "), HasSubstr(".lock")));
    }
    const pid_t child = fork();
    if (child == 0) _exit(user_error_of([&] { RunFolder::resume(f / "a"); }).code == Exit::write ? 0 : 1);
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_NO_THROW(RunFolder::resume(f / "a"));
  EXPECT_EQ(f.names(), Names{"a"});
}

// A killed process holds nothing.
TEST(RunFolder, TheLockDiesWithItsProcess) {
  const TemporaryFolder f;
  const pid_t child = fork();
  if (child == 0) {
    const RunFolder run = RunFolder::create(f / "a", false);
    run.log("x");
    kill(getpid(), SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_NO_THROW(RunFolder::resume(f / "a"));
}

TEST(RunFolder, WhatADeadProcessLeftHalfWrittenGoes) {
  const TemporaryFolder f;
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const std::string tail = ".tmp-" + std::to_string(dead), alive = ".tmp-" + std::to_string(getppid());
  { RunFolder::create(f / "a", false).write_settings(""); }
  fs::create_directories(f / "a/checkpoints" / ("step-000003" + tail + "-removed"));
  fs::create_directories(f / "a/checkpoints" / ("step-000004" + tail) / "part");
  for (const std::string& name : {"run.toml" + tail, "run.toml" + alive}) write_file(f / "a" / name, "x");
  { RunFolder::resume(f / "a"); }
  EXPECT_TRUE(fs::is_empty(f / "a/checkpoints"));
  EXPECT_FALSE(fs::exists(f / "a" / ("run.toml" + tail)));
  EXPECT_TRUE(fs::exists(f / "a" / ("run.toml" + alive)));
}

TEST(RunFolder, TouchedFilesAreRequests) {
  const TemporaryFolder f;
  {
    const RunFolder run = RunFolder::create(f / "a", false);
    using Request = RunFolder::Request;
    EXPECT_EQ(run.requested(), Request::none);
    write_file(f / "a/SAVE", "");
    EXPECT_EQ(run.requested(), Request::save);
    EXPECT_EQ(run.requested(), Request::save);
    write_file(f / "a/STOP", "");
    EXPECT_EQ(run.requested(), Request::stop);
    run.honoured();
    EXPECT_EQ(run.requested(), Request::none);
    run.honoured();
    write_file(f / "a/STOP", "");  // the process ends before it sees this
  }
  EXPECT_EQ(RunFolder::resume(f / "a").requested(), RunFolder::Request::none);
}

TEST(RunFolder, CommandTxtSaysWhereAndHow) {
  setenv("ROPEWALK_LR", "1e-3 x", 1);
  setenv("OTHER_SECRET", "hidden", 1);
  const std::string text = describe_process(std::vector<std::string>{"ropewalk", "resume", ""});
  EXPECT_THAT(text, AllOf(HasSubstr("ropewalk resume ''\n"), HasSubstr("'ROPEWALK_LR=1e-3 x'"), HasSubstr("processor"),
                          HasSubstr(RW_VERSION), HasSubstr("instructions "), HasSubstr("memory "),
                          HasSubstr("libraries    oneDNN "), testing::Not(HasSubstr("hidden"))));
  const TemporaryFolder f;
  const RunFolder run = RunFolder::create(f / "a", false);
  run.write_command(std::vector<std::string>{"first"});
  run.write_command(std::vector<std::string>{"second"});
  EXPECT_THAT(read_file(f / "a/command.txt"), AllOf(HasSubstr("first\n"), HasSubstr("\n\nsecond\n")));
}

}  // namespace
}  // namespace rw
