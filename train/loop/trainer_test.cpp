#include "train/loop/trainer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <future>

#include "core/base/parallel.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sanitizer.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

constexpr TrainerOptions kQuiet{.arguments = {}, .json = false, .quiet = true, .stop_after = 0};

TrainerOptions stopping_after(int64_t steps) {
  TrainerOptions options = kQuiet;
  options.stop_after = steps;
  return options;
}

struct TrainerTest : testing::Test {
  TemporaryFolder folder;
  std::filesystem::path data = make_data(folder.path());
};

TEST_F(TrainerTest, ResumingChangesNoBit) {
  for (int64_t micro_batch : {1, 4}) {  // 4 and 1 micro-batches
    const auto settings = [&](const std::string& name) {
      Resolved resolved = tiny_settings(data, folder / (name + std::to_string(micro_batch)));
      resolved.settings.train.micro_batch = micro_batch;
      return resolved;
    };
    const TrainingResult whole = Trainer::pretrain(settings("whole"), kQuiet);
    EXPECT_TRUE(whole.finished);
    EXPECT_EQ(whole.step, 12);
    const RunState expected = state_of(whole.checkpoint);
    for (int64_t cut : {1, 5, 7, 11}) {
      const Resolved s = settings("cut" + std::to_string(cut) + "_");
      const TrainingResult part = Trainer::pretrain(s, stopping_after(cut));
      EXPECT_FALSE(part.finished);
      EXPECT_EQ(part.step, cut);
      const TrainingResult rest = Trainer::resume(s.settings.run.out, {}, kQuiet);
      EXPECT_TRUE(rest.finished);
      const RunState state = state_of(rest.checkpoint);
      EXPECT_EQ(state.step, 12);
      EXPECT_TRUE(state.tensors == expected.tensors) << "cut at " << cut;
      EXPECT_EQ(state.ema, expected.ema);
      EXPECT_EQ(metrics_of(s.settings.run.out).back(),
                metrics_of(folder / ("whole" + std::to_string(micro_batch))).back());
    }
  }
}

TEST_F(TrainerTest, TwentyRestartsInOneRun) {
  Resolved s = tiny_settings(data, folder / "whole");
  s.settings.train.steps = 21;
  const RunState expected = state_of(Trainer::pretrain(s, kQuiet).checkpoint);
  s.settings.run.out = (folder / "many").string();
  TrainingResult last = Trainer::pretrain(s, stopping_after(1));
  int restarts = 0;
  for (; !last.finished; ++restarts) last = Trainer::resume(s.settings.run.out, {}, stopping_after(1));
  EXPECT_EQ(restarts, 20);
  EXPECT_TRUE(state_of(last.checkpoint) == expected);
  EXPECT_EQ(metrics_of(folder / "many"), metrics_of(folder / "whole"));
}

// In f64; oneDNN's f32 products may be summed in another order with another number of threads.
TEST_F(TrainerTest, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = threads();
  std::optional<RunState> expected;
  for (int64_t count : {1, 2, 3}) {
    Resolved s = tiny_settings(data, folder / std::to_string(count));
    s.settings.train.threads = count, s.settings.train.micro_batch = 4, s.settings.train.dtype = DType::f64;
    const RunState state = state_of(Trainer::pretrain(s, kQuiet).checkpoint);
    EXPECT_EQ(threads(), count);
    if (!expected) expected = state;
    EXPECT_TRUE(state == *expected) << count << " threads";
  }
  set_threads(before);
}

TEST_F(TrainerTest, ALongerRunGoesOnFromAShorterOne) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.optimizer.schedule = ScheduleKind::constant;
  Trainer::pretrain(s, kQuiet);
  ConfigLayer more;
  more.assign("steps", "20", "--steps", "command line");
  const TrainingResult result = Trainer::resume(folder / "run", std::array{more}, kQuiet);
  EXPECT_EQ(result.step, 20);
  s.settings.run.out = (folder / "at_once").string(), s.settings.train.steps = 20;
  const TrainingResult at_once = Trainer::pretrain(s, kQuiet);
  EXPECT_TRUE(state_of(result.checkpoint).tensors == state_of(at_once.checkpoint).tensors);
}

