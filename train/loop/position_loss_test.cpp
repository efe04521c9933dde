#include "train/loop/position_loss.hpp"

#include <gtest/gtest.h>

namespace rw {
namespace {

Evaluation evaluation(std::vector<double> nll, std::vector<uint64_t> targets) {
  Evaluation e;
  e.nll_by_position = std::move(nll);
  e.targets_by_position = std::move(targets);
  return e;
}

TEST(PositionLoss, BucketsDouble) {
  PositionLoss loss(6);
  loss.add(evaluation({4, 6, 9, 3, 10, 2}, {2, 3, 3, 1, 5, 1}), 1);
  const auto buckets = loss.buckets();
  ASSERT_EQ(buckets.size(), 4u);
  const std::pair<const char*, double> expected[] = {{"0", 2}, {"1", 2}, {"2-3", 3}, {"4-5", 2}};
  for (size_t b = 0; b < 4; ++b) {
    EXPECT_EQ(buckets[b].name, expected[b].first);
    EXPECT_DOUBLE_EQ(buckets[b].loss, expected[b].second);
  }
  PositionLoss one(1);
  one.add(evaluation({3}, {2}), 1);
  ASSERT_EQ(one.buckets().size(), 1u);
  EXPECT_EQ(one.buckets()[0].name, "0");
}

// A corpus without targets in a bucket does not count there.
TEST(PositionLoss, MixturesByTheirShares) {
  PositionLoss loss(4);
  loss.add(evaluation({10, 6, 0, 0}, {5, 1, 0, 0}), 0.25);
  loss.add(evaluation({4, 2, 3, 5}, {1, 1, 1, 1}), 0.75);
  const auto buckets = loss.buckets();
  ASSERT_EQ(buckets.size(), 3u);
  EXPECT_DOUBLE_EQ(buckets[0].loss, 0.25 * 2 + 0.75 * 4);
  EXPECT_DOUBLE_EQ(buckets[1].loss, 0.25 * 6 + 0.75 * 2);
  EXPECT_DOUBLE_EQ(buckets[2].loss, 4);
  EXPECT_TRUE(PositionLoss(4).buckets().empty());
}

}  // namespace
}  // namespace rw
