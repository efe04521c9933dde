// Ids of small tokenizers against Hugging Face's, as make_tokenizer_golden.py stored them.
#include <gtest/gtest.h>

#include "core/file/json.hpp"
#include "data/tokenizer/tokenizer.hpp"
#include "data/tokenizer/vocabulary.hpp"
#include "tests/support/files.hpp"

namespace rw::test {
namespace {

class TokenizerGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerGolden, HasTheSameIds) {
  const char* source = std::getenv("ROPEWALK_SOURCE");
  ASSERT_TRUE(source) << "ROPEWALK_SOURCE is not set";
  const auto path =
      std::filesystem::path(source) / "tests" / "golden" / ("tokenizer_" + std::string(GetParam()) + ".json");
  const Json golden = Json::parse(read_file(path));
  const auto tokenizer = make_tokenizer({"tokenizer.json", golden.at("tokenizer").dump()});
  EXPECT_EQ(tokenizer->document_start(), golden.at("start").get<int32_t>());
  ASSERT_GT(golden.at("texts").size(), 10u);
  for (size_t i = 0; i < golden.at("texts").size(); ++i) {
    const auto text = golden["texts"][i].get<std::string>();
    const auto ids = golden.at("ids").at(i).get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer->encode(text), ids) << text;
    const bool normalizes = GetParam() == std::string("qwen2");
    EXPECT_TRUE(normalizes || tokenizer->decode(ids) == text) << text;
  }
  // Written in GGUF's terms and read again it is the same. This llama2 has merges of fewer pairs than SentencePiece.
  if (GetParam() == std::string("llama2")) {
    EXPECT_EQ(user_error_of([&] { vocabulary_of(*tokenizer); }).code, Exit::data);
    return;
  }
  const auto again = make_tokenizer(tokenizer_file_of(vocabulary_of(*tokenizer)));
  EXPECT_EQ(again->document_start(), tokenizer->document_start());
  for (const Json& text : golden["texts"])
    EXPECT_EQ(again->encode(text.get<std::string>()), tokenizer->encode(text.get<std::string>())) << text;
}

INSTANTIATE_TEST_SUITE_P(Styles, TokenizerGolden, testing::Values("gpt2", "llama3", "qwen2", "smollm2", "llama2"),
                         [](const auto& style) { return std::string(style.param); });

}  // namespace
}  // namespace rw::test
