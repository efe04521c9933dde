#include "data/sampler/sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/ignore.hpp"
#include "data/prepare.hpp"
#include "data/sampler/batch.hpp"
#include "data/sampler/permutation.hpp"
#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::TemporaryFolder;
using test::user_error_of;
using testing::HasSubstr;

// Prepared data of bytes: documents of the given numbers of letters.
std::string make(const TemporaryFolder& folder, const std::string& name, const std::vector<size_t>& documents) {
  std::string text, letters = "abcdefghijklmnopqrstuvwxyz";
  size_t next = 0;
  for (size_t length : documents) {
    if (!text.empty()) text += "\n%\n";
    for (size_t i = 0; i < length; ++i) text += letters[(next += 7) % 26];
  }
  test::write_file(folder / (name + ".txt"), text);
  const std::vector<std::filesystem::path> files = {folder / (name + ".txt")};
  prepare(files, *make_bytes_tokenizer(), folder / name, {.documents = {.separated = true, .separator = "%"}});
  return (folder / name).string();
}

struct Batch {
  std::vector<int32_t> tokens, targets, first_key;
  BatchView view;
  Batch(int64_t rows, int64_t context) {
    for (auto* v : {&tokens, &targets, &first_key}) v->assign(static_cast<size_t>(rows * context), -77);
    view = {rows, context, tokens, targets, first_key};
  }
};

TEST(Permutation, TakesEachOnce) {
  for (uint64_t n : {1u, 2u, 3u, 4u, 5u, 16u, 17u, 100u, 1023u, 1024u, 1025u, 5000u}) {
    const Permutation p(n, 3, 5, 8), same(n, 3, 5, 8), key(n, 3, 5, 9), seed(n, 4, 5, 8), site(n, 3, 50, 8);
    std::set<uint64_t> seen;
    uint64_t fixed = 0, as_key = 0, as_seed = 0, as_site = 0;
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t to = p(i);
      EXPECT_LT(to, n);
      seen.insert(to);
      EXPECT_EQ(same(i), to);
      fixed += to == i;
      as_key += key(i) == to;
      as_seed += seed(i) == to;
      as_site += site(i) == to;
    }
    EXPECT_EQ(seen.size(), n);
    if (n < 100) continue;
    for (uint64_t same_places : {fixed, as_key, as_seed, as_site}) EXPECT_LT(same_places, 10u) << n;
  }
}

TEST(Permutation, WorksOnHugeRanges) {
  const uint64_t n = uint64_t{1} << 62;
  const Permutation p(n, 1, 2, 3);
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 100; ++i) seen.insert(p(i));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_LT(*seen.rbegin(), n);
}

TEST(Permutation, IsSpreadEvenly) {  // where 0 and its neighbour go, over keys: chi-square with 9 degrees of freedom
  constexpr int kKeys = 5000;
  std::vector<int> where(10), distance(10);
  for (uint64_t key = 0; key < kKeys; ++key) {
    const Permutation p(10, 1, 0, key);
    ++where[p(0)];
    ++distance[(p(1) + 10 - p(0)) % 10];
  }
  double sum = 0, sum_distance = 0;
  for (size_t i = 0; i < 10; ++i) {
    sum += std::pow(where[i] - kKeys / 10.0, 2) / (kKeys / 10.0);
    if (i > 0) sum_distance += std::pow(distance[i] - kKeys / 9.0, 2) / (kKeys / 9.0);
  }
  EXPECT_LT(sum, 33);  // less than one in 10⁴ by chance
  EXPECT_LT(sum_distance, 33);
}

TEST(Sampler, TakesEveryWindowOnceInAnEpoch) {
  const TemporaryFolder folder;
  const DataSet data = DataSet::open(make(folder, "a", {300, 500, 203}), Split::train);
  const uint64_t n = data.tokens();
  EXPECT_EQ(n, 1008u);
  const Sampler sampler(data, 10, 1);
  const uint64_t windows = sampler.windows(0);
  EXPECT_EQ(windows, 100u);
  std::set<uint64_t> offsets;
  std::vector<std::vector<uint64_t>> orders;
  for (uint64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<uint64_t> begins;
    for (uint64_t i = 0; i < windows; ++i) {
      const Sample sample = sampler(epoch * windows + i);
      EXPECT_EQ(sample.epoch, epoch);
      EXPECT_EQ(sample.corpus, 0u);
      begins.push_back(sample.begin);
    }
    orders.push_back(begins);
    std::vector<int> times(n);  // as an input
    for (uint64_t begin : begins)
      for (uint64_t t = 0; t < 10; ++t) ++times[(begin + t) % n];
    EXPECT_EQ(std::ranges::count(times, 1), 1000);
    EXPECT_EQ(std::ranges::count(times, 0), 8);
    for (uint64_t at = 0; at < n; ++at)
      if (times[at] == 0 && times[(at + n - 1) % n] == 1) offsets.insert(at);  // where the tokens left out begin
  }
  EXPECT_GE(offsets.size(), 4u);
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_FALSE(std::ranges::is_sorted(orders[0]));
  EXPECT_DOUBLE_EQ(sampler.epochs(0, 250), 2.5);
}