TEST_F(TrainerTest, WhatWouldMakeAnotherRunIsRefused) {
  Trainer::pretrain(tiny_settings(data, folder / "run"), kQuiet);
  const auto refusal = [&](const char* name, const char* value) {
    ConfigLayer change;
    change.assign(name, value, std::string("--") + name, "command line");
    return user_error_of([&] { Trainer::resume(folder / "run", std::array{change}, kQuiet); });
  };
  for (const auto& [name, value] :
       {std::pair{"lr", "0.5"}, {"width", "32"}, {"seed", "9"}, {"batch", "32"}, {"dropout", "0"}}) {
    const CaughtUserError error = refusal(name, value);
    EXPECT_EQ(error.code, Exit::usage) << name;
    EXPECT_THAT(error.what + error.advice, HasSubstr(name));
  }
  EXPECT_EQ(refusal("log_every", "3").code, Exit::ok);
}

TEST_F(TrainerTest, OtherDataAreRefused) {
  const Resolved s = tiny_settings(data, folder / "run");
  Trainer::pretrain(s, stopping_after(2));
  const std::filesystem::path other = folder / "other";
  std::filesystem::create_directory(other);
  make_data(other, 500);
  std::filesystem::remove_all(data);
  std::filesystem::rename(other / "data", data);
  const CaughtUserError error = user_error_of([&] { Trainer::resume(folder / "run", {}, kQuiet); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_THAT(error.what, HasSubstr("have changed since the run began"));
}

TEST_F(TrainerTest, TouchFilesAndSignals) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.train.steps = 1000, s.settings.run.save_every = 1000;
  Trainer::pretrain(s, stopping_after(3));
  write_file(folder / "run" / "SAVE", "");
  // resume() removes what an earlier process left, and knows no signal before it has begun: it is asked after a step.
  const auto wait_for_a_step = [metrics = folder / "run" / "metrics.jsonl"] {
    const auto size = std::filesystem::file_size(metrics);
    while (std::filesystem::file_size(metrics) <= size) usleep(1000);
  };
  const auto user = std::async(std::launch::async, [&] {
    const auto appears = [&](const char* name) {
      while (!std::filesystem::exists(folder / "run" / "checkpoints" / name)) usleep(2000);
    };
    wait_for_a_step();
    write_file(folder / "run" / "STOP", "");
    while (std::filesystem::exists(folder / "run" / "STOP")) usleep(2000);
    appears("latest");
  });
  const TrainingResult stopped = Trainer::resume(folder / "run", {}, kQuiet);
  user.wait();
  EXPECT_FALSE(stopped.finished);
  EXPECT_GT(stopped.step, 3);
  EXPECT_EQ(state_of(folder / "run").step, stopped.step);

  const auto signaller = std::async(std::launch::async, [&] {
    wait_for_a_step();
    kill(getpid(), SIGTERM);
  });
  const TrainingResult killed = Trainer::resume(folder / "run", {}, kQuiet);
  signaller.wait();
  EXPECT_FALSE(killed.finished);
  EXPECT_EQ(state_of(folder / "run").step, killed.step);
}

// A clock for which fake_tick seconds lie between two looks at it.
double fake_now = 0, fake_tick = 1;
double fake_clock() { return fake_now += fake_tick; }

TrainerOptions with_fake_clock(double tick, int64_t stop_after) {
  TrainerOptions options = stopping_after(stop_after);
  fake_tick = tick, options.clock = fake_clock;
  return options;
}

TEST_F(TrainerTest, AMeasuredLengthLeavesNoTrace) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.train.steps = 0, s.settings.train.time = 200;
  EXPECT_FALSE(Trainer::pretrain(s, with_fake_clock(1, 2)).finished);
  s.settings.run.out = (folder / "steps").string();
  s.settings.train.steps = 500, s.settings.train.time = 0;
  Trainer::pretrain(s, stopping_after(1));
  EXPECT_EQ(metrics_of(folder / "run")[0].second[1], metrics_of(folder / "steps")[0].second[1]);
}

