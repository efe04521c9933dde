#include "train/config/positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error.hpp"
#include "tests/support/files.hpp"
#include "train/config/finetune.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

ModelConfig trained_at_512() {
  ModelConfig m;
  m.vocab = 300, m.layers = 6, m.width = 64, m.heads = m.kv_heads = 4, m.head_width = 16, m.hidden = 100;
  m.context = 512, m.rope.base = 20000;
  return m;
}

using Values = std::vector<std::pair<const char*, const char*>>;

std::vector<Assignment> assignments(const Values& values) {
  std::vector<Assignment> out;
  for (const auto& [name, text] : values) out.push_back({name, text, "command line"});
  return out;
}
ModelConfig changed(const ModelConfig& model, int64_t length, const Values& values) {
  return with_positions(model, assignments(values), length);
}

TEST(WithPositions, NothingChangesNothing) {
  ModelConfig model = trained_at_512();
  model.rope.rule = RopeRule::yarn, model.rope.factor = 4;
  EXPECT_EQ(changed(model, 9999, {}), model);
}

TEST(WithPositions, FactorAndTrainedLengthFollowFromTheLength) {
  const ModelConfig m = changed(trained_at_512(), 4096, {{"rope", "yarn"}});
  EXPECT_EQ(m.rope.rule, RopeRule::yarn);
  EXPECT_EQ(m.rope.factor, 8);
  EXPECT_EQ(m.rope.base, 20000);
  EXPECT_EQ(m.trained(), 512);
  EXPECT_EQ(changed(trained_at_512(), 4096, {{"rope", "yarn"}, {"factor", "16"}}).rope.factor, 16);
  EXPECT_EQ(changed(trained_at_512(), 4096, {{"rope", "dynamic"}}).rope.factor, 1);
  // Again, from the length of the first training.
  EXPECT_EQ(changed(m, 8192, {{"rope", "linear"}}).rope.factor, 16);
}

TEST(WithPositions, ANewRuleForgetsTheOldOnes) {
  ModelConfig model = trained_at_512();
  model.rope.rule = RopeRule::yarn, model.rope.factor = 4, model.rope.attention_factor = 1.5;
  model.positions = {.kind = PositionKind::leaky, .window = 100, .far_step = 0.5};
  const ModelConfig m = changed(model, 1024, {{"rope", "ntk-mixed"}, {"positions", "rerope"}});
  EXPECT_EQ(m.rope, (RopeConfig{.rule = RopeRule::ntk_mixed, .base = 20000, .factor = 2}));
  EXPECT_EQ(m.positions, (PositionConfig{.kind = PositionKind::rerope, .window = 256}));
  EXPECT_EQ(changed(model, 1024, {{"window", "64"}}).positions.far_step, 0.5);  // the same kind goes on
}

TEST(WithPositions, DefaultsAreTheSources) {
  const ModelConfig m = changed(trained_at_512(), 4096, {{"positions", "leaky"}});
  EXPECT_EQ(m.positions.window, 128);
  EXPECT_EQ(m.positions.far_step, 1.0 / 16);
  EXPECT_EQ(changed(trained_at_512(), 4096, {{"positions", "leaky"}, {"far_step", "1/32"}}).positions.far_step,
            1.0 / 32);
}

TEST(WithPositions, ErrorsSayWhat) {
  const auto error = [](const Values& values, ModelConfig model = trained_at_512()) {
    const auto e = user_error_of([&] { changed(model, 512, values); });
    EXPECT_EQ(e.code, Exit::usage);
    return e.what + " / " + e.advice;
  };
  ModelConfig log_n = trained_at_512(), learned = trained_at_512();
  log_n.positions.log_n = LogN::trained;
  learned.positions.kind = PositionKind::learned;
  EXPECT_THAT(error({{"rope", "yarn"}}), HasSubstr("rope yarn has nothing to extend: context is 512"));
  EXPECT_THAT(error({{"factor", "4"}}), HasSubstr("plain has no use for factor"));
  EXPECT_THAT(error({{"rope", "linear"}, {"factor", "0.5"}}), HasSubstr("the factor is 0.5"));
  EXPECT_THAT(error({{"rope_layout", "interleaved"}}), HasSubstr("the model was trained with half"));
  EXPECT_THAT(error({{"rope_share", "0.5"}}), HasSubstr("the model was trained with 1"));
  EXPECT_THAT(error({{"positions", "learned"}}),
              HasSubstr("positions is learned, and the model was trained with rope"));
  EXPECT_THAT(error({{"positions", "hwfa"}}), HasSubstr("positions is hwfa"));
  EXPECT_THAT(error({{"positions", "rerope"}}, learned), HasSubstr("trained with learned"));
  EXPECT_THAT(error({{"rope", "yarn"}, {"factor", "2"}}, learned), HasSubstr("nothing is rotated by learned"));
  EXPECT_THAT(error({{"log_n", "trained"}}), HasSubstr("--log-n beyond"));
  EXPECT_THAT(error({{"log_n", "off"}}, log_n), HasSubstr("it needs it in use too"));
  EXPECT_THAT(error({{"positions", "inverse-leaky"}, {"far_step", "1/2"}}), HasSubstr("--positions leaky"));
  EXPECT_THAT(error({{"positions", "rerope"}, {"window", "-1"}}), HasSubstr("the window of rerope is -1"));
}

TEST(FinetunePositions, LongerContextsAreExtended) {
  const auto with = [](const Values& values) {
    ConfigLayer layer;
    for (const auto& [name, text] : values) layer.assign(name, text, name, "command line");
    return resolve_finetune(trained_at_512(), std::vector{layer}, false);
  };
  const FinetuneSettings yarn = with({{"context", "4k"}, {"rope", "yarn"}});
  EXPECT_EQ(yarn.model.context, 4096);
  EXPECT_EQ(yarn.model.rope.factor, 8);
  EXPECT_EQ(yarn.model.trained(), 512);
  EXPECT_EQ(yarn.resolved.settings.model.rope, yarn.model.rope);
  EXPECT_EQ(yarn.resolved.settings.model.trained(), 512);
  EXPECT_EQ(with({{"context", "4k"}, {"rope_base", "500000"}}).model.rope.base, 500000);
  const auto error = user_error_of([&] { with({{"context", "4k"}}); });
  EXPECT_THAT(error.what, HasSubstr("the model was trained up to 512"));
  EXPECT_THAT(error.advice, HasSubstr("--rope yarn"));
}

}  // namespace
}  // namespace rw::test
