#include "train/config/suggest.hpp"

#include <gtest/gtest.h>

namespace rw {
namespace {

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("lr", "lr"), 0u);
  EXPECT_EQ(edit_distance("layers", "layer"), 1u);
  EXPECT_EQ(edit_distance("layers", "lyaers"), 1u);  // a swap
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // no part is edited twice
}

TEST(Suggest, FindsTheNearest) {
  const std::string_view known[] = {"--layers", "--lr", "--min-lr", "--micro-batch", "--batch"};
  EXPECT_EQ(nearest("--layrs", known), "--layers");
  EXPECT_EQ(nearest("--Micro_Batch", known), "--micro-batch");
  EXPECT_EQ(nearest("--lrr", known), "--lr");
  EXPECT_EQ(nearest("--something-else", known), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(did_you_mean("--bathc", known), "did you mean '--batch'?");
  EXPECT_EQ(did_you_mean("zzz", known), "");
}

}  // namespace
}  // namespace rw
