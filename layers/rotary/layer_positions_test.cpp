#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/rotary/positions.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = PositionKind;

constexpr auto kTraining = Phase::training, kInference = Phase::inference;
constexpr int64_t kTrained = 512, kLayers = 24;

const Kind kKinds[] = {Kind::rope,   Kind::learned,       Kind::none,        Kind::rerope,
                       Kind::leaky,  Kind::inverse_leaky, Kind::self_extend, Kind::window,
                       Kind::lambda, Kind::streaming,     Kind::hwfa,        Kind::hwfa2};

PositionConfig with(Kind kind, int64_t window = 0, double far_step = 0) {
  PositionConfig config;
  config.kind = kind;
  config.window = window;
  config.far_step = far_step;
  return config;
}
PositionConfig resolved(const PositionConfig& config) { return resolve_positions(config, kTrained, kLayers); }
TEST(ResolvePositions, FillsInTheSourcesDefaults) {
  const auto window = [](Kind kind) { return resolved(with(kind)).window; };
  EXPECT_EQ(window(Kind::rope), 0);
  EXPECT_EQ(window(Kind::rerope), 256);
  EXPECT_EQ(window(Kind::leaky), 128);
  EXPECT_EQ(window(Kind::inverse_leaky), 128);
  EXPECT_EQ(window(Kind::self_extend), 128);
  EXPECT_EQ(window(Kind::window), 512);
  EXPECT_EQ(window(Kind::lambda), 512);
  EXPECT_EQ(window(Kind::streaming), 508);
  EXPECT_EQ(window(Kind::hwfa), 17);
  EXPECT_EQ(window(Kind::hwfa2), 64);
  EXPECT_EQ(resolved(with(Kind::leaky)).far_step, 1.0 / 16);
  EXPECT_EQ(resolved(with(Kind::inverse_leaky)).far_step, 16);
  EXPECT_EQ(resolved(with(Kind::self_extend)).group, 8);
  EXPECT_EQ(resolved(with(Kind::lambda)).sinks, 10);
  EXPECT_EQ(resolved(with(Kind::lambda)).reach, 512);
  EXPECT_EQ(resolved(with(Kind::lambda, 64)).reach, 64);
  EXPECT_EQ(resolved(with(Kind::streaming)).sinks, 4);
  EXPECT_EQ(resolved(with(Kind::hwfa2)).full_layers, 2);
  EXPECT_EQ(resolve_positions(with(Kind::rerope), 1, 1).window, 1);
  PositionConfig streaming = with(Kind::streaming);
  streaming.sinks = -1;
  EXPECT_EQ(resolved(streaming).window, 512);
  for (Kind kind : kKinds) {
    const PositionConfig config = resolved(with(kind));
    EXPECT_EQ(config.log_n, kind == Kind::hwfa ? LogN::trained : LogN::off) << position_kind_name(kind);
    EXPECT_EQ(resolved(config), config) << position_kind_name(kind);
    EXPECT_EQ(position_problem(config, kTrained, kLayers), "") << position_kind_name(kind);
    EXPECT_THAT(position_warnings(config, kTrained, kLayers, kTrained), IsEmpty()) << position_kind_name(kind);
  }
  for (Kind kind : {Kind::rerope, Kind::leaky, Kind::hwfa, Kind::streaming})  // what is given stays
    EXPECT_EQ(resolved(with(kind, 77)).window, 77);
  EXPECT_EQ(resolved(with(Kind::inverse_leaky, 0, 8)).far_step, 8);
}

TEST(ResolvePositions, GivesHwfaTheLargestWindowOfItsReach) {  // 4.4
  for (int64_t layers : {2, 3, 24, 40})
    for (int64_t trained : {64, 512, 513, 4096}) {
      const int64_t w = resolve_positions(with(Kind::hwfa), trained, layers).window;
      const auto fits = [&](int64_t window) { return 4 * ((window - 1) * (layers - 1) + 1) <= 3 * trained; };
      EXPECT_TRUE(fits(w) && !fits(w + 1)) << layers << ' ' << trained << ' ' << w;
    }
}

TEST(LayerPositions, OfTheKindsWithOneLayerForAll) {
  const auto layer = [](const PositionConfig& config, Phase phase) {
    const LayerPositions first = layer_positions(config, 0, kLayers, phase);
    for (int64_t l = 1; l < kLayers; ++l) EXPECT_EQ(layer_positions(config, l, kLayers, phase), first);
    return first;
  };
  PositionConfig no_sinks = with(Kind::lambda, 9);
  no_sinks.sinks = -1;
  for (Phase phase : {kTraining, kInference}) {
    EXPECT_EQ(layer(with(Kind::rope), phase), LayerPositions{});
    EXPECT_EQ(layer(with(Kind::none), phase), LayerPositions{.rotated = false});
    EXPECT_EQ(layer(with(Kind::learned), phase), LayerPositions{.rotated = false});
    EXPECT_EQ(layer(resolved(with(Kind::rerope)), phase), LayerPositions{.near = 256});
    EXPECT_EQ(layer(resolved(with(Kind::leaky)), phase), LayerPositions{.near = 128});
    EXPECT_EQ(layer(resolved(with(Kind::self_extend)), phase), LayerPositions{.near = 128});
    EXPECT_EQ(layer(resolved(with(Kind::window, 9)), phase), LayerPositions{.window = 9});
    EXPECT_EQ(layer(resolved(with(Kind::lambda, 9)), phase), (LayerPositions{.near = 9, .window = 9, .sinks = 10}));
    EXPECT_EQ(layer(resolved(no_sinks), phase), LayerPositions{.window = 9});  // window attention
    EXPECT_EQ(layer(resolved(with(Kind::streaming, 9)), phase), (LayerPositions{.near = 9, .window = 9, .sinks = 4}));
  }
  EXPECT_EQ(layer(resolved(with(Kind::inverse_leaky)), kTraining), LayerPositions{.near = 128});
  EXPECT_EQ(layer(resolved(with(Kind::inverse_leaky)), kInference), LayerPositions{});  // plain, whatever was trained
  for (LogN log_n : {LogN::trained, LogN::beyond}) {
    PositionConfig config = with(Kind::window, 9);
    config.log_n = log_n;
    EXPECT_EQ(layer(config, kTraining), (LayerPositions{.window = 9, .scaled = true}));
  }
}

