#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "train/cli/command.hpp"

namespace rw::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Result {
  int code;
  std::string out, err;
};

Result run(std::vector<std::string> arguments) {
  std::vector<const char*> argv = {"ropewalk", "base"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_program(static_cast<int>(argv.size()), argv.data());
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}
json answer(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const Result result = run(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  return json::parse(result.out);
}

TEST(BaseCommand, SaysTheBoundItsReachAndTheCurve) {
  const json found = answer({"--context", "4k", "--head-dim", "128"});
  EXPECT_NEAR(found["bound"]["base"], 2.6953e4, 0.5);  // spec/positions.md 7.1
  EXPECT_EQ(found["bound"]["reach"], 4189);
  EXPECT_EQ(found["bound"]["round_base"], 26960);
  EXPECT_EQ(found["rotated"], 128);
  EXPECT_FALSE(found.contains("base"));
  std::vector<int64_t> contexts;
  for (const json& row : found["curve"]) contexts.push_back(row["context"]);
  EXPECT_EQ(contexts, (std::vector<int64_t>{256, 512, 1024, 2048, 4096}));
  EXPECT_NEAR(found["curve"][3]["bound"], 1.1587e4, 0.5);
  EXPECT_EQ(found["curve"][4]["bound"], found["bound"]["base"]);

  const Result text = run({"--context", "4k", "--head-dim", "128"});
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("        4k       26,953\n"),
                    HasSubstr("bound  26,953 is the least base for a context of 4,096; it reaches 4,189"),
                    HasSubstr("next: ropewalk pretrain --context 4k --head-width 128 --rope-base 26960 --data"),
                    HasSubstr("below 0  (beyond the context)")));
}

TEST(BaseCommand, SaysHowFarABaseReaches) {
  const json far = answer({"--context", "6000", "--head-dim", "64", "--base", "500000"});
  EXPECT_EQ(far["base"]["reach"], 9937);
  EXPECT_EQ(far["base"]["suffices"], true);
  const json near = answer({"--context", "8k", "--head-dim", "64", "--base", "1e6"});  // far above the bound
  EXPECT_EQ(near["base"]["reach"], 6235);
  EXPECT_EQ(near["base"]["suffices"], false);
  EXPECT_NEAR(near["bound"]["base"], 3.237e5, 50);
  EXPECT_EQ(answer({"--context", "1707", "--head-dim", "128", "--base", "10000"})["base"]["suffices"], true);
  EXPECT_EQ(answer({"--context", "1708", "--head-dim", "128", "--base", "10000"})["base"]["suffices"], false);
  const Result text = run({"--context", "8k", "--head-dim", "64", "--base", "1000000"});
  EXPECT_THAT(text.out, HasSubstr("base   1,000,000 reaches 6,235 tokens: too short for 8,192\n"));
  EXPECT_THAT(text.out, Not(HasSubstr("next:")));
}

TEST(BaseCommand, SaysHowSimilarTokensAreSeen) {
  const json found = answer({"--context", "300", "--head-dim", "64", "--base", "10000"})["similarity"];
  EXPECT_EQ(found["base"], 10000);
  int64_t next = 1;
  for (const json& octave : found["distances"]) {  // without gaps, from 1 to twice the context
    EXPECT_EQ(octave["from"], next);
    double least = 1;
    for (int64_t r = octave["from"]; r <= octave["to"]; ++r) {
      double sum = 0;
      for (int c = 0; c < 32; ++c) sum += std::cos(static_cast<double>(r) * std::pow(10000, -c / 32.0));
      if (r == octave["from"]) {
        EXPECT_NEAR(octave["similarity"], sum / 32, 1e-12);
      }
      least = std::min(least, sum / 32);
    }
    EXPECT_NEAR(octave["least"], least, 1e-12);
    next = octave["to"].get<int64_t>() + 1;
  }
  EXPECT_EQ(next, 600);
}

TEST(BaseCommand, KnowsPartlyRotatedHeads) {
  const json half = answer({"--context", "512", "--head-dim", "64", "--share", "50%", "--base", "100"});
  EXPECT_EQ(half["rotated"], 32);
  EXPECT_TRUE(half["bound"].is_null() && half["base"]["reach"].is_null() && half["curve"].empty());
  EXPECT_EQ(half["base"]["suffices"], true);
  EXPECT_THAT(run({"--context", "512", "--head-dim", "64", "--share", "50%"}).out, HasSubstr("there is no bound"));
  const Result most = run({"--context", "512", "--head-dim", "64", "--share", "75%"});
  EXPECT_THAT(most.out, AllOf(HasSubstr("of which 48 coordinates are rotated"), HasSubstr(" --rope-share 0.75 ")));
}

TEST(BaseCommand, RefusesWhatHasNoAnswer) {
  const auto error = [](std::vector<std::string> arguments) {
    const Result result = run(arguments);
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  EXPECT_THAT(error({"--context", "1k", "--head-dim", "7"}),
              HasSubstr("error: these options make no rotary embedding: it would rotate 7 of the 7 coordinates"));
  EXPECT_THAT(error({"--context", "1k", "--head-dim", "64", "--share", "2"}), HasSubstr("at most 1"));
  EXPECT_THAT(error({"--context", "1k", "--head-dim", "64", "--base", "1"}),
              HasSubstr("the base is 1, and must be above 1"));
  EXPECT_THAT(error({"--context", "0", "--head-dim", "64"}), HasSubstr("--context is 0, and must be at least 1"));
  EXPECT_THAT(error({"--context", "1k"}), HasSubstr("--head-dim"));
  EXPECT_THAT(error({"--context", "1k", "--head-dim", "2"}),
              HasSubstr("no rotary base up to 1024000 suits a context of 1024 with a rotated width of 2"));
  const Result given = run({"--context", "1k", "--head-dim", "2", "--base", "10000"});  // has an answer
  EXPECT_EQ(given.code, 0);
  EXPECT_THAT(given.out, AllOf(HasSubstr("1k         none"), HasSubstr("reaches 2 tokens: too short for 1,024")));
}

}  // namespace
}  // namespace rw::cli
