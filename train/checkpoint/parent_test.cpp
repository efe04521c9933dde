#include "train/checkpoint/parent.hpp"

#include <gtest/gtest.h>

namespace rw {
namespace {

TEST(Parent, TextAndBack) {
  const Parent parent{"/runs/a, step 3, manifest x/checkpoints/step-000120", 120, "0123456789abcdef"};
  EXPECT_EQ(to_text(parent),
            "/runs/a, step 3, manifest x/checkpoints/step-000120, step 120, manifest 0123456789abcdef");
  EXPECT_EQ(parse_parent(to_text(parent)), parent);
  for (const char* other : {"", "runs/a", "runs/a, step 3", "runs/a, manifest 3", "a, step x, manifest b",
                            "a, step 3x, manifest b", "a, manifest b, step 3"})
    EXPECT_FALSE(parse_parent(other)) << other;
}

}  // namespace
}  // namespace rw
