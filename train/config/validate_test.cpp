#include "train/config/validate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/files.hpp"
#include "train/config/presets.hpp"

namespace rw {
namespace {

Resolved with(std::initializer_list<std::pair<const char*, const char*>> values) {
  ConfigLayer layer;
  for (const auto& [name, text] : values) layer.assign(name, text, option_name(name), "command line");
  return resolve(std::vector{layer});
}

TEST(Validate, NamesTheSettingsAndTheirOrigins) {
  struct Case {
    std::initializer_list<std::pair<const char*, const char*>> values;
    const char *what, *advice;
  };
  for (const Case& c :
       {Case{{{"layers", "0"}}, "layers 0 (command line) is too small", "at least 1"},
        {{{"vocab", "-1"}}, "vocab -1 (command line) is too small", "at least 0"},
        {{{"hidden", "-64"}}, "hidden -64 (command line) is too small", "at least 1"},
        {{{"kv_heads", "3"}}, "kv_heads 3 (command line) does not divide heads 4 (preset 5m)", "same number"},
        {{{"head_width", "63"}}, "head_width 63 (command line) is odd", "--positions learned"},
        {{{"rope_base", "1"}}, "rope_base 1 (command line) is too small", "greater than 1"},
        {{{"norm_eps", "0"}}, "norm_eps 0 (command line) is not positive", "greater than 0"},
        {{{"dropout", "100%"}}, "dropout 1 (command line) is out of range", "from 0 to 1, which it may not be"},
        {{{"tokens", "0"}}, "nothing says how long the run is", "--tokens 200M"},
        {{{"steps", "-5"}}, "steps -5 (command line) is too small", "at least 0"},
        {{{"batch", "0"}}, "batch 0 (command line) is too small", "at least 1"},
        {{{"batch", "1000"}},
         "batch 1000 (command line) is no multiple of context 512 (preset 5m)",
         "--batch 512 or --batch 1024"},
        {{{"micro_batch", "3"}},
         "micro_batch 3 (command line) does not divide the 64 sequences of a step",
         "32768 / 512"},
        {{{"seed", "-1"}}, "seed -1 (command line) is too small", "at least 0"},
        {{{"device", "gpu"}}, "unknown device gpu (command line)", "cpu, cuda, cuda:1"},
        {{{"lr", "0"}}, "lr 0 (command line) is not positive", "greater than 0"},
        {{{"min_lr", "1.5"}}, "min_lr 1.5 (command line) is out of range", "from 0 to 1"},
        {{{"decay_share", "-1%"}}, "decay_share -0.01 (command line) is out of range", "from 0 to 1"},
        {{{"beta2", "1"}}, "beta2 1 (command line) is out of range", "from 0 to 1, which it may not be"},
        {{{"clip", "-1"}}, "clip -1 (command line) is too small", "at least 0"},
        {{{"log_every", "0"}}, "log_every 0 (command line) is too small", "at least 1"},
        {{{"keep", "0"}}, "keep 0 (command line) is too small", "at least 1"}}) {
    const auto problems = problems_of(with(c.values));
    ASSERT_EQ(problems.size(), 1u) << c.what;
    EXPECT_STREQ(problems[0].what(), c.what);
    EXPECT_NE(problems[0].advice.find(c.advice), std::string::npos) << problems[0].advice;
    EXPECT_EQ(problems[0].code, Exit::usage);
  }
}

TEST(Validate, AllowsTheLimits) {
  EXPECT_TRUE(problems_of(with({{"min_lr", "1"}, {"dropout", "0"}, {"clip", "0"}, {"beta1", "0"}})).empty());
  EXPECT_TRUE(problems_of(with({{"head_width", "63"}, {"positions", "learned"}})).empty());
  EXPECT_TRUE(problems_of(with({{"time", "1s"}, {"micro_batch", "64"}})).empty());
}

TEST(Validate, FindsSeveralProblemsAndThrowsTheFirst) {
  const Resolved bad = with({{"layers", "0"}, {"lr", "-1"}, {"keep", "0"}});
  EXPECT_EQ(problems_of(bad).size(), 3u);
  EXPECT_EQ(test::user_error_of([&] { validate(bad); }).what, "layers 0 (command line) is too small");
}

// Σ_c cos(r · base^(-2c/d)) ≥ 0 for all r < context
bool separates(double base, int64_t context, int64_t d) {
  for (int64_t r = 0; r < context; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < d / 2; ++c)
      sum += std::cos(static_cast<double>(r) * std::pow(base, -2.0 * static_cast<double>(c) / static_cast<double>(d)));
    if (sum < 0) return false;
  }
  return true;
}

TEST(Presets, FollowTheirRules) {
  std::set<std::string_view> names;
  for (const Preset& p : presets()) {
    SCOPED_TRACE(p.name);
    EXPECT_TRUE(names.insert(p.name).second);
    ConfigLayer layer;
    layer.assign("size", p.name, "--size", "command line");
    const Resolved r = resolve(std::vector{layer});
    EXPECT_TRUE(problems_of(r).empty());
    EXPECT_EQ(p.hidden, 64 * std::llround(8.0 / 3 * static_cast<double>(p.width) / 64));
    EXPECT_EQ(p.heads * p.head_width, p.width);
    EXPECT_TRUE(separates(p.rope_base, p.context, p.head_width));
    EXPECT_FALSE(separates(p.rope_base * 0.99, p.context, p.head_width));

    const double nominal = std::stod(std::string(p.name.substr(0, p.name.size() - 1))) * 1e6;
    ModelConfig model = r.settings.model;
    model.vocab = p.usual_vocab;
    EXPECT_NEAR(static_cast<double>(parameter_count(model)), nominal, 0.1 * nominal);
    EXPECT_EQ(static_cast<double>(p.tokens), 20 * nominal);
    const double compute = 6 * nominal * static_cast<double>(p.tokens);
    const double batch = 0.292 * std::pow(compute, 0.3271), lr = 0.3118 * std::pow(compute, -0.125);
    EXPECT_LE(static_cast<double>(p.batch), batch);
    EXPECT_GT(2 * static_cast<double>(p.batch), batch);
    EXPECT_LE(p.lr, lr);
    EXPECT_GT(p.lr, 0.88 * lr);
  }
  EXPECT_EQ(names.size(), 6u);
}

}  // namespace
}  // namespace rw