TEST(Sampler, IsAFunctionOfSeedAndIndex) {
  const TemporaryFolder folder;
  const std::string text = make(folder, "a", {700}) + ":0.5," + make(folder, "b", {900}) + ":0.5";
  const DataSet data = DataSet::open(text, Split::train), again = DataSet::open(text, Split::train);
  const Sampler one(data, 16, 1), two(again, 16, 1), other(data, 16, 2);
  uint64_t equal = 0;
  for (uint64_t k = 0; k < 3000; ++k) {
    const uint64_t i = (k * 7919) % 3000;  // in another order
    const Sample a = one(i), b = two(i), c = other(i);
    EXPECT_TRUE(a.corpus == b.corpus && a.begin == b.begin && a.epoch == b.epoch);
    equal += a.corpus == c.corpus && a.begin == c.begin;
  }
  EXPECT_LT(equal, 30u);
  EXPECT_NO_THROW(one(uint64_t{1} << 60));
}

TEST(Sampler, MixesByShares) {
  const TemporaryFolder folder;
  const std::string a = make(folder, "a", {200}), b = make(folder, "b", {3000}), c = make(folder, "c", {100, 100});
  const DataSet data = DataSet::open(a + ":2," + b + ":1," + c + ":0.3", Split::train);
  EXPECT_NEAR(data.corpora()[0].share, 2 / 3.3, 1e-12);
  const Sampler sampler(data, 10, 1);
  const uint64_t quota[] = {621, 310, 93};  // of 1024: 620.6, 310.3, 93.1
  std::map<size_t, std::vector<uint64_t>> begins;
  std::vector<std::vector<size_t>> order(2);
  for (uint64_t block = 0; block < 4; ++block) {
    std::map<size_t, uint64_t> count;
    for (uint64_t i = 0; i < kMixtureBlock; ++i) {
      const Sample sample = sampler(block * kMixtureBlock + i);
      ++count[sample.corpus];
      if (block < 2) order[block].push_back(sample.corpus);
      if (sample.epoch == 0) begins[sample.corpus].push_back(sample.begin);
    }
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(count[k], quota[k]) << k;
  }
  EXPECT_NE(order[0], order[1]);
  EXPECT_GT(std::ranges::count(std::span(order[0]).first(100), 0u), 40);
  EXPECT_GT(std::ranges::count(std::span(order[0]).first(100), 1u), 15);
  for (size_t k = 0; k < 3; ++k) {  // each window of a corpus once in its first epoch
    EXPECT_EQ(begins[k].size(), sampler.windows(k)) << k;
    std::ranges::sort(begins[k]);
    EXPECT_EQ(std::ranges::adjacent_find(begins[k]), begins[k].end());
  }
  const DataSet equal = DataSet::open(a + "," + b + "," + c, Split::train);
  EXPECT_NEAR(equal.corpora()[2].share, 1.0 / 3, 1e-12);
}

