// Positions as a user meets them: tried on a trained model, extended, trained in reverse, refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

struct PositionsCli : TinyRuns {
  json result(const Words& arguments) const {
    const Finished done = at(arguments + Words{"--json"});
    EXPECT_EQ(done.exit, 0) << done.err;
    return json::parse(done.out, nullptr, false);
  }
  static Words extend(const std::string& out, const Words& more) {
    return Words{"finetune", "--from", "run",  "--out",    out, "--data",        "data", "--steps",   "2", "--batch",
                 "64",       "--lr",   "1e-3", "--warmup", "1", "--eval-tokens", "64",   "--context", "32"} +
           more;
  }
};

TEST_F(PositionsCli, SystemsAreTriedOnOneModel) {
  whole("run");
  const json rows = result({"eval", "run", "--data", "data", "--context-sweep", "8,16,32", "--texts", "2", "--system",
                            "positions=rerope window=4", "--system", "rope=yarn,factor=2", "--split", "train"});
  ASSERT_EQ(rows.size(), 6u);  // three systems, on natural and on repeated text
  EXPECT_EQ(rows[0]["system"], "the model's own");
  EXPECT_EQ(rows[1]["positions"].get<std::string>().find("rope, base"), 0u);
  EXPECT_THAT(rows[1]["positions"].get<std::string>(), HasSubstr("rerope, window 4"));
  EXPECT_NE(rows[1]["fingerprint"], rows[0]["fingerprint"]);
  EXPECT_EQ(rows[5]["text"], "repeated");
  EXPECT_EQ(rows[2]["lengths"][2]["length"], 32);
  EXPECT_EQ(rows[2]["lengths"][0]["targets"], 16);
  // Within the window nothing is bent: texts of 8 tokens have the same losses up to position 4 only.
  EXPECT_NE(rows[0]["lengths"][2]["loss"], rows[1]["lengths"][2]["loss"]);
  EXPECT_EQ(rows[0]["by_position"][0]["loss"], rows[1]["by_position"][0]["loss"]);

  const json own = result({"eval", "run", "--data", "data"});
  const json bent = result({"eval", "run", "--data", "data", "--positions", "rerope", "--window", "4"});
  EXPECT_NE(own["loss"], bent["loss"]);
  EXPECT_NE(own["fingerprint"], bent["fingerprint"]);
  const auto text = [&](const Words& more) {
    return at(Words{"generate", "run", "-t", "0", "-n", "12", "--past-end", "-p", "the"} + more).out;
  };
  EXPECT_EQ(text({}), text({"--positions", "rerope", "--window", "9999"}));
}

TEST_F(PositionsCli, KeysAreHiddenAndAskedFor) {
  whole("run");
  const Words ask = {"eval", "run", "--data", "data", "--split", "train", "--context-sweep", "128,160", "--passkey"};
  const Words few = {"--trials", "2", "--depths", "0,50%,100%", "--system", "positions=rerope window=4"};
  const json rows = result(ask + few);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["system"], "positions=rerope window=4");
  EXPECT_NE(rows[1]["fingerprint"], rows[0]["fingerprint"]);
  EXPECT_EQ(rows[0]["text"], "passkey");
  EXPECT_EQ(rows[0]["form"], "text");
  EXPECT_EQ(rows[0]["lengths"], json({128, 160}));
  EXPECT_EQ(rows[0]["depths"], json({0, 0.5, 1}));
  for (const char* matrix : {"accuracy", "loss"}) {
    ASSERT_EQ(rows[0][matrix].size(), 3u);
    ASSERT_EQ(rows[0][matrix][2].size(), 2u);
  }
  EXPECT_GT(rows[0]["loss"][1][0], 1);
  EXPECT_NE(rows[0]["loss"], rows[1]["loss"]);
  EXPECT_EQ(result(ask + few)[0], rows[0]);
  EXPECT_NE(result(ask + few + Words{"--seed", "2"})[0]["loss"], rows[0]["loss"]);
  const json ids = result(ask + Words{"ids", "--trials", "2"});
  EXPECT_EQ(ids[0]["form"], "ids");
  EXPECT_EQ(ids[0]["depths"].size(), 5u);
  const Finished table = at(ask + few);
  EXPECT_THAT(table.out,
              HasSubstr("\npositions=rerope window=4\n  depth                 128              160\n  0%  "));
}

