#include "train/study/rows.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/error.hpp"
#include "train/config/positions.hpp"
#include "train/study/results.hpp"

namespace rw::study {
namespace {

TEST(StudyRows, AreOfModelsThatThereAre) {
  std::set<std::string_view> names, trained;
  for (const ModelRow& model : models()) EXPECT_TRUE(trained.insert(model.name).second) << model.name;
  for (const Row& row : rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(trained.contains(row.model)) << row.name;
  }
}

TEST(StudyRows, CanBeComputedAtEverySize) {
  for (const int64_t context : {64, 128, 512})
    for (const Row& row : rows()) {
      const auto model = std::ranges::find(models(), row.model, &ModelRow::name);
      const ConfigLayer layers[] = {
          setting_words("size=1m vocab=64 layers=4 width=64 head_width=32 rope_base=10000", 0),
          setting_words("context=N " + std::string(model->settings), context)};
      const ModelConfig own = resolve(layers).settings.model;
      const ModelConfig used = with_positions(own, setting_words(row.positions, context).values, 8 * context);
      EXPECT_EQ(used.trained(), context) << row.name;
      EXPECT_EQ(row.positions.empty(), used == own) << row.name;
    }
}

// spec/positions.md 9.1, 9.2, 9.3, 9.5, 9.6: a row of each.
TEST(StudyRows, HaveThePublishedNumbers) {
  const auto expect = [](std::string_view name, double trained, double repeated, double natural) {
    const Row& row = row_named(name);
    EXPECT_EQ(row.trained, trained) << name;
    EXPECT_EQ(row.repeated, repeated) << name;
    EXPECT_EQ(row.natural, natural) << name;
  };
  expect("NTK-mixed + log n beyond", 49.41, 59.11, 42.38);
  expect("ReRoPE w 3N/4 + log n", 49.40, 83.24, 48.62);
  expect("Leaky w N/2 g 1/8 + log n", 49.40, 69.80, 45.72);
  expect("Cosine", 49.73, 58.90, 46.98);
  expect("Key norm, YaRN", 49.60, 84.19, 47.44);

  int64_t sums[3] = {};  // in hundredths, so that no digit is another one
  for (const Row& row : rows())
    if (!std::isnan(row.trained)) {
      const double all[] = {row.trained, row.repeated, row.natural};
      for (size_t i = 0; i < 3; ++i) sums[i] += std::llround(100 * all[i]);
    }
  EXPECT_EQ(sums[0], 242200);
  EXPECT_EQ(sums[1], 322296);
  EXPECT_EQ(sums[2], 205148);
}

// What the source found to be so in its own numbers.
TEST(StudyClaims, HoldInThePublishedNumbers) {
  for (const Claim& claim : claims()) {
    const ParsedClaim parsed = parse_claim(claim.text);
    double before = 0;
    for (const std::string_view name : parsed.rows) {
      const Row& row = row_named(name);
      const double value = parsed.column == Column::trained    ? row.trained
                           : parsed.column == Column::repeated ? row.repeated
                                                               : row.natural;
      if (claim.number == 9) {
        EXPECT_TRUE(std::isnan(value)) << "of a post without numbers";
      } else {
        EXPECT_LT(before, value) << claim.text << ": " << name;
      }
      before = value;
    }
  }
}

TEST(StudyClaims, AreOfKnownRowsAndColumns) {
  EXPECT_EQ(parse_claim("natural: PI < HWFA2, 2 full").rows, (std::vector<std::string_view>{"PI", "HWFA2, 2 full"}));
  EXPECT_THROW(parse_claim("sometimes: PI < Baseline"), Error);
  EXPECT_THROW(parse_claim("natural: PI < Bassline"), Error);
  EXPECT_THROW(parse_claim("natural: PI"), Error);
}

TEST(StudyWords, PutInTheLength) {
  const ConfigLayer layer = setting_words("window=3N/4 factor=8 full_window=N far_step=1/16", 64);
  std::vector<std::string> texts;
  for (const Assignment& value : layer.values) texts.push_back(value.name + "=" + value.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"window=48", "factor=8", "full_window=64", "far_step=1/16"}));
}

}  // namespace
}  // namespace rw::study
