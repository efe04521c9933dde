#include "train/loop/sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/model.hpp"
#include "train/loop/extension.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

// Tokens 0, 1, 2, ... of a small vocabulary, in a file of u16 without a header.
struct TokenRow {
  explicit TokenRow(size_t count) {
    std::string bytes;
    for (size_t t = 0; t < count; ++t) bytes += static_cast<char>((t * t + t / 3) % 11), bytes += '\0';
    write_file(folder.path() / "train.bin", bytes);
  }
  TokenData open() const { return TokenData::open(folder.path() / "train.bin", Split::train, 11); }
  TemporaryFolder folder;
};

TEST(Sweep, ScoresTheSameLastTokensAtEveryLength) {
  const TokenRow row(500);
  const TokenData data = row.open();
  TestModel m(tiny_config(), DType::f64, 1, 40, false);
  const Sweep sweep(data, {.lengths = {7, 20, 40}, .score_last = 5, .texts = 3});
  const SweepResult result = sweep.run(m.model, SweepText::natural);
  ASSERT_EQ(result.cells.size(), 3u);
  for (const SweepCell& cell : result.cells) EXPECT_EQ(cell.targets, 15u);

  // By the model's logits, text by text: texts begin at 0, 229 and 459 of 500 tokens.
  for (const SweepCell& cell : result.cells) {
    double loss = 0, hits = 0;
    for (const int64_t begin : {0, 229, 459}) {
      TestModel one(tiny_config(), DType::f64, 1, cell.length, false);
      const int64_t first = begin + 40 - cell.length;
      for (int64_t t = 0; t < cell.length; ++t)
        one.token.view().as<int32_t>().data[t] = data.token(static_cast<uint64_t>(first + t));
      const auto logits = one.logits();
      for (int64_t t = cell.length - 5; t < cell.length; ++t) {
        const double* z = &logits[static_cast<size_t>(t * 11)];
        const int32_t target = data.token(static_cast<uint64_t>(first + t + 1));
        double sum = 0;
        for (int v = 0; v < 11; ++v) sum += std::exp(z[v]);
        loss += std::log(sum) - z[target], hits += std::max_element(z, z + 11) - z == target;
      }
    }
    EXPECT_NEAR(cell.loss, loss / 15, 1e-12) << cell.length;
    EXPECT_NEAR(cell.accuracy, hits / 15, 1e-12) << cell.length;
  }
  // The parts of the longest are a whole.
  double sum = 0;
  int64_t next = 0;
  for (const SweepPart& part : result.by_position) {
    EXPECT_EQ(part.first, next);
    next += part.count, sum += part.loss * static_cast<double>(part.count);
  }
  EXPECT_EQ(next, 40);
  const SweepResult all = Sweep(data, {.lengths = {40}, .texts = 3}).run(m.model, SweepText::natural);
  EXPECT_NEAR(sum / 40, all.cells[0].loss, 1e-12);
}

// In use inverse Leaky is plain rope; in training it is what a forward of the training has.
TEST(Sweep, HasThePositionsOfThePhase) {
  const TokenRow row(60);
  const TokenData data = row.open();
  ModelConfig plain = tiny_config();
  plain.positions = {}, plain.context = 24;
  ModelConfig inverse = plain;
  inverse.positions = {.kind = PositionKind::inverse_leaky, .window = 4, .far_step = 3};
  TestModel m(plain, DType::f64, 1, 24, false), bent(inverse, DType::f64, 1, 24, false);
  const auto loss = [&](Model& model, Phase phase) {
    const Sweep sweep(data, {.lengths = {24}, .score_last = 24, .texts = 1, .phase = phase});
    return sweep.run(model, SweepText::natural).cells[0].loss;
  };
  EXPECT_EQ(loss(bent.model, Phase::inference), loss(m.model, Phase::inference));
  for (int64_t t = 0; t < 24; ++t) {
    bent.token.view().as<int32_t>().data[t] = data.token(static_cast<uint64_t>(t));
    bent.target.view().as<int32_t>().data[t] = data.token(static_cast<uint64_t>(t + 1));
  }
  EXPECT_NEAR(loss(bent.model, Phase::training), bent.loss() / 24, 1e-12);
  EXPECT_GT(std::abs(loss(bent.model, Phase::training) - loss(bent.model, Phase::inference)), 1e-3);
}

// A model that looks at nothing but the token itself cannot tell where a repeated text begins.
TEST(Sweep, RepeatsASegment) {
  const TokenRow row(300);
  const TokenData data = row.open();
  ModelConfig c = tiny_config();
  c.positions = {.kind = PositionKind::window, .window = 1};
  TestModel m(c, DType::f64, 1, 40, false);
  const auto loss = [&](int64_t length) {
    const Sweep sweep(data, {.lengths = {length}, .score_last = 5, .texts = 2, .segment = 10});
    return sweep.run(m.model, SweepText::repeated).cells[0].loss;
  };
  EXPECT_NEAR(loss(20), loss(40), 1e-12);
  EXPECT_GT(std::abs(loss(25) - loss(20)), 1e-6);
}

TEST(Sweep, ErrorsSayWhat) {
  const TokenRow row(100);
  const TokenData data = row.open();
  const auto error = [&](const SweepOptions& options) { return user_error_of([&] { Sweep(data, options); }).what; };
  EXPECT_THAT(error({}), HasSubstr("there is no length to try"));
  EXPECT_THAT(error({.lengths = {0, 5}}), HasSubstr("there is no length to try"));
  EXPECT_THAT(error({.lengths = {20, 20}}), HasSubstr("the lengths do not ascend"));
  EXPECT_THAT(error({.lengths = {10, 20}, .score_last = 11}), HasSubstr("the last 11 tokens"));
  EXPECT_THAT(error({.lengths = {10}, .texts = 0}), HasSubstr("there is no text to try"));
  EXPECT_THAT(error({.lengths = {10}, .segment = -1}), HasSubstr("a segment of -1 tokens"));
  EXPECT_THAT(error({.lengths = {10, 100}}), HasSubstr("has 100 tokens"));
}

TEST(Extension, IsProvedOrRefused) {
  const TokenRow row(500);
  const TokenData data = row.open();
  ModelConfig c = tiny_config();
  TestModel m(c, DType::f64, 1, 64, false);
  ModelConfig yarn = c;
  yarn.rope.rule = RopeRule::linear, yarn.rope.factor = 4, yarn.trained_context = c.context;
  const ExtensionProof proof = prove_extension(m.model, yarn, data, 64);
  EXPECT_EQ(m.model.config, c);
  EXPECT_EQ(proof.trained, 16);
  EXPECT_NE(proof.before[1], proof.after[1]);
  EXPECT_THAT(proof.text(), HasSubstr("loss of 2 texts of 64 tokens up to 16 and beyond: "));
  ModelConfig wide = c;
  wide.positions = {.kind = PositionKind::rerope, .window = 64}, wide.trained_context = c.context;
  const auto error = user_error_of([&] { prove_extension(m.model, wide, data, 64); });
  EXPECT_THAT(error.what, HasSubstr("the new positions change nothing: rope, base 50 · rerope, window 64"));
}

}  // namespace
}  // namespace rw::test