// What the caches hold is all that counts, however long the text: not so where it starts anew when the context is full.
TEST_F(PositionsCli, StreamingWritesWithoutEnd) {
  whole("run");
  const auto tokens = [&](const Words& more) {
    return result(Words{"generate", "run", "-t", "0", "-n", "90", "--past-end", "-p", "the"} + more)["tokens"];
  };
  const Words streaming = {"--positions", "streaming", "--window", "9", "--sinks", "2"};
  const json text = tokens(streaming);
  EXPECT_EQ(text.size(), 90u);
  EXPECT_EQ(tokens(streaming + Words{"--context", "128"}), text);
  EXPECT_EQ(tokens(streaming + Words{"--context", "11"}), text);
  EXPECT_NE(tokens({"--context", "128", "--positions", "window", "--window", "9"}),
            tokens({"--context", "11", "--positions", "window", "--window", "9"}));
  const Finished wide = at({"generate", "run", "-n", "40", "--past-end", "--positions", "streaming", "--window", "30"});
  EXPECT_EQ(wide.exit, 0) << wide.err;
  EXPECT_THAT(wide.err, HasSubstr("streaming keeps 30 keys and 4 sinks, more than the trained length 16"));
}

TEST_F(PositionsCli, AContextIsExtendedAndTheProofIsShown) {
  whole("run");
  const Finished longer = at(extend("longer", {"--rope", "yarn"}));
  ASSERT_EQ(longer.exit, 0) << longer.err;
  EXPECT_THAT(longer.err, HasSubstr("rope, yarn × 2 from 16"));
  EXPECT_THAT(longer.err, HasSubstr("up to 16 and beyond: "));
  const json model = result({"inspect", "longer"})["model"];
  EXPECT_EQ(model["context"], 32);
  EXPECT_EQ(model["trained_context"], 16);
  EXPECT_EQ(model["rope"], "yarn");
  EXPECT_EQ(model["factor"], 2);
  EXPECT_EQ(result({"eval", "longer", "--data", "data"})["context"], 32);
  const Finished useless = at(extend("useless", {"--positions", "rerope", "--window", "32"}));
  EXPECT_EQ(useless.exit, 2);
  EXPECT_THAT(useless.err, HasSubstr("the new positions change nothing"));
  EXPECT_FALSE(fs::exists(folder / "useless"));
}

TEST_F(PositionsCli, InverseLeakyIsPlainRopeOnceItIsSaved) {
  const Finished done = at(pretrain("inverse", {"--positions", "inverse-leaky", "--window", "4", "--far-step", "8"}));
  ASSERT_EQ(done.exit, 0) << done.err;
  const json model = result({"inspect", "inverse"})["model"];
  EXPECT_EQ(model["positions"], "rope");
  EXPECT_EQ(model["window"], 0);
  EXPECT_EQ(at(Words{"export", "hf", "inverse", "--out", "hf"}).exit, 0);
  EXPECT_EQ(at(resume("inverse", {"--steps", "8"})).exit, 0);  // and is still trained as it was
}

TEST_F(PositionsCli, DrawnPositionsAreForTrainingOnly) {
  const Finished done = at(pretrain("drawn", {"--draw-positions", "equal_mean"}));
  ASSERT_EQ(done.exit, 0) << done.err;
  whole("run");
  EXPECT_EQ(result({"inspect", "drawn"})["model"], result({"inspect", "run"})["model"]);
  EXPECT_EQ(at(resume("drawn", {"--steps", "8"})).exit, 0);
}

