#include "train/loop/passkey.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/prepare.hpp"
#include "tests/support/files.hpp"
#include "tests/support/model.hpp"
#include "tests/support/run.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;
using Ids = std::vector<int32_t>;

// Data of bytes, in documents; and ids alone: 0 everywhere, so that what was put in is seen.
struct PasskeyTest : testing::Test {
  TemporaryFolder folder;
  std::unique_ptr<Tokenizer> bytes = make_bytes_tokenizer();
  TokenData data = TokenData::open(make_data(folder.path()), Split::train);

  TokenData row(size_t count) const {
    write_file(folder / "train.bin", std::string(2 * count, '\0'));
    return TokenData::open(folder / "train.bin", Split::train, 1000);
  }
};

std::string text_of(const Tokenizer& tokenizer, const PasskeyText& text) { return tokenizer.decode(text.ids); }

TEST_F(PasskeyTest, ANeedleLiesAtItsDepthOfATextOfTheLength) {
  const Passkey passkey(data, bytes.get(), {.lengths = {200, 300}, .trials = 3});
  for (const int64_t length : {200, 300})
    for (const double depth : passkey.options().depths) {
      const PasskeyText one = passkey.text(length, depth, 2);
      ASSERT_EQ(one.ids.size(), static_cast<size_t>(length + 1));
      EXPECT_EQ(std::ranges::count(one.ids, bytes->document_start()), 1);
      EXPECT_EQ(one.ids[0], bytes->document_start());
      ASSERT_EQ(one.key, 5);
      const std::string all = text_of(*bytes, one), key = all.substr(all.size() - 5);
      EXPECT_TRUE(all.ends_with("\nWhat is the pass key? The pass key is " + key)) << all;
      const std::string needle = "\nThe pass key is " + key + ". Remember it. " + key + " is the pass key.\n";
      EXPECT_EQ(all.find(needle), static_cast<size_t>(one.needle - 1)) << all;
      EXPECT_EQ(one.needle_end - one.needle, static_cast<int64_t>(needle.size()));
      EXPECT_GE(std::stoi(key), 10'000);
      const int64_t hay = length + 1 - 1 - static_cast<int64_t>(needle.size()) - 44;  // 44: the question and its key
      EXPECT_EQ(one.needle, 1 + std::llround(depth * static_cast<double>(hay)));
      // The haystack is a stretch of the data: with the needle taken out it does not depend on the depth.
      std::string rest = all;
      rest.erase(static_cast<size_t>(one.needle - 1), needle.size());
      EXPECT_EQ(rest, [&] {
        const PasskeyText first = passkey.text(length, 0, 2);
        std::string other = text_of(*bytes, first);
        return other.erase(0, needle.size());
      }());
    }
}

TEST_F(PasskeyTest, KeysDependOnSeedAndTrialOnly) {
  const auto key = [&](uint64_t seed, int64_t length, double depth, int64_t trial) {
    const Passkey passkey(data, bytes.get(), {.lengths = {length}, .trials = 3, .seed = seed});
    const std::string all = text_of(*bytes, passkey.text(length, depth, trial));
    return all.substr(all.size() - 5);
  };
  EXPECT_EQ(key(7, 200, 0, 1), key(7, 300, .5, 1));
  EXPECT_EQ((std::set{key(7, 200, 0, 0), key(7, 200, 0, 1), key(7, 200, 0, 2), key(8, 200, 0, 0)}.size()), 4u);
}

TEST_F(PasskeyTest, IdsAreAMarkerAndItsKey) {
  const TokenData zeros = row(500);
  const Passkey passkey(zeros, nullptr, {.lengths = {100}, .trials = 2});
  const PasskeyText one = passkey.text(100, .5, 1);
  ASSERT_EQ(one.ids.size(), 101u);
  EXPECT_EQ(one.needle, 41);  // of 81 ids of haystack: needle, question and key are 20
  const Ids needle(one.ids.begin() + one.needle, one.ids.begin() + one.needle_end);
  ASSERT_EQ(needle.size(), 10u);
  EXPECT_EQ(Ids(one.ids.end() - 10, one.ids.end()), needle);  // marker and key, again
  EXPECT_GT((std::set(needle.begin(), needle.end()).size()), 8u);
  EXPECT_EQ(std::ranges::count(one.ids, 0), 81 + std::ranges::count(needle, 0) * 2);
  EXPECT_LT(std::ranges::max(one.ids), 1000);
}

TEST_F(PasskeyTest, ScoresAreThoseOfTheModel) {
  ModelConfig c = tiny_config();
  c.vocab = 257, c.context = 128;
  TestModel m(c, DType::f64, 1, 8, false);
  const Passkey passkey(data, bytes.get(), {.lengths = {150, 180}, .depths = {0, .3}, .trials = 2});
  const PasskeyResult result = passkey.run(m.model);
  for (size_t l = 0; l < 2; ++l)
    for (size_t d = 0; d < 2; ++d) {
      const int64_t length = passkey.options().lengths[l];
      double loss = 0, found = 0;
      for (int64_t trial = 0; trial < 2; ++trial) {
        const PasskeyText one = passkey.text(length, passkey.options().depths[d], trial);
        TestModel other(c, DType::f64, 1, length, false);
        std::ranges::copy(std::span(one.ids).first(static_cast<size_t>(length)), other.token.view().as<int32_t>().data);
        const auto logits = other.logits();
        bool all = true;
        for (int64_t t = length - 5; t < length; ++t) {
          const double* z = &logits[static_cast<size_t>(t * c.vocab)];
          const int32_t target = one.ids[static_cast<size_t>(t + 1)];
          double sum = 0;
          for (int64_t v = 0; v < c.vocab; ++v) sum += std::exp(z[v]);
          loss += std::log(sum) - z[target];
          all &= std::max_element(z, z + c.vocab) - z == target;
        }
        found += all;
      }
      EXPECT_NEAR(result.loss[d][l], loss / 10, 1e-12);
      EXPECT_EQ(result.accuracy[d][l], found / 2);
    }
}

// A vocabulary of one id: the likeliest is always the right one.
TEST_F(PasskeyTest, AKeyThatIsForetoldIsFound) {
  write_file(folder / "train.bin", std::string(400, '\0'));
  const TokenData ones = TokenData::open(folder / "train.bin", Split::train, 1);
  ModelConfig c = tiny_config();
  c.vocab = 1;
  TestModel m(c, DType::f64, 1, 8, false);
  const PasskeyResult result = Passkey(ones, nullptr, {.lengths = {50}, .depths = {.5}, .trials = 2}).run(m.model);
  EXPECT_EQ(result.accuracy[0][0], 1);
  EXPECT_NEAR(result.loss[0][0], 0, 1e-12);
}

TEST_F(PasskeyTest, ErrorsSayWhat) {
  const auto error = [&](const PasskeyOptions& options) {
    return user_error_of([&] { Passkey(data, bytes.get(), options); });
  };
  EXPECT_THAT(error({}).what, HasSubstr("there is no length to try"));
  EXPECT_THAT(error({.lengths = {300, 200}}).what, HasSubstr("the lengths do not ascend"));
  EXPECT_THAT(error({.lengths = {200}, .depths = {}}).what, HasSubstr("there is no depth to try"));
  EXPECT_THAT(error({.lengths = {200}, .depths = {0, 1.5}}).what, HasSubstr("a depth is not between 0 and 1"));
  EXPECT_THAT(error({.lengths = {200}, .depths = {.5, .5}}).what, HasSubstr("the depths do not ascend"));
  EXPECT_THAT(error({.lengths = {200}, .trials = 0}).what, HasSubstr("0 trials cannot be made"));
  EXPECT_THAT(error({.lengths = {60, 200}}).what, HasSubstr("a length of 60 has no room for a key"));
  EXPECT_THAT(error({.lengths = {60}}).advice, HasSubstr("take 1"));
  const auto longer = error({.lengths = {1 << 20}});
  EXPECT_THAT(longer.what, HasSubstr("tokens inside documents"));
  EXPECT_EQ(longer.code, Exit::data);
}

}  // namespace
}  // namespace rw::test
