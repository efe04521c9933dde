#include "layers/transformer/position_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/model.hpp"

namespace rw::test {
namespace {

ModelConfig with(void (*change)(ModelConfig&)) {
  ModelConfig c = tiny_config();
  c.context = c.trained_context = 32;
  c.head_width = 8;
  change(c);
  return c;
}

TEST(PositionText, SaysWhatIsInEffect) {
  EXPECT_EQ(position_text(with([](ModelConfig&) {})), "rope, base 50");
  EXPECT_EQ(position_text(with([](ModelConfig& c) { c.positions.kind = PositionKind::learned; })), "learned");
  EXPECT_EQ(position_text(with([](ModelConfig& c) {
              c.rope = {.rule = RopeRule::linear, .base = 10000, .factor = 4};
              c.positions = {.kind = PositionKind::leaky, .window = 8, .log_n = LogN::beyond};
            })),
            "rope, linear × 4 from 32, base 10000 · leaky, window 8, far step 0.0625 · log n beyond, N 32");
}

TEST(PositionAdvice, KnowsBasesAndWindows) {
  const auto advice = [](void (*change)(ModelConfig&), int64_t length) {
    return position_advice(with(change), length);
  };
  EXPECT_THAT(advice([](ModelConfig& c) { c.rope.base = 10000, c.head_width = 64; }, 700), testing::IsEmpty());
  EXPECT_THAT(advice([](ModelConfig& c) { c.rope.base = 10000, c.head_width = 64; }, 1024),
              testing::ElementsAre("rope_base 10000 tells similar tokens from others up to a distance of 725, and the "
                                   "context is 1024: ropewalk base --context 1024 --head-dim 64"));
  EXPECT_THAT(advice([](ModelConfig& c) { c.positions = {.kind = PositionKind::rerope, .window = 32}; }, 64),
              testing::ElementsAre(testing::HasSubstr("the window of rerope, 32, is not below the trained length 32")));
  EXPECT_THAT(advice([](ModelConfig& c) { c.positions.kind = PositionKind::learned; }, 9999), testing::IsEmpty());
}

TEST(PositionFingerprint, ChangesWithEverythingThatHasAnEffect) {
  std::set<std::string> all;
  const auto is_new = [&](void (*change)(ModelConfig&)) {
    return all.insert(position_fingerprint(with(change))).second;
  };
  EXPECT_TRUE(is_new([](ModelConfig&) {}));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope.base = 51; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope_layout = RopeLayout::interleaved; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope.share = 0.5; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope.rule = RopeRule::linear, c.rope.factor = 2; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope.rule = RopeRule::linear, c.rope.factor = 4; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.rope.rule = RopeRule::dynamic, c.rope.factor = 2; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::rerope; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::rerope, c.positions.window = 3; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::leaky; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::leaky, c.positions.far_step = 0.5; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::self_extend; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::lambda; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::streaming; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::window; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::none; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.kind = PositionKind::learned; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.log_n = LogN::trained; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.positions.log_n = LogN::beyond; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.key_norm = KeyNorm::key; }));
  EXPECT_TRUE(is_new([](ModelConfig& c) { c.key_norm = KeyNorm::cosine; }));
}

TEST(PositionFingerprint, IsThatOfWhatIsTheSame) {
  const auto same = [](void (*a)(ModelConfig&), void (*b)(ModelConfig&)) {
    EXPECT_EQ(position_fingerprint(with(a)), position_fingerprint(with(b)));
  };
  const auto plain = [](ModelConfig&) {};
  same(plain, [](ModelConfig& c) { c.positions.kind = PositionKind::inverse_leaky; });  // in use it is rope
  same(plain, [](ModelConfig& c) { c.context = 64; });
  same(plain, [](ModelConfig& c) { c.trained_context = 0; });
  same([](ModelConfig& c) { c.rope.base = 100; },
       [](ModelConfig& c) { c.rope = {.rule = RopeRule::ntk_old, .base = 50, .factor = 2}; });
  same([](ModelConfig& c) { c.positions.kind = PositionKind::rerope; },
       [](ModelConfig& c) { c.positions.kind = PositionKind::rerope, c.positions.window = 16; });
}

}  // namespace
}  // namespace rw::test
