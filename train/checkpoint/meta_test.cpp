#include "train/checkpoint/meta.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"

namespace rw::test {
namespace {

CheckpointMeta some_meta() {
  CheckpointMeta meta;
  meta.step = 7, meta.tokens = 1234;
  meta.state = {{"ema", std::numeric_limits<double>::quiet_NaN()}, {"best", 2.5}};
  meta.ends = {2, 5};
  meta.model = "{}";
  return meta;
}

TEST(CheckpointMeta, IsReadAsItWasWritten) {
  const CheckpointMeta meta = parse_meta("a.h5", to_text(some_meta()));
  EXPECT_EQ(meta.step, 7);
  EXPECT_EQ(meta.tokens, 1234);
  EXPECT_EQ(meta.ends, (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(std::isnan(meta.state.at("ema")));
  EXPECT_EQ(to_text(meta), to_text(some_meta()));
}

TEST(CheckpointMeta, CountsAreWholeNumbers) {
  for (const char* bad : {"1.11e86", "7.5", "9223372036854775808", "\"7\"", "null"}) {
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"step\": 7", "\"step\": "},
                                   {"\"tokens\": 1234", "\"tokens\": "},
                                   {"2,\n  5", "2,\n  "}}) {
      std::string text = to_text(some_meta());
      const size_t at = text.find(from);
      ASSERT_NE(at, text.npos) << from << " in " << text;
      text.replace(at, from.size(), to + bad);
      const auto error = user_error_of([&] { parse_meta("a.h5", text); });
      EXPECT_EQ(error.code, Exit::corrupt) << to << bad;
      EXPECT_EQ(error.what, "a.h5 is damaged");
    }
  }
}

}  // namespace
}  // namespace rw::test