TEST(Sampler, WhatDoesNotFitIsRefused) {
  const TemporaryFolder folder;
  const std::string a = make(folder, "a", {20}), b = make(folder, "b", {500});
  const DataSet data = DataSet::open(a, Split::train);
  EXPECT_NO_THROW(Sampler(data, 20, 1)(0));
  const auto error = user_error_of([&] { Sampler(data, 21, 1); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_THAT(error.what, HasSubstr("has only 21 tokens, too few for a context of 21"));
  EXPECT_THAT(error.advice, HasSubstr("--context 20"));
  const DataSet tiny = DataSet::open(a + ":1," + b + ":10000", Split::train);
  EXPECT_THAT(user_error_of([&] { Sampler(tiny, 10, 1); }).what, HasSubstr("share"));
  for (const std::string& text : {std::string(), a + ":0", a + ":-1", a + ":0.5," + b, a + ",", std::string(":0.5")})
    EXPECT_EQ(user_error_of([&] { DataSet::open(text, Split::train); }).code, Exit::usage) << text;
  EXPECT_FALSE(DataSet::has(a, Split::val));
  EXPECT_TRUE(DataSet::has(a + "," + b, Split::train));
}

TEST(Sampler, CorporaOfDifferentTokenizersDoNotMix) {
  const TemporaryFolder folder;
  const std::string a = make(folder, "a", {20});
  const std::vector<uint16_t> ids(40, 3);
  test::write_file(folder / "b.bin", {reinterpret_cast<const char*>(ids.data()), 80});
  const auto error = user_error_of([&] { DataSet::open(a + "," + (folder / "b.bin").string(), Split::train, 257); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_EQ(error.what, "tokenizer mismatch");
  EXPECT_THAT(error.advice, HasSubstr("a/train.h5"));
  EXPECT_THAT(error.advice, HasSubstr("b.bin"));
}

TEST(Batch, HoldsWindowsAndTheirDocuments) {
  const TemporaryFolder folder;
  const DataSet data = DataSet::open(make(folder, "a", {1, 30, 2, 2, 40, 5}), Split::train);
  const TokenData& corpus = data.corpora()[0].data;
  const uint64_t n = corpus.size();
  const int64_t context = 13;
  const Sampler sampler(data, context, 1);
  Batch batch(50, context), plain(50, context), shifted(20, context);
  fill_batch(data, sampler, 0, true, batch.view);
  fill_batch(data, sampler, 0, false, plain.view);
  fill_batch(data, sampler, 7, true, shifted.view);
  EXPECT_EQ(batch.tokens, plain.tokens);
  EXPECT_EQ(batch.targets, plain.targets);
  EXPECT_TRUE(std::ranges::all_of(plain.first_key, [](int32_t k) { return k == 0; }));
  EXPECT_TRUE(std::ranges::equal(shifted.tokens, std::span(batch.tokens).subspan(7 * 13, 20 * 13)));
  EXPECT_TRUE(std::ranges::equal(shifted.first_key, std::span(batch.first_key).subspan(7 * 13, 20 * 13)));
  bool round_the_ring = false;
  for (size_t b = 0; b < 50; ++b) {
    const uint64_t begin = sampler(b).begin;
    round_the_ring |= begin + 13 > n;
    int32_t first = 0;
    for (size_t t = 0; t < 13; ++t) {
      const uint64_t at = (begin + t) % n;
      EXPECT_EQ(batch.tokens[b * 13 + t], corpus.token(at));
      EXPECT_EQ(batch.targets[b * 13 + t], corpus.token((at + 1) % n));
      if (corpus.token(at) == 256) first = static_cast<int32_t>(t);
      EXPECT_EQ(batch.first_key[b * 13 + t], first) << b << ' ' << t;
    }
  }
  EXPECT_TRUE(round_the_ring);
}

TEST(EvaluationWindows, CoverEveryTokenOnce) {
  const TemporaryFolder folder;
  for (size_t letters : {1u, 11u, 12u, 13u, 40u, 77u}) {
    const std::string name = "n" + std::to_string(letters);
    const TokenData data = TokenData::open(make(folder, name, {letters / 2, letters - letters / 2}));
    const uint64_t n = data.size();
    for (int64_t context : {1, 5, 12, 13, 100})
      for (int64_t stride : {int64_t{1}, (context + 1) / 2, context}) {
        const EvaluationWindows windows(data, context, stride);
        std::vector<int> covered(n);
        for (uint64_t first = 0; first < windows.count(); first += 3) {
          Batch batch(3, context);
          windows.fill(first, true, batch.view);
          for (size_t b = 0; b < 3; ++b) {
            const uint64_t begin = (first + b) * static_cast<uint64_t>(stride);
            int32_t first_key = 0;
            bool any = false;
            for (size_t t = 0; t < static_cast<size_t>(context); ++t) {
              const size_t at = b * static_cast<size_t>(context) + t;
              const bool inside = first + b < windows.count() && begin + t + 1 < n;
              EXPECT_EQ(batch.tokens[at], inside ? data.token(begin + t) : 0);
              if (inside && data.token(begin + t) == 256) first_key = static_cast<int32_t>(t);
              EXPECT_EQ(batch.first_key[at], first_key);
              if (batch.targets[at] == kIgnore) continue;
              any = true;
              ASSERT_TRUE(inside);
              EXPECT_EQ(batch.targets[at], data.token(begin + t + 1));
              ++covered[begin + t + 1];
              EXPECT_TRUE(begin == 0 || static_cast<int64_t>(t) >= context - stride);
            }
            EXPECT_EQ(any, first + b < windows.count());
          }
        }
        EXPECT_EQ(covered[0], 0);
        EXPECT_EQ(static_cast<uint64_t>(std::ranges::count(covered, 1)), n - 1)
            << "tokens " << n << " context " << context << " stride " << stride;
      }
  }
}

// Pairs of the given lengths, each in letters, a prompt of 0 being a text.
std::string make_pairs(const TemporaryFolder& folder, const std::vector<std::pair<size_t, size_t>>& lengths) {
  std::string lines;
  for (const auto& [prompt, completion] : lengths)
    lines += prompt == 0 ? "{\"text\":\"" + std::string(completion, 't') + "\"}\n"
                         : "{\"prompt\":\"" + std::string(prompt, 'p') + "\",\"completion\":\"" +
                               std::string(completion, 'c') + "\"}\n";
  test::write_file(folder / "pairs.jsonl", lines);
  const std::vector<std::filesystem::path> files = {folder / "pairs.jsonl"};
  prepare(files, *make_bytes_tokenizer(), folder / "pairs", {});
  return (folder / "pairs").string();
}

TEST(Batch, PromptsAreNoTargets) {
  const TemporaryFolder folder;
  const DataSet data =
      DataSet::open(make_pairs(folder, {{4, 3}, {1, 1}, {0, 9}, {30, 2}, {5, 0}, {2, 40}, {6, 1}}), Split::train);
  const TokenData& corpus = data.corpora()[0].data;
  const uint64_t n = corpus.size();
  for (int64_t context : {1, 7, 13, 50}) {
    const Sampler sampler(data, context, 1);
    Batch batch(60, context);
    fill_batch(data, sampler, 0, true, batch.view);
    size_t ignored = 0;
    for (size_t b = 0; b < 60; ++b)
      for (size_t t = 0; t < static_cast<size_t>(context); ++t) {  // the letter says what it is
        const int32_t target = corpus.token((sampler(b).begin + t + 1) % n);
        EXPECT_EQ(batch.targets[b * static_cast<size_t>(context) + t], target == 'p' ? kIgnore : target);
        ignored += target == 'p';
      }
    EXPECT_GT(ignored, 10u);

    for (int64_t stride : {int64_t{1}, (context + 1) / 2, context}) {
      const EvaluationWindows windows(corpus, context, stride);
      std::vector<int> covered(n);
      for (uint64_t w = 0; w < windows.count(); ++w) {
        Batch one(1, context);
        windows.fill(w, true, one.view);
        for (size_t t = 0; t < static_cast<size_t>(context); ++t)
          if (one.targets[t] != kIgnore) ++covered[w * static_cast<uint64_t>(stride) + t + 1];
      }
      uint64_t targets = 0;
      for (uint64_t at = 1; at < n; ++at) {
        EXPECT_EQ(covered[at], corpus.token(at) != 'p') << at;
        targets += corpus.token(at) != 'p';
      }
      EXPECT_EQ(corpus.targets(), targets);
    }
  }
}

TEST(EvaluationWindows, ALimitCountsTargets) {
  const TemporaryFolder folder;
  const TokenData data = TokenData::open(make_pairs(folder, std::vector<std::pair<size_t, size_t>>(100, {79, 19})));
  EXPECT_EQ(data.size(), 9900u);
  const EvaluationWindows windows(data, 99, 99, 495);
  EXPECT_EQ(windows.count(), 25u);  // 20 of 99 tokens are targets
}

TEST(EvaluationWindows, ALimitSpreadsThem) {
  const TemporaryFolder folder;
  const TokenData data = TokenData::open(make(folder, "a", {1000}));
  const EvaluationWindows all(data, 10, 10), some(data, 10, 10, 50);
  EXPECT_EQ(all.count(), 100u);
  EXPECT_EQ(some.count(), 5u);
  Batch batch(5, 10), one(1, 10);
  some.fill(0, false, batch.view);
  for (size_t b = 0; b < 5; ++b) {
    all.fill(20 * b, false, one.view);
    EXPECT_TRUE(std::ranges::equal(std::span(batch.tokens).subspan(b * 10, 10), one.tokens));
    EXPECT_TRUE(std::ranges::equal(std::span(batch.targets).subspan(b * 10, 10), one.targets));
  }
  EXPECT_EQ(EvaluationWindows(data, 10, 10, 1'000'000).count(), 100u);
}

}  // namespace
}  // namespace rw
