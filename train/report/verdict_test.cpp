#include "train/report/verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/report/report_test.hpp"

namespace rw::report {
namespace {

using testing::Contains;
using testing::HasSubstr;
using Tone = Verdict::Tone;

// With these validation losses at equal distances, and training losses alike.
Record record_of(const std::vector<double>& val, const std::vector<double>& train = {}) {
  Record record;
  record.folder = "runs/a";
  for (size_t i = 0; i < std::max(val.size(), train.size()); ++i) {
    MetricsRow row{static_cast<int64_t>(10 * (i + 1)), {}};
    const double loss = train.empty() ? val[i] : train[i];
    row.metrics = {{"loss", loss}, {"ema", loss}};
    if (i < val.size()) row.metrics.push_back({"val_loss", val[i]});
    record.metrics.add(row);
  }
  return record;
}

TEST(Verdict, Course) {
  EXPECT_EQ(course_of(record_of({})), Course::unknown);
  EXPECT_EQ(course_of(record_of({5, 4})), Course::unknown);
  EXPECT_EQ(course_of(record_of({5, 4.5, 4.2, 4.1, 4.0, 3.9, 3.8, 3.7})), Course::falling);
  EXPECT_EQ(course_of(record_of({5, 4, 3.9, 3.9, 3.9, 3.9, 3.9, 3.895})), Course::level);
  // Overfitting: the training loss falls on.
  EXPECT_EQ(course_of(record_of({5, 4, 3.9, 3.8, 3.9, 4.0}, {5, 4, 3, 2, 1, 0.5})), Course::rising);
  EXPECT_EQ(course_of(record_of({5, 4, 3.9, 3.8, 3.81, 3.8}, {5, 4, 3, 2, 1, 0.5})), Course::level);
  EXPECT_EQ(course_of(record_of({5, 4, 3, 4, 6, 7})), Course::diverged);
  EXPECT_EQ(course_of(record_of({}, {3, 2.9, 3.0, 3.05})), Course::unknown);  // a step back is no divergence
}

TEST(Verdict, WithoutValidation) {
  std::vector<double> falling, level;
  for (int i = 0; i < 100; ++i) falling.push_back(8 - 0.04 * i), level.push_back(3 + std::exp(-i));
  EXPECT_EQ(course_of(record_of({}, falling)), Course::falling);
  EXPECT_EQ(course_of(record_of({}, level)), Course::level);
}

TEST(Verdict, HowItEnded) {
  Record record = record_of({5, 4.5, 4.2, 4.1, 4.0, 3.9, 3.8, 3.7});
  EXPECT_THAT(verdict_of(record).end, HasSubstr("not known"));
  const auto end = [&](RunStatus::State state, const char* why, bool in_use = false) {
    record.status = RunStatus{.state = state, .step = 80, .total_steps = 100, .why = why};
    record.in_use = in_use;
    return verdict_of(record);
  };
  const Verdict finished = end(RunStatus::State::finished, "");
  EXPECT_EQ(finished.end, "Finished");
  EXPECT_EQ(finished.tone, Tone::good);
  EXPECT_THAT(finished.findings, Contains(HasSubstr("still falling: by 7.5 % in the last quarter")));
  const Verdict interrupted = end(RunStatus::State::interrupted, "SIGTERM");
  EXPECT_EQ(interrupted.end, "Interrupted by SIGTERM");
  EXPECT_THAT(interrupted.findings, Contains(HasSubstr("ropewalk resume runs/a")));
  EXPECT_EQ(interrupted.tone, Tone::warning);
  EXPECT_EQ(end(RunStatus::State::running, "", true).end, "Running");
  EXPECT_EQ(end(RunStatus::State::running, "", false).end, "Broken off");
  const Verdict failed = end(RunStatus::State::failed, "non-finite gradient");
  EXPECT_EQ(failed.tone, Tone::bad);
  EXPECT_THAT(failed.findings, Contains("non-finite gradient"));
}

TEST(Verdict, RisingAndDivergedAreNotGood) {
  Record record = record_of({5, 4, 3.9, 3.8, 3.9, 4.0}, {5, 4, 3, 2, 1, 0.5});
  record.status = RunStatus{.state = RunStatus::State::finished, .step = 60, .total_steps = 60, .why = {}};
  Verdict v = verdict_of(record);
  EXPECT_EQ(v.tone, Tone::warning);
  EXPECT_THAT(v.findings, Contains(HasSubstr("rose from 3.800 at step 40 to 4.000")));
  record = record_of({5, 4, 3, 4, 6, 7});
  record.status = RunStatus{.state = RunStatus::State::finished, .step = 60, .total_steps = 60, .why = {}};
  v = verdict_of(record);
  EXPECT_EQ(v.tone, Tone::bad);
  EXPECT_THAT(v.findings, Contains(HasSubstr("diverged: 7.000 at the end, 3.000 at its lowest")));
}

TEST(Verdict, Outline) {
  const test::TemporaryFolder f;
  const Outline o = outline_of(read_record(test::make_run(f / "run")));
  EXPECT_EQ(o.step, 100);
  EXPECT_EQ(o.total_steps, 100);
  EXPECT_EQ(o.tokens, 100'000);
  EXPECT_EQ(o.seconds, 50);
  EXPECT_EQ(o.tokens_per_second, 2000);
  EXPECT_EQ(o.memory, 1e9);
  EXPECT_NEAR(o.loss, 4.4, 1e-6);
  EXPECT_NEAR(o.best_val, 4.5, 1e-6);
  EXPECT_EQ(o.best_step, 100);
  EXPECT_NEAR(o.bits_per_byte, 2.2, 1e-6);
  EXPECT_TRUE(std::isnan(outline_of(Record{}).loss));
}

}  // namespace
}  // namespace rw::report
