#include "train/loop/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>

#include "tests/support/error.hpp"
#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::read_file;
using test::TemporaryFolder;
using test::write_file;

std::vector<int64_t> steps_in(const std::filesystem::path& file) {
  std::vector<int64_t> steps;
  for (const MetricsRow& row : read_metrics(file)) steps.push_back(row.step);
  return steps;
}

TEST(Metrics, LinesAreJsonInTheGivenOrder) {
  const TemporaryFolder f;
  MetricsFile metrics(f / "m.jsonl", 0);
  EXPECT_EQ(read_file(f / "m.jsonl"), "");
  metrics.append(10, std::vector<Metric>{{"tokens", 163840}, {"loss", 4.25}, {"lr", 1e-3}, {"val_loss", NAN}});
  EXPECT_EQ(read_file(f / "m.jsonl"), "{\"step\":10,\"tokens\":163840,\"loss\":4.25,\"lr\":0.001,\"val_loss\":null}\n");
  metrics.append(20, {});
  EXPECT_EQ(steps_in(f / "m.jsonl"), (std::vector<int64_t>{10, 20}));
}

TEST(Metrics, NumbersComeBackExactly) {
  const TemporaryFolder f;
  const double values[] = {0.1,
                           1.0 / 3,
                           5e-324,
                           1.7976931348623157e308,
                           0x1p53,
                           0x1p53 + 2,
                           -3,
                           0x1p63,
                           1e300,
                           -0.75,
                           std::numeric_limits<double>::infinity()};
  std::vector<Metric> all;
  for (double v : values) all.push_back({std::string(all.size() + 1, 'v'), v});
  MetricsFile(f / "m", 0).append(1, all);
  const auto rows = read_metrics(f / "m");
  ASSERT_EQ(rows.size(), 1u);
  for (const Metric& metric : all) {
    const auto back = rows[0].find(metric.name);
    ASSERT_TRUE(back) << metric.name;
    EXPECT_TRUE(std::isfinite(metric.value) ? *back == metric.value : std::isnan(*back)) << metric.value;
  }
  EXPECT_FALSE(rows[0].find("other"));
}

TEST(Metrics, NoStepStandsTwice) {
  const TemporaryFolder f;
  MetricsFile metrics(f / "m", 0);
  metrics.append(5, {});
  EXPECT_THAT(test::error_of([&] { metrics.append(5, {}); }), testing::HasSubstr("step"));
  EXPECT_THAT(test::error_of([&] { metrics.append(4, {}); }), testing::HasSubstr("step"));
}

TEST(Metrics, GoesOnAfterTheResumedStep) {
  const TemporaryFolder f;
  {
    MetricsFile metrics(f / "m", 0);
    for (int64_t step : {1, 2, 3, 4, 5}) metrics.append(step, std::vector<Metric>{{"loss", static_cast<double>(step)}});
  }
  const std::string whole = read_file(f / "m");
  MetricsFile metrics(f / "m", 3);
  EXPECT_EQ(read_file(f / "m"), whole.substr(0, whole.size() / 5 * 3));
  metrics.append(4, {});
  EXPECT_EQ(steps_in(f / "m"), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(f.names(), std::vector<std::string>{"m"});
}

TEST(Metrics, TornAndForeignLinesGo) {
  const TemporaryFolder f;
  write_file(f / "m",
             "{\"step\":1}\nnonsense\n[1]\n{\"loss\":1}\n{\"step\":\"2\"}\n{\"step\":2}\n{\"step\":2,\"x\":1}\n"
             "\n{\"step\":3}\n{\"step\":4,\"lo");
  MetricsFile metrics(f / "m", 9);
  EXPECT_EQ(read_file(f / "m"), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

TEST(Metrics, AFileOfManyBlocksIsReadLineByLine) {
  const TemporaryFolder f;
  std::string text;
  for (int64_t step = 1; step <= 60'000; ++step) text += "{\"step\":" + std::to_string(step) + ",\"loss\":0.125}\n";
  ASSERT_GT(text.size(), size_t{3} << 19);  // of a MiB
  write_file(f / "m", text + "{\"step\":60001,\"lo");
  int64_t last = 0;
  for_metrics(f / "m", [&](const MetricsRow& row) {
    ASSERT_EQ(row.step, last + 1);
    ASSERT_EQ(row.find("loss"), 0.125);
    last = row.step;
  });
  EXPECT_EQ(last, 60'000);
}

TEST(Metrics, AWriteThatFailsLeavesWholeLines) {
  const TemporaryFolder f;
  MetricsFile metrics(f / "m", 0);
  metrics.append(1, {});
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit low{15, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const auto error = test::user_error_of([&] { metrics.append(2, {}); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(error.code, Exit::write);
  metrics.append(3, {});
  EXPECT_EQ(read_file(f / "m"), "{\"step\":1}\n{\"step\":3}\n");
  EXPECT_EQ(test::user_error_of([&] { MetricsFile(f / "gone" / "m", 0); }).code, Exit::write);
  EXPECT_EQ(test::user_error_of([&] { read_metrics(f / "gone"); }).code, Exit::data);
}

}  // namespace
}  // namespace rw