TEST(LayerPositions, OfHwfaEndWithAFullOne) {  // 4.4
  const PositionConfig config = resolved(with(Kind::hwfa, 16));
  for (Phase phase : {kTraining, kInference}) {
    for (int64_t l = 0; l < 23; ++l) EXPECT_EQ(layer_positions(config, l, 24, phase), LayerPositions{.window = 16});
    EXPECT_EQ(layer_positions(config, 23, 24, phase), (LayerPositions{.rotated = false, .scaled = true}));
  }
}

TEST(LayerPositions, OfHwfa2HaveFullOnesBetween) {  // 4.5, 13.26
  const auto full = [](int64_t layers, int64_t count, Phase phase, int64_t near) {
    PositionConfig config = with(Kind::hwfa2, 64);
    config.full_layers = count;
    config.full_window = 256;
    config.log_n = LogN::trained;
    std::vector<int64_t> out;
    for (int64_t l = 0; l < layers; ++l) {
      const LayerPositions found = layer_positions(config, l, layers, phase);
      if (found == LayerPositions{.near = near, .scaled = true})
        out.push_back(l);
      else
        EXPECT_EQ(found, LayerPositions{.window = 64}) << l;
    }
    return out;
  };
  EXPECT_THAT(full(24, 1, kTraining, -1), ElementsAre(12));
  EXPECT_THAT(full(24, 2, kTraining, -1), ElementsAre(8, 16));
  EXPECT_THAT(full(24, 2, kInference, 256), ElementsAre(8, 16));
  EXPECT_THAT(full(7, 2, kTraining, -1), ElementsAre(2, 4));
  EXPECT_THAT(full(4, 4, kInference, 256), ElementsAre(0, 1, 2, 3));  // all: rerope
  PositionConfig config = resolved(with(Kind::hwfa2));
  EXPECT_EQ(layer_positions(config, 8, 24, kInference), LayerPositions{});  // no full_window: rope in inference too
  config.full_window = 256;
  EXPECT_EQ(far_query(config, kInference, 1000), 256);
  EXPECT_EQ(far_key(config, kInference, 700), 0);
  EXPECT_EQ(effective_distance(config, kInference, 1000, 3), 256);
  EXPECT_EQ(effective_distance(config, kTraining, 1000, 3), 997);
  EXPECT_THAT(error_of([&] { layer_positions(config, 24, 24, kTraining); }), HasSubstr("got layer = 24, layers = 24"));
}

TEST(QueryFactor, IsTheGoldenOne) {  // 12.3: N = 512
  const auto factor = [](LogN log_n, int64_t n, int64_t least = 1) {
    PositionConfig config;
    config.log_n = log_n;
    config.log_n_min = least;
    return query_factor(config, 512, n - 1);
  };
  for (int64_t n : {1, 16, 512, 4096}) EXPECT_EQ(factor(LogN::off, n), 1);
  EXPECT_EQ(factor(LogN::trained, 1), 0);
  EXPECT_NEAR(factor(LogN::trained, 16), 0.444444, 5e-7);
  EXPECT_EQ(factor(LogN::trained, 512), 1);
  EXPECT_NEAR(factor(LogN::trained, 513), 1.000313, 5e-7);
  EXPECT_NEAR(factor(LogN::trained, 1024), 1.111111, 5e-7);
  EXPECT_NEAR(factor(LogN::trained, 4096), 1.333333, 5e-7);
  for (int64_t n = 1; n <= 512; ++n) EXPECT_EQ(factor(LogN::beyond, n), 1) << n;
  for (int64_t n : {513, 1024, 4096}) EXPECT_EQ(factor(LogN::beyond, n), factor(LogN::trained, n));
  for (int64_t n : {1, 7, 16}) EXPECT_EQ(factor(LogN::trained, n, 16), factor(LogN::trained, 16)) << n;
  EXPECT_EQ(factor(LogN::trained, 17, 16), factor(LogN::trained, 17));
}

TEST(PositionKind, HasTheNameThatIsTyped) {
  std::vector<std::string_view> names;
  for (Kind kind : kKinds) names.push_back(position_kind_name(kind));
  EXPECT_THAT(names, ElementsAre("rope", "learned", "none", "rerope", "leaky", "inverse_leaky", "self_extend", "window",
                                 "lambda", "streaming", "hwfa", "hwfa2"));
  for (Kind kind : kKinds) EXPECT_EQ(is_rotary(kind), kind != Kind::learned && kind != Kind::none);
}

}  // namespace
}  // namespace rw::test
