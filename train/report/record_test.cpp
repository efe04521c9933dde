#include "train/report/record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/loop/run_folder.hpp"
#include "train/report/report_test.hpp"

namespace rw::report {
namespace {

using test::make_run;
using test::metrics_line;
using test::TemporaryFolder;
using test::write_file;
using testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Record, AllOfAFolder) {
  const TemporaryFolder f;
  const Record r = read_record(make_run(f / "run"));
  EXPECT_EQ(r.name(), (f / "run").string());
  EXPECT_EQ(r.status->state, RunStatus::State::finished);
  EXPECT_FALSE(r.in_use);
  EXPECT_EQ(r.metrics.rows(), 100u);
  EXPECT_THAT(r.problems, testing::IsEmpty());
  const auto by_tokens = r.metrics.curve("tokens", "val_loss");
  ASSERT_EQ(by_tokens.size(), 10u);
  EXPECT_EQ(by_tokens[1].x, 20'000);
  EXPECT_NEAR(by_tokens[1].y, 4.1 + 4 / 2.8, 1e-6);
  EXPECT_EQ(r.metrics.curve("seconds", "loss")[3].x, 2);
  EXPECT_TRUE(r.metrics.curve("step", "gone").empty());
  EXPECT_TRUE(r.metrics.curve("gone", "loss").empty());

  const auto buckets = r.metrics.loss_by_position();
  ASSERT_EQ(buckets.size(), 4u);
  EXPECT_EQ(buckets[3].first, 4);
  EXPECT_EQ(buckets[3].loss.back(), (Point{100, 5.5}));

  ASSERT_TRUE(r.settings);
  EXPECT_EQ(r.settings->settings.train.steps, 100);
  EXPECT_EQ(r.settings->origins.at("lr"), "my \"file\".toml:3");
  EXPECT_EQ(r.settings->origins.at("steps"), "command line");
}

TEST(Record, WhatIsMissingIsLeftOut) {
  const TemporaryFolder f;
  write_file(f / "run.toml", "");
  const Record r = read_record(f.path());
  EXPECT_FALSE(r.status);
  EXPECT_FALSE(r.settings);
  EXPECT_EQ(r.metrics.rows(), 0u);
  EXPECT_TRUE(r.samples.empty() && r.starts.empty());
}

TEST(Record, AFolderThatIsNoRunIsAnError) {
  const TemporaryFolder f;
  write_file(f / "thesis.tex", "x");
  const auto error = test::user_error_of([&] { read_record(f.path()); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_THAT(error.what, HasSubstr("holds no run"));
  EXPECT_THAT(test::user_error_of([&] { read_record(f / "gone"); }).what, HasSubstr("there is no"));
}

TEST(Record, ATornLineIsPassedOver) {
  const TemporaryFolder f;
  make_run(f / "run");
  const std::string whole = test::read_file(f / "run/metrics.jsonl");
  write_file(f / "run/metrics.jsonl", whole + "{\"step\":101,\"loss\":3.9");
  EXPECT_EQ(read_record(f / "run").metrics.last_step(), 100);
}

// Steps that a run has left by going on from an earlier one are gone, in all columns.
TEST(Record, LaterLinesTakeThePlaceOfEarlierOnes) {
  const TemporaryFolder f;
  make_run(f / "run");
  write_file(f / "run/metrics.jsonl", metrics_line(1, 8) + metrics_line(2, 7, ",\"val_loss\":7.5") +
                                          metrics_line(3, 6) + metrics_line(4, 5, ",\"val_loss\":5.5") +
                                          metrics_line(3, 6.5) + metrics_line(5, 5.25));
  const Metrics m = read_record(f / "run").metrics;
  EXPECT_EQ(m.curve("step", "loss"), (std::vector<Point>{{1, 8}, {2, 7}, {3, 6.5}, {5, 5.25}}));
  EXPECT_EQ(m.curve("step", "val_loss"), (std::vector<Point>{{2, 7.5}}));
  EXPECT_EQ(m.curve("tokens", "loss").back(), (Point{5000, 5.25}));
}

TEST(Record, Samples) {
  const auto samples = parse_samples(
      "## step 10, 2026-01-01 UTC\n\nabout it\n\n    one\n    \n    ## step 3, indented\n\n"
      "## step 20, x\n\n    two\n\n## step 20, again\n\n    three\n\n");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].step, 10);
  EXPECT_EQ(samples[0].date, "2026-01-01 UTC");
  EXPECT_EQ(samples[0].about, "about it");
  EXPECT_EQ(samples[0].text, "one\n\n## step 3, indented");
  EXPECT_EQ(samples[1].text, "three");
}

TEST(Record, SamplesAsARunFolderWritesThem) {
  const TemporaryFolder f;
  const RunFolder run = RunFolder::create(f / "run", false);
  run.add_sample(7, "temperature 0.8", "a\n## step 9, b\n\nc");
  run.add_sample(8, "", "d");
  const auto samples = parse_samples(test::read_file(f / "run/samples.md"));
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].text, "a\n## step 9, b\n\nc");
  EXPECT_EQ(samples[0].about, "temperature 0.8");
  EXPECT_EQ(samples[1].text, "d");
}

TEST(Record, StartsAsARunFolderWritesThem) {
  const TemporaryFolder f;
  setenv("ROPEWALK_LR", "1e-3 x", 1);
  {
    const RunFolder run = RunFolder::create(f / "run", false);
    run.write_command(std::vector<std::string>{"ropewalk", "pretrain", "--sample-prompt", "two\n\nlines"});
    run.write_command(std::vector<std::string>{"ropewalk", "resume"});
    EXPECT_TRUE(run_in_use(f / "run"));
  }
  unsetenv("ROPEWALK_LR");
  EXPECT_FALSE(run_in_use(f / "run"));
  const auto starts = parse_starts(test::read_file(f / "run/command.txt"));
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[0].command, "ropewalk pretrain --sample-prompt 'two\n\nlines'");
  EXPECT_EQ(starts[1].command, "ropewalk resume");
  EXPECT_EQ(starts[1].fact("version"), RW_VERSION);
  EXPECT_EQ(starts[1].fact("folder"), fs::current_path().string());
  EXPECT_THAT(starts[1].fact("libraries"), HasSubstr("oneDNN "));
  EXPECT_EQ(starts[1].fact("gone"), "");
  EXPECT_THAT(starts[0].environment, testing::Contains("'ROPEWALK_LR=1e-3 x'"));
}

}  // namespace
}  // namespace rw::report
