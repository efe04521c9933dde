#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "layers/rotary/positions.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = PositionKind;

constexpr int64_t kTrained = 512, kLayers = 24;

template <class F>
PositionConfig changed(Kind kind, F&& change) {  // after its defaults are filled in
  PositionConfig config;
  config.kind = kind;
  config = resolve_positions(config, kTrained, kLayers);
  change(config);
  return config;
}
template <class F>
std::string problem(Kind kind, F&& change, int64_t trained = kTrained, int64_t layers = kLayers) {
  return position_problem(changed(kind, change), trained, layers);
}

TEST(PositionProblem, NamesWhatIsWrong) {
  const auto window = [](int64_t w) { return [w](PositionConfig& c) { c.window = w; }; };
  const auto step = [](double g) { return [g](PositionConfig& c) { c.far_step = g; }; };
  for (Kind kind : {Kind::rerope, Kind::leaky, Kind::inverse_leaky, Kind::self_extend, Kind::window, Kind::lambda,
                    Kind::streaming, Kind::hwfa2})
    for (int64_t w : {0, -3})
      EXPECT_EQ(problem(kind, window(w)), "the window of " + std::string(position_kind_name(kind)) + " is " +
                                              std::to_string(w) + ", and must be at least 1");
  EXPECT_EQ(problem(Kind::rerope, window(1)), "");
  EXPECT_EQ(problem(Kind::rerope, window(5000)), "");  // legal, and of no use
  EXPECT_EQ(problem(Kind::hwfa, window(1)), "the window of hwfa is 1, and must be at least 2");
  EXPECT_EQ(problem(
                Kind::hwfa, [](auto&) {}, kTrained, 1),
            "hwfa needs 2 layers or more, one of them without a window, not 1");
  EXPECT_EQ(problem(Kind::leaky, step(0)), "");
  EXPECT_EQ(problem(Kind::leaky, step(-0.5)), "the far step of leaky is -0.5, and must be at least 0 and below 1");
  EXPECT_EQ(problem(Kind::leaky, step(1)), "the far step of leaky is 1, and must be at least 0 and below 1");
  EXPECT_EQ(problem(Kind::leaky, step(16)),
            "the far step of leaky is 16, and must be at least 0 and below 1: a step above 1 is for training, "
            "--positions inverse_leaky");
  EXPECT_EQ(problem(Kind::inverse_leaky, step(1)), "");
  EXPECT_EQ(problem(Kind::inverse_leaky, step(0.0625)),
            "the far step of inverse_leaky is 0.0625, and must be at least 1: a step below 1 is the forward use, "
            "--positions leaky");
  for (Kind kind : {Kind::leaky, Kind::inverse_leaky})
    EXPECT_THAT(problem(kind, step(std::nan(""))), HasSubstr("is nan"));
  EXPECT_THAT(problem(Kind::inverse_leaky, step(HUGE_VAL)), HasSubstr("is inf"));
  EXPECT_EQ(problem(Kind::self_extend, [](PositionConfig& c) { c.group = 0; }),
            "the group of self_extend is 0, and must be at least 1");
  EXPECT_EQ(problem(Kind::lambda, [](PositionConfig& c) { c.reach = -1; }),
            "the reach of lambda is -1, and must be at least 1");
  EXPECT_EQ(problem(Kind::lambda, [](PositionConfig& c) { c.sinks = -1; }), "");
  EXPECT_EQ(problem(Kind::streaming, [](PositionConfig& c) { c.sinks = -2; }),
            "there are -2 sinks; -1 stands for none");
  EXPECT_EQ(problem(Kind::hwfa2, [](PositionConfig& c) { c.full_layers = 0; }),
            "hwfa2 has 0 full layers of 24, and needs from 1 to all");
  EXPECT_EQ(problem(Kind::hwfa2, [](PositionConfig& c) { c.full_layers = 25; }),
            "hwfa2 has 25 full layers of 24, and needs from 1 to all");
  EXPECT_EQ(problem(Kind::hwfa2, [](PositionConfig& c) { c.full_layers = 24; }), "");
  EXPECT_EQ(problem(Kind::hwfa2, [](PositionConfig& c) { c.full_window = -1; }),
            "the full window of hwfa2 is -1; 0 stands for none");
  for (LogN log_n : {LogN::trained, LogN::beyond})
    EXPECT_EQ(problem(
                  Kind::rope, [&](PositionConfig& c) { c.log_n = log_n; }, 1),
              "log n needs a trained length of at least 2, not 1");
  EXPECT_EQ(problem(
                Kind::rope, [&](auto&) {}, 1),
            "");
  EXPECT_EQ(problem(Kind::rope, [](PositionConfig& c) { c.log_n = LogN::trained, c.log_n_min = 0; }),
            "log_n_min is 0, and must be at least 1");
}

