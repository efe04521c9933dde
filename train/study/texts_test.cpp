#include "train/study/texts.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/files.hpp"
#include "tests/support/run.hpp"

namespace rw::study {
namespace {

std::vector<int32_t> ids_of(const TokenData& data) {
  std::vector<int32_t> ids(data.size());
  data.read(0, ids);
  return ids;
}

TEST(StudyTexts, CopiesAreSegmentsOfDifferentIdsAgainAndAgain) {
  const test::TemporaryFolder folder;
  constexpr int64_t kContext = 32, kVocab = 64, kSection = 4 * kContext;
  write_copy_texts(folder / "data", {.context = kContext, .vocab = kVocab, .tokens = 64 * kSection});
  const TokenData data = TokenData::open(folder / "data");
  EXPECT_EQ(data.vocab(), kVocab);
  const std::vector<int32_t> ids = ids_of(data);
  ASSERT_EQ(std::ssize(ids), 64 * kSection);
  std::set<int64_t> periods;
  for (int64_t at = 0; at < std::ssize(ids); at += kSection) {
    const auto section = std::span(ids).subspan(static_cast<size_t>(at), kSection);
    std::set<int32_t> seen;
    size_t period = 0;
    while (seen.insert(section[period]).second) ++period;  // the first id comes again after one period
    periods.insert(static_cast<int64_t>(period));
    for (size_t t = period; t < section.size(); ++t) ASSERT_EQ(section[t], section[t - period]) << at << ", " << t;
  }
  EXPECT_EQ(*periods.begin(), 8);
  EXPECT_EQ(*periods.rbegin(), 20);
  EXPECT_GT(periods.size(), 9u);
  EXPECT_NE(ids_of(TokenData::open(folder / "data", Split::val)), ids);
}

TEST(StudyTexts, TestIdsAreAllOfTheVocabularyInTurn) {
  const test::TemporaryFolder folder;
  write_copy_texts(folder / "data", {.context = 16, .vocab = 40, .tokens = 6400});
  const std::vector<int32_t> ids = ids_of(TokenData::open(folder / "data" / "test.bin"));
  ASSERT_EQ(ids.size(), 16400u);  // whole turns, of at least 1024 N
  for (size_t at = 0; at < ids.size(); at += 40)
    EXPECT_EQ(
        std::set<int32_t>(ids.begin() + static_cast<int64_t>(at), ids.begin() + static_cast<int64_t>(at) + 40).size(),
        40u);
  EXPECT_NE(std::vector<int32_t>(ids.begin(), ids.begin() + 40),
            std::vector<int32_t>(ids.begin() + 40, ids.begin() + 80));
}

TEST(StudyTexts, AreAPureFunctionOfTheSeed) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a", "b"}) write_copy_texts(folder / name, {.context = 16, .vocab = 40, .tokens = 640});
  write_copy_texts(folder / "c", {.context = 16, .vocab = 40, .tokens = 640, .seed = 2});
  EXPECT_EQ(ids_of(TokenData::open(folder / "a")), ids_of(TokenData::open(folder / "b")));
  EXPECT_NE(ids_of(TokenData::open(folder / "a")), ids_of(TokenData::open(folder / "c")));
}

TEST(StudyTexts, MixedOnesHaveTheWholeTextAndAShareOfRepeats) {
  const test::TemporaryFolder folder;
  const std::filesystem::path prepared = test::make_data(folder.path());
  const TokenData train = TokenData::open(prepared, Split::train), val = TokenData::open(prepared, Split::val);
  const int64_t context = 32;
  write_mixed_texts(folder / "mixed", train, val, context, 0.25, 1);
  const std::vector<int32_t> text = ids_of(train), mixed = ids_of(TokenData::open(folder / "mixed"));
  EXPECT_EQ(ids_of(TokenData::open(folder / "mixed", Split::val)), ids_of(val));
  const size_t section = 128, stretch = 385;
  EXPECT_NEAR(static_cast<double>(mixed.size()), static_cast<double>(text.size()) / 0.75, 200);
  size_t at = 0, sections = 0;
  for (size_t m = 0; m < mixed.size(); ++sections) {
    for (size_t i = 0; i < stretch && at < text.size(); ++i) ASSERT_EQ(mixed[m++], text[at++]) << sections;
    ASSERT_LE(m + section, mixed.size());
    size_t period = 0;
    for (size_t p = 8; p <= 20 && period == 0; ++p) {
      bool fits = true;
      for (size_t i = p; i < section; ++i) fits &= mixed[m + i] == mixed[m + i - p];
      if (fits) period = p;
    }
    EXPECT_GT(period, 0u) << sections;
    m += section;
  }
  EXPECT_EQ(at, text.size());
  EXPECT_GT(sections, 5u);
}

TEST(StudyTexts, NothingHalfDoneIsLeft) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "there", "x");
  EXPECT_EQ(test::user_error_of([&] {
              write_copy_texts(folder / "there" / "data", {.context = 16, .vocab = 40, .tokens = 640});
            }).code,
            Exit::write);
}

}  // namespace
}  // namespace rw::study
