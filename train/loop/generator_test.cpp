#include "train/loop/generator.hpp"

#include <gtest/gtest.h>

#include "tests/support/model.hpp"

namespace rw::test {
namespace {

// A text of a model that is prepared for `context` tokens, written in memory that a dry run has measured.
struct Writing {
  Writing(const ModelConfig& config, int64_t context, int64_t length)
      : m(config, DType::f64, 1, length, false),
        ids(m.token.view().as<int32_t>().data, m.token.view().as<int32_t>().data + length) {
    expected = m.logits();
    m.model.change_positions(config), m.model.prepare_positions({}, DType::f64, context);
    const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) { Generator::dry_run(ctx, m.model, context); }};
    workspace = std::make_unique<Workspace>(Device{}, measure({}, work));
    generator = std::make_unique<Generator>(workspace->ctx, m.model, context);
  }

  std::span<const double> next(size_t count) {
    at += count;
    return generator->append(std::span(ids).subspan(at - count, count));
  }
  double error(std::span<const double> got) const {  // against one call for the whole text
    const size_t vocab = got.size();
    const auto row = std::span(expected).subspan((at - 1) * vocab, vocab);
    return largest_difference(std::vector(got.begin(), got.end()), std::vector(row.begin(), row.end())) /
           largest(expected);
  }

  TestModel m;
  std::vector<int32_t> ids;
  std::vector<double> expected;
  std::unique_ptr<Workspace> workspace;
  std::unique_ptr<Generator> generator;
  size_t at = 0;
};

std::vector<double> copy(std::span<const double> v) { return {v.begin(), v.end()}; }

ModelConfig streaming(int64_t window, int64_t sinks) {
  ModelConfig config = tiny_config();
  config.positions = {.kind = PositionKind::streaming, .window = window, .sinks = sinks, .log_n = LogN::beyond};
  config.trained_context = 10;
  return config;
}

TEST(Generator, StreamingGoesOnWithoutEnd) {
  for (const int64_t context : {int64_t{8}, int64_t{20}})
    for (const size_t first : {size_t{1}, size_t{5}, size_t{8}, size_t{33}}) {
      Writing text(streaming(6, 2), context, 90);
      EXPECT_LE(text.error(text.next(first)), 1e-12) << first;
      for (const size_t count : {1, 1, 9, 1, 17, 3, 1, 1, 8, 7, 1})
        EXPECT_LE(text.error(text.next(count)), 1e-12) << first << " at " << text.at;
    }
}

TEST(Generator, WindowsStayWithinAContext) {
  ModelConfig config = tiny_config();
  config.positions = {.kind = PositionKind::window, .window = 4};
  Writing text(config, 30, 30);
  for (const size_t count : {9, 1, 1, 6, 1, 11, 1}) EXPECT_LE(text.error(text.next(count)), 1e-12) << text.at;
}

TEST(Generator, AFullContextGoesOnFromItsLaterHalf) {
  for (const ModelConfig& config : {tiny_config(), streaming(6, 3)}) {  // 9 are kept: more than fit
    Writing text(config, 8, 30), again(config, 8, 30), anew(config, 8, 30);
    text.next(3), text.next(5);
    const auto halved = copy(text.next(1));  // 9 tokens: those from 5 on stay
    EXPECT_GT(text.error(halved), 1e-6);
    again.at = 5;
    EXPECT_EQ(halved, copy(again.next(4)));
    EXPECT_EQ(copy(text.next(3)), copy(again.next(3)));
    anew.at = 26;
    text.at = 10;
    EXPECT_EQ(copy(text.next(20)), copy(anew.next(4)));
  }
}

}  // namespace
}  // namespace rw::test