TEST(PositionProblem, RefusesWhatWouldHaveNoEffect) {
  EXPECT_EQ(problem(Kind::rope, [](PositionConfig& c) { c.window = 128; }), "rope has no use for window");
  EXPECT_EQ(problem(Kind::rerope, [](PositionConfig& c) { c.far_step = 0.5; }), "rerope has no use for far_step");
  EXPECT_EQ(problem(Kind::leaky, [](PositionConfig& c) { c.group = 8; }), "leaky has no use for group");
  EXPECT_EQ(problem(Kind::window, [](PositionConfig& c) { c.sinks = 4; }), "window has no use for sinks");
  EXPECT_EQ(problem(Kind::streaming, [](PositionConfig& c) { c.reach = 4; }), "streaming has no use for reach");
  EXPECT_EQ(problem(Kind::hwfa, [](PositionConfig& c) { c.full_layers = 2; }), "hwfa has no use for full_layers");
  EXPECT_EQ(problem(Kind::hwfa, [](PositionConfig& c) { c.full_window = 2; }), "hwfa has no use for full_window");
  EXPECT_EQ(problem(Kind::none, [](PositionConfig& c) { c.log_n_min = 16; }), "none has no use for log_n_min");
  EXPECT_EQ(problem(Kind::rope, [](PositionConfig& c) { c.log_n = LogN::beyond, c.log_n_min = 16; }),
            "rope has no use for log_n_min");
}

template <class F>
std::vector<std::string> warnings(Kind kind, int64_t length, F&& change) {
  return position_warnings(changed(kind, change), kTrained, kLayers, length);
}

TEST(PositionWarnings, SayWhatIsOfNoUse) {
  const auto window = [](int64_t w) { return [w](PositionConfig& c) { c.window = w; }; };
  const auto step = [](double g) { return [g](PositionConfig& c) { c.far_step = g; }; };
  const auto group = [](int64_t g) { return [g](PositionConfig& c) { c.group = g; }; };
  const auto none = [](auto&) {};
  for (Kind kind : {Kind::rerope, Kind::leaky, Kind::self_extend}) {
    EXPECT_THAT(warnings(kind, 4096, window(512)),
                ElementsAre(AllOf(HasSubstr("the window of " + std::string(position_kind_name(kind)) + ", 512,"),
                                  HasSubstr("not below the trained length 512"))));
    EXPECT_THAT(warnings(kind, 512, window(511)), IsEmpty());
  }
  EXPECT_THAT(warnings(Kind::inverse_leaky, 512, window(512)), ElementsAre(HasSubstr("this trains plain rope")));
  EXPECT_THAT(warnings(Kind::leaky, 4096, none), IsEmpty());  // 375.9, the table of 9.3
  EXPECT_THAT(warnings(Kind::leaky, 4096, step(0.125)),
              ElementsAre("a text of 4096 reaches the distance 623.875, and only those below 512 were trained: a "
                          "smaller far step would do"));
  EXPECT_THAT(warnings(Kind::leaky, 128 + 3072 / 1, step(0.125)), IsEmpty());  // 511.875
  EXPECT_THAT(warnings(Kind::leaky, 3202, step(0.125)), ElementsAre(HasSubstr("the distance 512.125")));
  EXPECT_THAT(warnings(Kind::self_extend, (512 - 128) * 8 + 128, none), IsEmpty());  // (N - w) G + w
  EXPECT_THAT(warnings(Kind::self_extend, (512 - 128) * 8 + 129, none), ElementsAre(HasSubstr("a larger group")));
  EXPECT_THAT(warnings(Kind::self_extend, 4096, group(16)), IsEmpty());
  EXPECT_THAT(warnings(Kind::inverse_leaky, 6257, none), IsEmpty());
  EXPECT_THAT(warnings(Kind::inverse_leaky, 6258, none),
              ElementsAre("a text of 6258 has distances up to 6257, and inverse_leaky trains up to 6256: a larger far "
                          "step would do"));
  EXPECT_THAT(warnings(Kind::lambda, 4096, none), IsEmpty());
  EXPECT_THAT(warnings(Kind::lambda, 4096, [](PositionConfig& c) { c.reach = 513; }),
              ElementsAre(HasSubstr("window 512 and reach 513 go beyond the trained length 512")));
  EXPECT_THAT(warnings(Kind::streaming, 4096, window(509)),
              ElementsAre("streaming keeps 509 keys and 4 sinks, more than the trained length 512"));
  EXPECT_THAT(warnings(Kind::hwfa2, 4096, [](PositionConfig& c) { c.full_window = 512; }),
              ElementsAre(HasSubstr("the full window of hwfa2, 512,")));
  EXPECT_THAT(warnings(Kind::rope, 1 << 20, none), IsEmpty());
}

TEST(PositionWarnings, SayThatTheWindowsOfHwfaReachTooFar) {  // 4.4: n = 24, N = 512
  const auto of = [](int64_t w) { return warnings(Kind::hwfa, 4096, [w](PositionConfig& c) { c.window = w; }); };
  EXPECT_THAT(of(16), IsEmpty());  // 346 / 512 = 0.676
  EXPECT_THAT(of(17), IsEmpty());  // 0.721
  EXPECT_THAT(of(18), ElementsAre(AllOf(HasSubstr("together reach 392 tokens, 0.765625 of the trained length"),
                                        HasSubstr("at most 3/4"))));
}

}  // namespace
}  // namespace rw::test
