#include "train/config/layers.hpp"

#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "train/config/run_toml.hpp"

namespace rw {
namespace {

using test::user_error_of;

ConfigLayer command_line(std::initializer_list<std::pair<const char*, const char*>> values) {
  ConfigLayer out;
  for (const auto& [name, text] : values) out.assign(name, text, option_name(name), "command line");
  return out;
}

ConfigLayer environment(std::vector<const char*> variables) {
  variables.push_back(nullptr);
  return read_environment(variables.data());
}

TEST(Layers, LaterOnesWinAndEveryValueKnowsItsOrigin) {
  const ConfigLayer a = parse_toml("[model]\nsize = '15m'\nlayers = 3\n[optimizer]\nlr = 0.5\nbeta1 = 0.8\n", "a.toml");
  const ConfigLayer b = parse_toml("[optimizer]\nlr = 0.25\nclip = 2\n", "b.toml");
  const ConfigLayer c = environment({"HOME=/", "ROPEWALK_LR=0.125", "ROPEWALK_SEED=7", "ROPEWALK_ISA=avx2"});
  const ConfigLayer d = command_line({{"lr", "0.0625"}});

  const auto lr = [&](std::vector<ConfigLayer> layers) {
    const Resolved r = resolve(layers);
    return std::pair(r.settings.optimizer.lr, r.origins.at("lr"));
  };
  using Pair = std::pair<double, std::string>;
  EXPECT_EQ(lr({}), Pair(3.5e-3, "preset 5m"));
  EXPECT_EQ(lr({a}), Pair(0.5, "a.toml:5"));
  EXPECT_EQ(lr({a, b}), Pair(0.25, "b.toml:2"));
  EXPECT_EQ(lr({a, b, c}), Pair(0.125, "environment ROPEWALK_LR"));
  EXPECT_EQ(lr({a, b, c, d}), Pair(0.0625, "command line"));

  const Resolved r = resolve(std::vector{a, b, c, d});
  EXPECT_EQ(r.settings.model.layers, 3);
  EXPECT_EQ(r.origins.at("layers"), "a.toml:3");
  EXPECT_EQ(r.settings.model.width, 384);
  EXPECT_EQ(r.origins.at("width"), "preset 15m");
  EXPECT_EQ(r.origins.at("size"), "a.toml:2");
  EXPECT_EQ(r.settings.train.seed, 7);
  EXPECT_EQ(r.origins.at("weight_decay"), "default");
  EXPECT_EQ(r.settings.optimizer.beta1, 0.8);
  EXPECT_EQ(r.settings.optimizer.clip, 2);
}

TEST(Layers, PresetLiesUnderAllLayersWhoeverNamesIt) {
  const ConfigLayer file = parse_toml("[model]\nlayers = 3\n", "a.toml");
  const Resolved r = resolve(std::vector{file, command_line({{"size", "1m"}})});
  EXPECT_EQ(r.settings.model.layers, 3);
  EXPECT_EQ(r.settings.model.width, 128);
  EXPECT_EQ(r.settings.size, "1m");
}

TEST(Layers, OneLengthTakesThePlaceOfAnother) {
  const ConfigLayer file = parse_toml("[train]\nsteps = 3000\n", "a.toml");
  const Settings from_file = resolve(std::vector{file}).settings;
  EXPECT_EQ(from_file.train.steps, 3000);
  EXPECT_EQ(from_file.train.tokens, 0);
  const Settings above = resolve(std::vector{file, command_line({{"time", "8min"}})}).settings;
  EXPECT_EQ(above.train.steps, 0);
  EXPECT_EQ(above.train.time, 480);

  const auto error = user_error_of([&] { resolve(std::vector{command_line({{"tokens", "1M"}, {"steps", "10"}})}); });
  EXPECT_EQ(error.what, "tokens (command line) and steps (command line) both say how long the run is");
  EXPECT_EQ(error.advice, "give one of tokens, steps and time");
  EXPECT_EQ(resolve(std::vector{command_line({{"tokens", "0"}, {"steps", "10"}})}).settings.train.steps, 10);
}

TEST(Layers, RopeBaseFollowsContextUnlessGiven) {
  EXPECT_EQ(resolve({}).settings.model.rope.base, 3440);
  const Resolved longer = resolve(std::vector{command_line({{"context", "1k"}})});
  EXPECT_NEAR(longer.settings.model.rope.base, 7753.014, 0.001);
  EXPECT_EQ(longer.origins.at("rope_base"), "for this context and head_width");
  const Resolved given = resolve(std::vector{command_line({{"context", "1k"}, {"rope_base", "5000"}})});
  EXPECT_EQ(given.settings.model.rope.base, 5000);
}

TEST(Layers, TextIsUtf8) {
  const ConfigLayer layer = command_line({{"out", "runs/\xff"}});
  ASSERT_EQ(layer.problems.size(), 1u);
  EXPECT_STREQ(layer.problems[0].what(), "--out: the value is not UTF-8");
  EXPECT_TRUE(layer.values.empty());
}

TEST(Layers, FirstOfSeveralProblemsSaysSo) {
  const auto error = user_error_of([] { resolve(std::vector{command_line({{"out", "\xff"}, {"layers", "x"}})}); });
  EXPECT_EQ(error.what, "--out: the value is not UTF-8");
  EXPECT_EQ(error.advice, "(the first of 2 problems; ropewalk config check FILE lists all those of a file)");
}

TEST(Layers, EnvironmentIsStrict) {
  const auto problem = [](const char* variable) {
    const ConfigLayer layer = environment({variable});
    return layer.problems.empty() ? std::string()
                                  : layer.problems.front().what() + std::string(" | ") + layer.problems.front().advice;
  };
  EXPECT_EQ(problem("ROPEWALK_LAYRS=3"),
            "unknown setting ROPEWALK_LAYRS in the environment | did you mean 'ROPEWALK_LAYERS'?\nremove it:  unset "
            "ROPEWALK_LAYRS");
  EXPECT_EQ(problem("ROPEWALK_LAYERS=many"),
            "ROPEWALK_LAYERS in the environment: 'many' is not a number | expected a whole number, such as 12");
  EXPECT_EQ(problem("ROPEWALK_TEST_BUILD=x"), "");
  EXPECT_EQ(problem("ROPEWALKER=x"), "");
  EXPECT_EQ(resolve(std::vector{environment({"ROPEWALK_DOC_MASK=off"})}).settings.data.doc_mask, false);
}

TEST(Toml, IsStrict) {
  struct Case {
    const char *text, *what, *advice;
  };
  for (const Case& c : {
           Case{"[optimzer]\nlr = 1\n", "unknown section 'optimzer' in my.toml:1", "did you mean 'optimizer'?"},
           {"\nzzz.x = 1\n", "unknown section 'zzz' in my.toml:2",
            "sections: model positions data train optimizer run"},
           {"[optimizer]\n\nlrr = 1\n", "unknown key 'optimizer.lrr' in my.toml:3", "did you mean 'optimizer.lr'?"},
           {"[model]\nlr = 1\n", "unknown key 'model.lr' in my.toml:2", "'lr' belongs in  [optimizer]"},
           {"[model]\nsede = 1\n", "unknown key 'model.sede' in my.toml:2", "did you mean 'train.seed'?"},
           {"lr = 1\n", "key 'lr' in my.toml:1 stands outside of every section", "write it below  [optimizer]"},
           {"foo = 1\n", "key 'foo' in my.toml:1 stands outside of every section", ""},
           {"model = 3\n", "'model' in my.toml:1 is an integer, and should be a section",
            "write  [model]  on a line of its own"},
           {"[model]\nlayers = '3'\n", "model.layers in my.toml:2 is a string", "expected an integer, such as 12"},
           {"[model]\nlayers = 3.5\n", "model.layers in my.toml:2 is a float", "expected an integer, such as 12"},
           {"[model]\nlayers = [3]\n", "model.layers in my.toml:2 is an array", "expected an integer, such as 12"},
           {"[model]\nlayers = {a = 3}\n", "model.layers in my.toml:2 is a table", "expected an integer, such as 12"},
           {"[model]\ntied = 'true'\n", "model.tied in my.toml:2 is a string", "expected true or false"},
           {"[model]\nnorm = true\n", "model.norm in my.toml:2 is a boolean", "expected a string"},
           {"[data]\ndata = 1979-05-27\n", "data.data in my.toml:2 is a date or time", "expected a string"},
           {"[train]\ntime = 5\n", "train.time in my.toml:2 is an integer",
            "expected a string with a unit, such as \"10min\""},
           {"[optimizer]\nlr = '1e-3'\n", "optimizer.lr in my.toml:2 is a string", "expected a number, such as 0.001"},
           {"[optimizer]\nlr = nan\n", "optimizer.lr in my.toml:2: 'nan' is out of range",
            "expected a number, such as 0.001, 1e-3 or 1/16"},
           {"[model]\nnorm = 'rmss'\n", "model.norm in my.toml:2: 'rmss' is none of the choices",
            "did you mean 'rms'?\nit is one of rms, layer"},
           {"[model]\nsize = '6m'\n", "model.size in my.toml:2: there is no preset '6m'",
            "did you mean '1m'?\npresets: 1m, 5m, 15m, 50m, 125m, 350m"},
       }) {
    const ConfigLayer layer = parse_toml(c.text, "my.toml");
    ASSERT_EQ(layer.problems.size(), 1u) << c.text;
    EXPECT_STREQ(layer.problems[0].what(), c.what);
    EXPECT_EQ(layer.problems[0].advice, c.advice) << c.text;
    EXPECT_EQ(layer.problems[0].code, Exit::usage);
    EXPECT_TRUE(layer.values.empty());
  }
}

TEST(Toml, WhatIsNoTomlNamesTheLine) {
  for (const char* text : {"[model]\nlayers = 3\nlayers = 4\n", "[model]\n[model\n", "[model]\n\nlayers\n",
                           "[model]\nlayers = 99999999999999999999\n", "\xff", "[model]\nsize = \"\xff\"\n"}) {
    const ConfigLayer layer = parse_toml(text, "my.toml");
    ASSERT_EQ(layer.problems.size(), 1u) << text;
    const std::string what = layer.problems[0].what();
    EXPECT_TRUE(what.starts_with("my.toml:")) << what;
    EXPECT_TRUE(what.ends_with(" is no TOML")) << what;
    EXPECT_FALSE(layer.problems[0].advice.empty());
  }
  const ConfigLayer twice = parse_toml("[model]\nlayers = 3\nlayers = 4\n", "my.toml");
  EXPECT_STREQ(twice.problems[0].what(), "my.toml:3 is no TOML");
}

TEST(Toml, ListsAllProblemsFromTopToBottom) {
  const ConfigLayer layer = parse_toml("[train]\nsede = 1\nbatch = '4q'\n[model]\nlayrs = 2\n", "my.toml");
  ASSERT_EQ(layer.problems.size(), 3u);
  EXPECT_STREQ(layer.problems[0].what(), "unknown key 'train.sede' in my.toml:2");
  EXPECT_STREQ(layer.problems[1].what(), "train.batch in my.toml:3: '4q' ends in 'q', which is no unit here");
  EXPECT_STREQ(layer.problems[2].what(), "unknown key 'model.layrs' in my.toml:5");
}

TEST(Toml, FilesThatCannotBeReadAreUsageErrors) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(user_error_of([&] { read_toml(folder / "none.toml"); }).code, Exit::usage);
  EXPECT_EQ(user_error_of([&] { read_toml(folder.path()); }).code, Exit::usage);
}

TEST(RunToml, ReadsBackToTheSameBits) {
  const Resolved odd = resolve(std::vector{command_line({{"size", "50m"},
                                                         {"time", "90s"},
                                                         {"lr", "0.1234567890123456789"},
                                                         {"eps", "1e-300"},
                                                         {"vocab", "50257"},
                                                         {"seed", "9223372036854775807"},
                                                         {"norm", "layer"},
                                                         {"mlp", "gelu_tanh"},
                                                         {"dtype", "f64"},
                                                         {"schedule", "wsd"},
                                                         {"recompute", "block"},
                                                         {"tied", "false"},
                                                         {"dropout", "10%"},
                                                         {"out", "runs/a b\\c \"d\"\n\x7f #e"},
                                                         {"sample_prompt", "Größe \t = ["}})});
  for (const bool explain : {false, true}) {
    const std::string text = to_toml(odd, {.explain = explain});
    const ConfigLayer layer = parse_toml(text, "run.toml");
    ASSERT_TRUE(layer.problems.empty()) << layer.problems.front().what() << '\n' << text;
    const Resolved back = resolve(std::vector{layer});
    EXPECT_TRUE(settings_difference(odd.settings, back.settings).empty());
    EXPECT_TRUE(odd.settings.model == back.settings.model);
    EXPECT_EQ(odd.settings.optimizer.lr, back.settings.optimizer.lr);
    EXPECT_EQ(odd.settings.run.out, back.settings.run.out);
    EXPECT_TRUE(back.origins.at("rope_base").starts_with("run.toml:"));
  }
  const std::string text = to_toml(odd);
  EXPECT_NE(text.find("time = \"90s\"                  # command line\n"), std::string::npos) << text;
  EXPECT_NE(text.find("batch = \"128k\"                # preset 50m\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("tokens = "), text.find("eval_tokens = ") + 5) << text;
}

TEST(RunToml, OriginsComeBack) {
  const Resolved saved = resolve(std::vector{command_line(
      {{"size", "50m"}, {"context", "512"}, {"time", "90s"}, {"sample_prompt", "a \\ \"b\"  # c"}, {"out", "# x"}})});
  const Resolved back = resolve(std::vector{parse_run_toml(to_toml(saved))});
  for (const auto& [name, origin] : saved.origins) {
    if (name == "steps" || name == "tokens") continue;  // time holds
    EXPECT_EQ(back.origins.at(name), origin) << name;
  }
  EXPECT_EQ(to_toml(back), to_toml(saved));
  EXPECT_EQ(parse_run_toml("[train]\nseed = 3\n").values.at(0).origin, "run.toml:2");  // by hand
  EXPECT_EQ(parse_run_toml("[train]\nseed = \"x\" # y").problems.size(), 1u);
}

TEST(RunToml, TellsWhatMayChangeOnResume) {
  const Resolved saved = resolve({});
  EXPECT_TRUE(settings_difference(saved.settings, saved.settings).empty());
  const Resolved longer = resolve(std::vector{command_line({{"steps", "7"}, {"save_every", "3"}, {"out", "x"}})});
  EXPECT_EQ(settings_difference(saved.settings, longer.settings).size(), 4u);  // tokens too
  EXPECT_NO_THROW(check_resume(saved.settings, longer));

  const Resolved other = resolve(std::vector{command_line({{"lr", "0.1"}, {"seed", "3"}, {"steps", "7"}})});
  const auto error = user_error_of([&] { check_resume(saved.settings, other); });
  EXPECT_EQ(error.code, Exit::usage);
  EXPECT_EQ(error.what, "seed, lr may not change when a run is resumed");
  EXPECT_EQ(error.advice,
            "seed: 1 -> 3 (command line)\nlr: 0.0035 -> 0.1 (command line)\n"
            "it would not be the same run; start a new one with these settings, or leave them out");
}

}  // namespace
}  // namespace rw
