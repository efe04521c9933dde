// Texts longer than what the caches hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error.hpp"
#include "tests/support/model.hpp"

namespace rw::test {
namespace {

using Steps = std::vector<int64_t>;
constexpr int64_t kLength = 60;

// The caches of a sequence, and the logits after each step of it.
struct Decoder {
  Decoder(const TestModel& m, int64_t capacity, bool raw) : test(m) {
    for (const Block& block : m.model.blocks)
      caches.push_back(m.model.add_cache(block, capacity, raw, [&](Shape shape) {
        return memory.emplace_back(Device{}, shape, m.value.view().dtype).view();
      }));
  }

  std::vector<double> next(int64_t count) {
    const auto part = [&](CView v) { return reshape(rows(reshape(v, {v.width(), 1}), at, count), {1, count}); };
    const Batch batch = test.batch();
    Buffer out({}, {1, test.model.config.vocab}, test.value.view().dtype);
    test.model.decode(test.workspace->ctx, out, {part(batch.token), {}, part(batch.position), {}}, caches);
    at += count;
    return TestModel::values(out);
  }

  const TestModel& test;
  std::vector<Buffer> memory;
  std::vector<KvCache> caches;
  int64_t at = 0;
};

std::vector<double> row(const std::vector<double>& logits, int64_t r, int64_t vocab) {
  return {logits.begin() + r * vocab, logits.begin() + (r + 1) * vocab};
}

struct Bounded {
  PositionConfig positions;
  Steps capacities;  // of three layers
};

std::ostream& operator<<(std::ostream& out, const Bounded& b) {
  return out << position_kind_name(b.positions.kind) << " window " << b.positions.window << " sinks "
             << b.positions.sinks << " log n " << static_cast<int>(b.positions.log_n);
}

using enum PositionKind;
const Bounded kBounded[] = {
    {{.kind = window, .window = 5}, {5, 5, 5}},
    {{.kind = window, .window = 1}, {1, 1, 1}},
    {{.kind = window, .window = 7, .log_n = LogN::trained}, {7, 7, 7}},
    {{.kind = window, .window = kLength}, {kLength, kLength, kLength}},
    {{.kind = window, .window = kLength + 1}, {kLength, kLength, kLength}},  // no room for it: nothing is dropped
    {{.kind = lambda, .window = 5, .sinks = 3, .reach = 20}, {8, 8, 8}},
    {{.kind = lambda, .window = 5, .sinks = -1}, {5, 5, 5}},
    {{.kind = hwfa, .window = 4}, {4, 4, kLength}},
    {{.kind = hwfa2, .window = 4, .full_layers = 1}, {4, kLength, 4}},
    {{.kind = hwfa2, .window = 6, .full_layers = 2, .full_window = 9}, {6, kLength, kLength}},
    {{.kind = streaming, .window = 6, .sinks = 2}, {8, 8, 8}},
    {{.kind = streaming, .window = 1, .sinks = 4}, {5, 5, 5}},
    {{.kind = streaming, .window = 6, .sinks = -1}, {6, 6, 6}},
    {{.kind = streaming, .window = 6, .sinks = 3, .log_n = LogN::trained}, {9, 9, 9}},
    {{.kind = streaming, .window = 6, .sinks = 3, .log_n = LogN::beyond}, {9, 9, 9}},
};

TEST(Decode, BoundedCachesGiveWhatOneCallGives) {
  for (const Bounded& trial : kBounded)
    for (const DType dtype : {DType::f64, DType::f32}) {
      ModelConfig config = tiny_config();
      config.layers = 3, config.positions = trial.positions, config.trained_context = 12;
      TestModel m(config, dtype, 1, kLength, false);
      const auto logits = m.logits();
      const bool raw = trial.positions.kind == streaming;
      for (const Steps& steps : {Steps(kLength, 1), {1, 3, 2, 1, 1, 4, 7, 1, 2, 5, 6, 1, 1, 7, 3, 2, 7, 4, 2}}) {
        Decoder decoder(m, kLength, raw);
        for (size_t l = 0; l < 3; ++l) EXPECT_EQ(decoder.caches[l].capacity(), trial.capacities[l]) << trial;
        for (const int64_t count : steps) {
          const auto got = decoder.next(count);
          EXPECT_LE(largest_difference(got, row(logits, decoder.at - 1, config.vocab)),
                    (dtype == DType::f64 ? 1e-12 : 1e-5) * largest(logits))
              << trial << ' ' << dtype << " after " << decoder.at;
        }
        ASSERT_EQ(decoder.at, kLength);
        for (const KvCache& cache : decoder.caches) EXPECT_EQ(cache.length, cache.capacity()) << trial;
      }
    }
}

// Streaming as the source has it: the tokens in the cache are listed, the oldest but the sinks goes before a new one
// comes, and what is left is a text of its own. One layer: the keys of more would know of what was dropped.
TEST(Decode, StreamingEqualsAListModel) {
  for (const int64_t sinks : {int64_t{0}, int64_t{1}, int64_t{3}}) {
    const int64_t window = 5;
    ModelConfig config = tiny_config();
    config.layers = 1;
    TestModel plain(config, DType::f64, 1, kLength, false);
    config.positions = {.kind = streaming, .window = window, .sinks = sinks > 0 ? sinks : -1};
    TestModel m(config, DType::f64, 1, kLength, false);
    m.model.change_positions(config);
    m.model.prepare_positions({}, DType::f64, sinks + window);  // no more are needed
    EXPECT_TRUE(m.model.endless());
    Decoder decoder(m, sinks + window, true);
    Buffer token({}, {1, sinks + window}, DType::i32);
    std::vector<int32_t> list;
    for (int64_t i = 0; i < kLength; ++i) {
      if (static_cast<int64_t>(list.size()) == sinks + window) list.erase(list.begin() + sinks);
      list.push_back(m.token.view().as<int32_t>()[0][i]);
      std::ranges::copy(list, token.view().as<int32_t>().data);
      const auto n = static_cast<int64_t>(list.size());
      const auto prefix = [&](const Buffer& b) { return range_of(b.view(), {0, n, false}, {1, n}); };
      Buffer logits({}, {n, config.vocab}, DType::f64);
      plain.model.logits(plain.workspace->ctx, logits, {prefix(token), {}, prefix(plain.position), {}});
      const auto expected = row(TestModel::values(logits), n - 1, config.vocab), got = decoder.next(1);
      EXPECT_LE(largest_difference(got, expected), 1e-12 * largest(expected)) << "sinks " << sinks << " token " << i;
    }
  }
}

// When a cache is full, window + 1 tokens may come at once, and no more.
TEST(Decode, PositionsOfStreamingEnd) {
  ModelConfig config = tiny_config();
  config.positions = {.kind = streaming, .window = 6, .sinks = 2};
  TestModel m(config, DType::f64, 1, kLength, false);
  const auto logits = m.logits();
  m.model.change_positions(config), m.model.prepare_positions({}, DType::f64, 8);
  Decoder decoder(m, 8, true);
  decoder.next(8);
  for (int i = 0; i < 6; ++i) {
    const auto got = decoder.next(7);
    EXPECT_LE(largest_difference(got, row(logits, decoder.at - 1, config.vocab)), 1e-12 * largest(logits));
  }
  EXPECT_THAT(error_of([&] { decoder.next(8); }), testing::HasSubstr("first + count <= v.width()"));
  m.model.change_positions(config), m.model.prepare_positions({}, DType::f64, 7);
  EXPECT_FALSE(m.model.endless());
}

TEST(Decode, AFullCacheWithoutAWindowIsAnError) {
  TestModel m(tiny_config(), DType::f64, 1, 16, false);
  Decoder decoder(m, 9, false);
  decoder.next(9);
  EXPECT_THAT(error_of([&] { decoder.next(1); }), testing::HasSubstr("cache.window > 0"));
}

}  // namespace
}  // namespace rw::test
