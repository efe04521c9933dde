#include "core/file/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"

namespace rw::test {
namespace {

std::string why(std::string_view text) {
  try {
    parse_json("a.json", text);
  } catch (const UserError& error) {
    EXPECT_EQ(error.code, Exit::data);
    EXPECT_STREQ(error.what(), "a.json is not valid JSON");
    return error.advice;
  }
  return "no error";
}

TEST(Json, IsRead) {
  const auto json = parse_json("a.json", R"({"a": [1, 2.5, "ä\u00e4"], "b": {"a": null}, "c": {"a": true}})");
  EXPECT_EQ(json["a"][2], "ää");
  EXPECT_EQ(json["c"]["a"], true);
  EXPECT_EQ(parse_json("a.json", "[]"), nlohmann::json::array());
}

TEST(Json, SaysWhereItIsWrong) {
  EXPECT_EQ(why("{\"a\": 1,\n \"b\" 2}"), "something is wrong at line 2, column 6");
  EXPECT_EQ(why(""), "something is wrong at line 1, column 1");
  EXPECT_THAT(why("{} x"), testing::HasSubstr("line 1, column 4"));
  EXPECT_THAT(why("[1, // no\n2]"), testing::HasSubstr("line 1"));
  EXPECT_THAT(why("\"\xFF\""), testing::HasSubstr("line 1"));
  EXPECT_THAT(why("[NaN]"), testing::HasSubstr("line 1"));
  EXPECT_EQ(why("[1e999]"), "it holds a number that is too large");
}

TEST(Json, HasNoKeyTwice) {
  EXPECT_EQ(why(R"({"b": [{"a": 1, "c": {"a": 1}, "a": 2}]})"), "the key \"a\" stands twice in one object");
}

TEST(Json, MembersAreHandedOverOneByOne) {
  std::vector<std::string> seen;
  const auto take = [&](const std::string& key, const Json& value) { seen.push_back(key + value.dump()); };
  const std::string text = R"({"b":{"x":[1,{"y":2}]},"a":3,"c":[{}],"":null})";
  parse_members("a.json", text, take);
  EXPECT_EQ(seen, (std::vector<std::string>{R"(b{"x":[1,{"y":2}]})", "a3", "c[{}]", "null"}));
  seen.clear();
  EXPECT_THAT(user_error_of([&] { parse_members("a.json", R"({"a":1,"b":2,"a":3})", take); }).advice,
              testing::HasSubstr("\"a\" stands twice"));
  EXPECT_EQ(seen, (std::vector<std::string>{"a1", "b2"}));
  seen.clear();
  parse_members("a.json", R"([{"a":1}])", take);
  EXPECT_TRUE(seen.empty());
}

TEST(Json, TellsWholeNumbers) {
  const auto of = [](const char* text) { return integer_of(nlohmann::json::parse(text)); };
  EXPECT_EQ(of("9223372036854775807"), 9223372036854775807);
  EXPECT_EQ(of("-9223372036854775808"), std::numeric_limits<int64_t>::min());
  for (const char* other : {"9223372036854775808", "-1e86", "1.0", "\"1\"", "null", "[1]", "true"})
    EXPECT_EQ(of(other), std::nullopt) << other;
}

// Objects of an object, and of an array: what takes time with their square would take minutes.
TEST(Json, AHundredThousandObjectsAreReadAtOnce) {
  std::string object = "{\"a\":{}", array = "[{}";
  for (int i = 0; i < 100'000; ++i) object += ",\"" + std::to_string(i) + "\":{}", array += ",{}";
  EXPECT_EQ(parse_json("a.json", object + "}").size(), 100'001u);
  EXPECT_EQ(parse_json("a.json", array + "]").size(), 100'001u);
  EXPECT_EQ(why(object + ",\"a\":{}}"), "the key \"a\" stands twice in one object");
}

TEST(Json, IsNotNestedDeeply) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(why(nested(kMostJsonDepth)), "no error");
  EXPECT_THAT(why(nested(kMostJsonDepth + 1)), testing::HasSubstr("levels deep"));
  EXPECT_THAT(why(nested(1'000'000)), testing::HasSubstr("levels deep"));
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(why(objects), testing::HasSubstr("levels deep"));
}

}  // namespace
}  // namespace rw::test
