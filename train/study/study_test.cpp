#include "train/study/study.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "train/study/results.hpp"

namespace rw::study {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTiny =
    "width=16 heads=1 kv_heads=1 head_width=16 hidden=16 context=16 vocab=20 steps=6 batch=64 micro_batch=4 "
    "save_every=2";

Options tiny(const std::filesystem::path& folder) {
  return {.kind = Kind::copy,
          .folder = folder,
          .data = {},
          .layers = {setting_words(kTiny, 0)},
          .models = {"inverse leaky"},
          .seeds = 2,
          .trainer = {.arguments = {}, .json = false, .quiet = true, .stop_after = 0},
          .say = [](const std::string&) {}};
}

std::string lines(const Outcome& outcome) { return to_markdown(Kind::copy, outcome); }

TEST(Study, HasEveryRowOfItsModels) {
  const test::TemporaryFolder folder;
  Options options = tiny(folder / "study");
  options.models = {"plain"}, options.seeds = 1;
  const Outcome outcome = run(options);
  EXPECT_TRUE(outcome.finished);
  EXPECT_EQ(outcome.context, 16);
  size_t expected = 0;
  for (const Row& row : rows()) expected += row.model == "plain";
  EXPECT_EQ(outcome.results.size(), expected);
  for (const Result& r : outcome.results) {
    ASSERT_EQ(r.cells.size(), 4u) << r.row;
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(r.cells[i].length, 16 << i);
      EXPECT_GT(r.cells[i].loss, 1);
      EXPECT_LE(r.cells[i].accuracy, 1);
    }
  }
  EXPECT_EQ(mean(outcome, "Baseline", Column::trained, 16).value,
            mean(outcome, "Baseline", Column::repeated, 16).value);
  EXPECT_THAT(lines(outcome), HasSubstr("| ReRoPE w N/2 |"));
  EXPECT_THAT(to_html(Kind::copy, outcome), HasSubstr("<svg"));
}

TEST(Study, GoesOnWhereItWasStopped) {
  const test::TemporaryFolder folder;
  const Outcome whole = run(tiny(folder / "whole"));
  Options options = tiny(folder / "parts");
  options.trainer.stop_after = 4;
  Outcome part = run(options);
  EXPECT_FALSE(part.finished);
  int calls = 1;
  for (; !part.finished && calls < 20; ++calls) part = run(options);
  EXPECT_EQ(calls, 3);  // 2 trainings of 6 steps, at most 4 of each in a call
  EXPECT_EQ(lines(part), lines(whole));
  const std::string results = test::read_file(folder / "parts" / "results.jsonl");
  EXPECT_TRUE(run(options).finished);
  EXPECT_EQ(test::read_file(folder / "parts" / "results.jsonl"), results);
}

TEST(Study, LostResultsAreComputedAgainAndDamagedOnesAreAnError) {
  const test::TemporaryFolder folder;
  Options options = tiny(folder / "study");
  options.seeds = 1;
  const Outcome whole = run(options);
  const std::filesystem::path file = folder / "study" / "results.jsonl";
  std::filesystem::remove(file);
  EXPECT_EQ(lines(run(options)), lines(whole));
  test::write_file(file, "{\"row\": \"Base");
  EXPECT_EQ(test::user_error_of([&] { run(options); }).code, Exit::corrupt);
}

TEST(Study, AnotherOneInTheSameFolderIsRefused) {
  const test::TemporaryFolder folder;
  Options options = tiny(folder / "study");
  options.seeds = 1;
  run(options);
  options.layers.push_back(setting_words("steps=7", 0));
  const auto error = test::user_error_of([&] { run(options); });
  EXPECT_EQ(error.code, Exit::usage);
  EXPECT_THAT(error.what, HasSubstr("holds another study"));
  EXPECT_THAT(error.advice, HasSubstr("steps = 6"));
  EXPECT_THAT(error.advice, HasSubstr("steps = 7"));
}

TEST(Study, WhatCannotBeIsRefusedBeforeAnythingIsMade) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::function<void(Options&)>& change, Exit code = Exit::usage) {
    Options options = tiny(folder / "study");
    change(options);
    const auto error = test::user_error_of([&] { run(options); });
    EXPECT_EQ(error.code, code) << error.what;
    EXPECT_FALSE(std::filesystem::exists(folder / "study"));
    return error.what;
  };
  EXPECT_THAT(refused([](Options& o) { o.models = {"plane"}; }), HasSubstr("no model 'plane'"));
  EXPECT_THAT(refused([](Options& o) { o.data = "texts"; }), HasSubstr("makes its texts itself"));
  EXPECT_THAT(refused([](Options& o) { o.kind = Kind::text; }), HasSubstr("needs texts"));
  EXPECT_THAT(refused([](Options& o) { o.layers.push_back(setting_words("time=3min", 0)); }),
              HasSubstr("trained alike"));
  EXPECT_THAT(refused([](Options& o) { o.layers.push_back(setting_words("context=20", 0)); }), HasSubstr("context"));
  EXPECT_THAT(refused([](Options& o) { o.layers.push_back(setting_words("batch=60", 0)); }), HasSubstr("batch"));
  EXPECT_THAT(refused([](Options& o) { o.layers.push_back(setting_words("vocab=15", 0)); }), HasSubstr("vocab"));
  EXPECT_THAT(refused([](Options& o) { o.seeds = -1; }), HasSubstr("seeds"));
  EXPECT_THAT(refused([](Options& o) { o.repeats = 0.5; }), HasSubstr("repeats"));
  EXPECT_THAT(refused([](Options& o) { o.kind = Kind::text, o.data = "there", o.repeats = -0.5; }),
              HasSubstr("repeats"));
  EXPECT_THAT(refused([](Options& o) { o.kind = Kind::text, o.data = "nowhere"; }, Exit::data), HasSubstr("nowhere"));
}

Outcome made_up(std::initializer_list<std::pair<const char*, double>> values) {
  Outcome outcome{.finished = true, .context = 16, .results = {}};
  for (const auto& [row, accuracy] : values)
    outcome.results.push_back(
        {.row = row,
         .positions = {},
         .fingerprint = {},
         .seed = 1,
         .trained = 0.5,
         .cells = {{.column = Column::repeated, .length = 128, .loss = 1, .accuracy = accuracy}}});
  return outcome;
}

TEST(Study, JudgesByTheMeanOfTheSeeds) {
  const ParsedClaim claim = parse_claim("repeated: Baseline < NTK-old < NTK-mixed");
  EXPECT_EQ(judge(made_up({{"Baseline", 0.1}, {"NTK-old", 0.2}, {"NTK-mixed", 0.3}}), claim), Verdict::holds);
  EXPECT_EQ(judge(made_up({{"Baseline", 0.1}, {"NTK-old", 0.3}, {"NTK-mixed", 0.3}}), claim), Verdict::fails);
  EXPECT_EQ(judge(made_up({{"Baseline", 0.1}, {"NTK-mixed", 0.3}}), claim), Verdict::unknown);
  const Outcome two = made_up({{"Baseline", 0.4}, {"Baseline", 0.1}, {"NTK-old", 0.3}, {"NTK-mixed", 0.35}});
  EXPECT_EQ(judge(two, claim), Verdict::holds);
  const Mean m = mean(two, "Baseline", Column::repeated, 128);
  EXPECT_DOUBLE_EQ(m.value, 25);
  EXPECT_DOUBLE_EQ(m.low, 10);
  EXPECT_DOUBLE_EQ(m.high, 40);
}

}  // namespace
}  // namespace rw::study