TEST_F(TrainerTest, ATimeIsKeptWhateverTheSpeed) {
  const std::vector<double> ticks = kThreadSanitizer ? std::vector<double>{1} : std::vector<double>{0.25, 1, 4};
  for (const double tick : ticks) {  // after the first 60 steps
    Resolved s = tiny_settings(data, folder / std::to_string(tick));
    s.settings.train.steps = 0, s.settings.train.time = 1000, s.settings.optimizer.warmup = 0;
    s.settings.run.eval_every = 0;
    const std::filesystem::path run = s.settings.run.out;
    EXPECT_FALSE(Trainer::pretrain(s, with_fake_clock(1, 60)).finished);
    auto at_cut = Checkpoint::open(run).meta().state;
    EXPECT_GT(at_cut.at("elapsed"), 200);
    const TrainingResult result = Trainer::resume(run, {}, with_fake_clock(tick, 0));
    EXPECT_TRUE(result.finished);
    EXPECT_NEAR(Checkpoint::open(run).meta().state.at("elapsed") / 1000, 1, 0.03) << tick;
    EXPECT_EQ(read_status(run).value().total_steps, result.step);

    const std::vector<MetricsRow> rows = read_metrics(run / "metrics.jsonl");
    const auto evaluations = std::ranges::count_if(rows, [](const auto& row) { return !!row.find("val_loss"); });
    EXPECT_NEAR(static_cast<double>(evaluations), 10, 1) << tick;
    // The first learning rate after the cut is that of the length and the position that were saved.
    TimedLength length(1000, 0, 60, at_cut["elapsed"], static_cast<int64_t>(at_cut["total_steps"]), at_cut["position"]);
    length.begin_step();
    const Settings::Optimizer& o = s.settings.optimizer;
    const Schedule schedule{.kind = o.schedule, .lr = o.lr, .min_share = o.min_lr, .decay_share = o.decay_share};
    EXPECT_EQ(rows.at(60).find("lr").value(), length.learning_rate(schedule));
    EXPECT_NEAR(rows.back().find("lr").value(), o.lr * o.min_lr, 0.05 * o.lr * o.min_lr);
  }
}

// Each evaluation takes about as long as two steps, and more than a tenth of the time.
TEST_F(TrainerTest, EvaluationsLeaveTimeForTraining) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.train.steps = 0, s.settings.train.time = 80, s.settings.run.eval_every = 0;
  const TrainingResult result = Trainer::pretrain(s, with_fake_clock(1, 0));
  EXPECT_TRUE(result.finished);
  const std::vector<MetricsRow> rows = read_metrics(folder / "run" / "metrics.jsonl");
  const auto evaluations = std::ranges::count_if(rows, [](const auto& row) { return !!row.find("val_loss"); });
  EXPECT_GE(evaluations, 2);
  EXPECT_LE(evaluations, 4);
  EXPECT_TRUE(rows.back().find("val_loss"));
  EXPECT_GE(result.step, 8);
}

TEST_F(TrainerTest, ATimeMayBecomeLonger) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.train.steps = 0, s.settings.train.time = 200;
  EXPECT_TRUE(Trainer::pretrain(s, with_fake_clock(1, 0)).finished);
  EXPECT_EQ(Trainer::resume(folder / "run", {}, with_fake_clock(1, 0)).step,
            read_status(folder / "run").value().step);  // there is nothing left to do
  ConfigLayer more;
  more.assign("time", "400s", "--time", "command line");
  EXPECT_TRUE(Trainer::resume(folder / "run", std::array{more}, with_fake_clock(1, 0)).finished);
  EXPECT_NEAR(Checkpoint::open(folder / "run").meta().state.at("elapsed"), 400, 12);
}

TEST_F(TrainerTest, LearnsItsText) {
  if (kThreadSanitizer) GTEST_SKIP() << "its 400 steps are as those of other tests";
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.train.steps = 400, s.settings.model.dropout = 0;
  const TrainingResult result = Trainer::pretrain(s, kQuiet);
  EXPECT_LT(result.val_loss, 2.0);  // ln 257 = 5.5 at first
  EXPECT_TRUE(std::filesystem::exists(folder / "run" / "samples.md"));
  EXPECT_GT(std::filesystem::file_size(folder / "run" / "log.txt"), 100u);
}

