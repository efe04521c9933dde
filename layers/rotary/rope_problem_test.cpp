#include "layers/rotary/frequencies_test.hpp"
#include "tests/support/files.hpp"

namespace rw::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RopeProblem, NamesWhatIsWrong) {
  const auto problem = [](RopeConfig config, int64_t width = 16, int64_t trained = 512) {
    const std::string text = rope_problem(config, width, trained);
    if (!text.empty()) {
      const CaughtUserError error = user_error_of([&] { rope_frequencies(config, width, trained, 0); });
      EXPECT_EQ(error.code, Exit::usage);
      EXPECT_EQ(error.what, "the rotary rule is refused: " + text);
    }
    return text;
  };
  const auto changed = [](Rule rule, double factor, auto&& change) {
    RopeConfig config = with(rule, factor);
    change(config);
    return config;
  };
  EXPECT_EQ(problem({}), "");
  const char* pairs = "it would rotate 7 of the 7 coordinates of a head, and must rotate an even number, at least 2";
  EXPECT_EQ(problem({}, 7), pairs);
  EXPECT_EQ(problem(with(Rule::proportional), 7), pairs);
  EXPECT_THAT(problem({}, 0), HasSubstr("would rotate 0 of the 0"));
  EXPECT_THAT(problem({.share = 0.3}, 10), HasSubstr("would rotate 3 of the 10"));
  EXPECT_THAT(problem({.share = 0.05}), HasSubstr("would rotate 0 of the 16"));
  RopeConfig proportional = with(Rule::proportional);
  proportional.share = 0.3;
  EXPECT_THAT(problem(proportional, 10), HasSubstr("would rotate 3 of the 10"));
  for (double share : {0.0, -0.5, 1.5, std::nan("")})
    EXPECT_THAT(problem({.share = share}), HasSubstr("and must be above 0 and at most 1"));
  EXPECT_EQ(problem({.base = 1}), "the base is 1, and must be above 1");
  for (double base : {0.0, -10.0, std::nan(""), HUGE_VAL})
    EXPECT_THAT(problem({.base = base}), HasSubstr("the base is"));
  EXPECT_EQ(problem(with(Rule::linear, 0.5)), "the factor is 0.5, and must be at least 1");
  EXPECT_EQ(problem(with(Rule::yarn, std::nan(""))), "the factor is nan, and must be at least 1");
  EXPECT_EQ(problem({}, 16, 0), "the trained length is 0, and must be at least 1");
  for (Rule rule : {Rule::ntk_aware, Rule::dynamic, Rule::by_parts_legacy}) {
    EXPECT_EQ(problem(with(rule, 2), 2),
              std::string(rope_rule_name(rule)) + " needs a rotated width of at least 4, not 2");
    EXPECT_EQ(problem(with(rule, 2), 4), "");
  }
  for (double e : {-0.1, 1.5, std::nan("")})
    EXPECT_THAT(problem(changed(Rule::ntk_mixed, 8, [&](RopeConfig& c) { c.exponent = e; })),
                HasSubstr("and must be from 0 to 1"));
  for (Rule rule : kByParts) {
    EXPECT_EQ(problem(changed(rule, 8, [](RopeConfig& c) { c.beta_fast = 1; })),
              "beta_fast is 1, and must be above beta_slow, which is 1");
    EXPECT_EQ(problem(changed(rule, 8, [](RopeConfig& c) { c.beta_slow = -1; })),
              "beta_slow is -1, and must be above 0");
    EXPECT_THAT(problem(with(rule, 8), 16, 1'000'000'000), HasSubstr("nothing would be rescaled"));
  }
  for (Rule rule : {Rule::by_parts, Rule::yarn, Rule::by_parts_legacy})
    EXPECT_EQ(problem(with(rule, 8), 128, 3),
              rule == Rule::by_parts_legacy
                  ? "the ramp would begin at pair 0 and end before it, at -3: the trained length 3 does not suit the "
                    "base 10000"
                  : "the ramp would begin at pair 0 and end before it, at -5: the trained length 3 does not suit the "
                    "base 10000");
  const auto longrope = [&](Theta near, Theta far) {
    return changed(Rule::longrope, 4, [&](RopeConfig& c) { c.short_factor = near, c.long_factor = far; });
  };
  EXPECT_EQ(problem(longrope({1, 1}, {2, 2}), 4), "");
  EXPECT_EQ(problem(longrope({1, 1}, {2}), 4), "long_factor has 1 numbers, and must have 2, one for each rotated pair");
  EXPECT_EQ(problem(longrope({}, {2, 2}), 4), "short_factor has 0 numbers, and must have 2, one for each rotated pair");
  EXPECT_EQ(problem(longrope({1, 0}, {2, 2}), 4), "short_factor contains 0, and all of it must be above 0");
  EXPECT_THAT(problem(longrope({1, 1}, {2, std::nan("")}), 4), HasSubstr("long_factor contains nan"));
  EXPECT_EQ(problem(longrope({1, 1}, {2, 2}), 4, 1), "its magnitude needs a trained length of at least 2, not 1");
  EXPECT_EQ(problem(changed(Rule::yarn, 8, [](RopeConfig& c) { c.mscale = -1; })), "mscale is -1, and must be above 0");
}

TEST(RopeProblem, RefusesWhatWouldHaveNoEffect) {
  const auto problem = [](Rule rule, auto&& change) {
    RopeConfig config = with(rule);
    change(config);
    return rope_problem(config, 16, 512);
  };
  EXPECT_EQ(problem(Rule::plain, [](RopeConfig& c) { c.factor = 8; }), "plain has no use for factor");
  EXPECT_EQ(problem(Rule::linear, [](RopeConfig& c) { c.exponent = 0.7; }), "linear has no use for ntk_exponent");
  EXPECT_EQ(problem(Rule::ntk_old, [](RopeConfig& c) { c.beta_fast = 9; }), "ntk_old has no use for beta_fast");
  EXPECT_EQ(problem(Rule::dynamic, [](RopeConfig& c) { c.beta_slow = 9; }), "dynamic has no use for beta_slow");
  EXPECT_EQ(problem(Rule::llama3, [](RopeConfig& c) { c.ramp = RopeRamp::rotations; }),
            "llama3 has no use for rope_ramp");
  EXPECT_EQ(problem(Rule::llama3, [](RopeConfig& c) { c.blend = RopeBlend::harmonic; }),
            "llama3 has no use for rope_blend");
  EXPECT_EQ(problem(Rule::yarn, [](RopeConfig& c) { c.truncate = false, c.ramp = RopeRamp::rotations; }),
            "yarn has no use for rope_truncate");
  EXPECT_EQ(problem(Rule::by_parts, [](RopeConfig& c) { c.attention_factor = 2; }),
            "by_parts has no use for attention_factor");
  EXPECT_EQ(problem(Rule::longrope, [](RopeConfig& c) { c.mscale = 2; }), "longrope has no use for mscale");
  EXPECT_EQ(problem(Rule::linear, [](RopeConfig& c) { c.mscale_all_dim = 2; }), "linear has no use for mscale_all_dim");
  EXPECT_EQ(problem(Rule::yarn, [](RopeConfig& c) { c.short_factor = {1}; }), "yarn has no use for short_factor");
  EXPECT_EQ(problem(Rule::yarn, [](RopeConfig& c) { c.long_factor = {1}; }), "yarn has no use for long_factor");
}

TEST(RopeRule, HasTheNameThatIsTyped) {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Rule::proportional); ++i) names.push_back(rope_rule_name(static_cast<Rule>(i)));
  EXPECT_THAT(names, ElementsAre("plain", "linear", "ntk_old", "ntk_aware", "ntk_fixed", "ntk_mixed", "dynamic",
                                 "by_parts", "by_parts_legacy", "yarn", "llama3", "longrope", "proportional"));
  EXPECT_TRUE(depends_on_length(Rule::dynamic) && depends_on_length(Rule::longrope));
  EXPECT_FALSE(depends_on_length(Rule::yarn));
}

}  // namespace
}  // namespace rw::test