TEST_F(PositionsCli, BadInputIsExplained) {
  whole("run");
  const auto eval = [](const Words& more) { return Words{"eval", "run", "--data", "data"} + more; };
  for (const auto& [arguments, what] : std::vector<std::pair<Words, const char*>>{
           {eval({"--rope", "yarn"}), "rope yarn has nothing to extend: context is 16"},
           {eval({"--rope", "ntk"}), "'ntk' is none of the choices"},
           {eval({"--factor", "4"}), "plain has no use for factor"},
           {eval({"--positions", "learned"}), "the model was trained with rope"},
           {eval({"--log-n", "trained"}), "log_n is trained, and the model was trained with off"},
           {eval({"--positions", "leaky", "--far-step", "2"}), "the far step of leaky is 2"},
           {eval({"--positions", "rerope", "--window", "-3"}), "the window of rerope is -3"},
           {eval({"--system", "rope=yarn"}), "go with --context-sweep"},
           {eval({"--context-sweep", "8,16", "--stride", "4"}), "--context-sweep has no use for"},
           {eval({"--context-sweep", "16,8"}), "the lengths do not ascend"},
           {eval({"--context-sweep", "8,x"}), "'x' is not a number"},
           {eval({"--context-sweep", "8", "--system", "yarn"}), "'yarn' is not of the form NAME=VALUE"},
           {eval({"--context-sweep", "8", "--system", "lr=3"}), "there is no option lr of positions"},
           {eval({"--context-sweep", "8", "--system", "rope=linear factor=0"}), "the factor is 0"},
           {eval({"--passkey"}), "go with --context-sweep"},
           {eval({"--context-sweep", "160", "--trials", "3"}), "--depths, --trials and --seed go with --passkey"},
           {eval({"--context-sweep", "160", "--passkey", "--text", "natural"}), "--passkey has no use for --text"},
           {eval({"--context-sweep", "160", "--passkey", "words"}), "words not in {auto,text,ids}"},
           {eval({"--context-sweep", "64", "--passkey"}), "a length of 64 has no room for a key"},
           {eval({"--context-sweep", "160", "--passkey", "--depths", "0,2"}), "a depth is not between 0 and 1"},
           {eval({"--context-sweep", "160", "--passkey", "--depths", "half"}), "'half' is not a number"},
           {eval({"--context-sweep", "160", "--passkey", "--trials", "0"}), "0 trials cannot be made"},
           {eval({"--context-sweep", "160", "--passkey", "--seed", "-1"}), "--seed is negative"},
           {{"generate", "run", "--context", "12", "--positions", "streaming", "--window", "9"},
            "streaming keeps a window of 9 and 4 sinks, more than a context of 12"},
           {{"generate", "run", "--positions", "streaming", "--window", "9223372036854775807"},
            "the window is 9223372036854775807, and must be at most 2147483647"},
           {{"generate", "run", "--positions", "streaming", "--window", "-1"}, "the window of streaming is -1"},
           {pretrain("new", {"--positions", "inverse-leaky", "--far-step", "1/2"}), "--positions leaky"},
           {pretrain("new", {"--rope", "linear", "--factor", "0.5"}), "the factor is 0.5"},
           {pretrain("new", {"--positions", "none", "--rope", "yarn", "--factor", "4"}), "is of no use with positions"},
           {pretrain("new", {"--draw-positions", "pose", "--position-range", "8"}), "position_range 8"},
           {pretrain("new", {"--draw-positions", "equal_mean", "--position-range", "64"}), "position_range 64"},
           {pretrain("new", {"--draw-positions", "equal_mean", "--positions", "rerope"}),
            "draw_positions equal_mean (command line) and positions rerope"},
           {pretrain("new", {"--draw-positions", "pose", "--position-range", "64", "--positions", "rerope"}),
            "draw_positions pose (command line) and positions rerope"}}) {
    const Finished done = at(arguments);
    EXPECT_EQ(done.exit, 2) << done.err;
    EXPECT_THAT(first_line(done.err), HasSubstr(what));
    EXPECT_FALSE(fs::exists(folder / "new"));
  }
}

}  // namespace
}  // namespace rw::test