TEST_F(TrainerTest, TheFolderSaysHowItEnded) {
  Resolved s = tiny_settings(data, folder / "run");
  s.origins["lr"] = "my.toml:3";
  Trainer::pretrain(s, stopping_after(5));
  RunStatus status = read_status(folder / "run").value();
  EXPECT_EQ(status.state, RunStatus::State::interrupted);
  EXPECT_EQ(status.step, 5);
  EXPECT_EQ(status.total_steps, 12);
  EXPECT_EQ(status.tokens, 5 * 64);
  EXPECT_THAT(read_file(folder / "run" / "report.html"), HasSubstr("Interrupted by its limit of steps"));

  std::filesystem::remove(folder / "run" / "report.html");
  std::filesystem::create_directory(folder / "run" / "report.html");  // so that none can be written
  EXPECT_TRUE(Trainer::resume(folder / "run", {}, kQuiet).finished);
  EXPECT_EQ(read_status(folder / "run").value().state, RunStatus::State::finished);
  EXPECT_THAT(read_file(folder / "run" / "log.txt"), HasSubstr("warning: cannot write"));
  EXPECT_THAT(read_file(folder / "run" / "run.toml"), HasSubstr("# my.toml:3"));  // origins outlive a resume

  s.settings.run.out = (folder / "broken").string();
  s.settings.optimizer.lr = 1e30, s.settings.optimizer.clip = 0;
  EXPECT_EQ(user_error_of([&] { Trainer::pretrain(s, kQuiet); }).code, Exit::non_finite);
  status = read_status(folder / "broken").value();
  EXPECT_EQ(status.state, RunStatus::State::failed);
  EXPECT_THAT(status.why, HasSubstr("not finite"));
  EXPECT_THAT(read_file(folder / "broken" / "report.html"), HasSubstr("Ended by an error"));
}

TEST_F(TrainerTest, LossByPositionAddsUp) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.run.eval_tokens = 0;  // all: every position has as many targets, but for the last window
  Trainer::pretrain(s, kQuiet);
  const auto rows = read_metrics(folder / "run" / "metrics.jsonl");
  double sum = 0, targets = 0;
  for (const auto& [bucket, width] : {std::pair{"0", 1}, {"1", 1}, {"2-3", 2}, {"4-7", 4}, {"8-15", 8}}) {
    const auto loss = rows.back().find(std::string("val_loss_by_position/") + bucket);
    ASSERT_TRUE(loss) << bucket;
    sum += *loss * width, targets += width;
  }
  EXPECT_NEAR(sum / targets, rows.back().find("val_loss").value(), 0.02);
  EXPECT_FALSE(rows[0].find("val_loss_by_position/0"));  // no evaluation there
}

TEST_F(TrainerTest, WithoutTheMaskOfDocuments) {
  Resolved s = tiny_settings(data, folder / "masked");
  const TrainingResult masked = Trainer::pretrain(s, kQuiet);
  s.settings.data.doc_mask = false, s.settings.run.out = (folder / "run").string();
  const TrainingResult open = Trainer::pretrain(s, kQuiet);
  EXPECT_TRUE(open.finished);
  EXPECT_NE(open.loss, masked.loss);
}

TEST_F(TrainerTest, DryRunMakesNothing) {
  const MemoryPlan plan = Trainer::dry_run(tiny_settings(data, folder / "run"));
  EXPECT_GT(plan.total(), 100'000u);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_F(TrainerTest, AContextLongerThanTheDataIsRefused) {
  Resolved s = tiny_settings(data, folder / "run");
  s.settings.model.context = 1 << 16, s.settings.train.batch = 1 << 16;
  const CaughtUserError error = user_error_of([&] { Trainer::pretrain(s, kQuiet); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

}  // namespace
}  // namespace rw::test
