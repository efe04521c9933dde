#include "data/tokenizer/json_tokenizer_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/tokenizer_test.hpp"
#include "tests/support/bad_files.hpp"

namespace rw {
namespace {

using nlohmann::json;
using test::made_of;
using test::small_json;
using test::user_error_of;
using testing::HasSubstr;

std::string pieces_of(const Tokenizer& tokenizer, std::string_view text) {
  std::string out;
  for (int32_t id : tokenizer.encode(text)) out.append(out.empty() ? "" : "|").append(tokenizer.piece(id));
  return out;
}

TEST(JsonTokenizer, MergesByRankInsideWords) {
  const auto tokenizer = made_of(small_json());
  EXPECT_EQ(tokenizer->kind(), "bpe");
  EXPECT_EQ(pieces_of(*tokenizer, "the hello the1212"), "the|Ġ|hello|Ġthe|12|12");
  EXPECT_EQ(pieces_of(*tokenizer, "abc\n\n  \xC3\xA9"), "abc|ĊĊ|Ġ|Ġ|Ã©");
  EXPECT_EQ(pieces_of(*tokenizer, "x\n\n"), "x|ĊĊ");
  EXPECT_EQ(pieces_of(*made_of(small_json("smollm")), "a1212"), "a|1|2|1|2");
  EXPECT_EQ(pieces_of(*made_of(small_json("llama-bpe")), "\nthe"), "Ċ|the");
  EXPECT_EQ(pieces_of(*made_of(small_json("default")), "12345"), "12|3|4|5");
}

TEST(JsonTokenizer, SpecialTokensAreNeverMadeAndAddedOnesAre) {
  json file = small_json();
  const auto vocab = static_cast<int>(file["model"]["vocab"].size());
  const auto added = [&](int id, const char* content, bool special) {
    file["added_tokens"].push_back({{"id", id},
                                    {"content", content},
                                    {"special", special},
                                    {"normalized", false},
                                    {"single_word", false},
                                    {"lstrip", special},
                                    {"rstrip", false}});
  };
  added(vocab, "<tool>", false);
  added(vocab + 1, "<tool><x>", true);
  const auto tokenizer = made_of(file);
  EXPECT_EQ(pieces_of(*tokenizer, "the<tool>the"), "the|<tool>|the");
  EXPECT_EQ(pieces_of(*tokenizer, "<tool><tool><x>"), "<tool>|<|t|o|o|l|>|<|x|>");  // the special one hides it
  EXPECT_EQ(pieces_of(*tokenizer, "<|endoftext|>").find("<|endoftext|>"), std::string::npos);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a <tool> b")), "a <tool> b");
  EXPECT_EQ(tokenizer->bytes(tokenizer->document_start()), "");
}

TEST(JsonTokenizer, GivesBackAnyBytes) {
  const auto tokenizer = made_of(small_json("llama-bpe"));
  std::mt19937 random(3);
  for (int i = 0; i < 50; ++i) {
    std::string bytes;
    for (int k = 0; k < 200; ++k) bytes += static_cast<char>(random() % 3 == 0 ? random() : 'a' + random() % 3);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(bytes)), bytes);
  }
  EXPECT_EQ(pieces_of(*tokenizer,
                      "a\xFF"
                      "bc\xC3"),
            "a|ÿ|bc|Ã");  // each byte that is not UTF-8 for itself
}

TEST(JsonTokenizer, NormalizesWhereAsked) {
  const auto tokenizer = made_of(small_json("qwen2"));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("e\xCC\x81")), "\xC3\xA9");
  EXPECT_EQ(pieces_of(*tokenizer, "e\xCC\x81"), "Ã©");
  // U+1DFA is a mark that their normalization does not know: nothing moves over it.
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("e\xE1\xB7\xBA\xCC\x81")), "e\xE1\xB7\xBA\xCC\x81");
}

TEST(JsonTokenizer, KnowsYoungLetters) {
  const auto tokenizer = made_of(small_json());
  // U+10D50 is a letter since Unicode 16, U+1E4F0 a digit since 15: "a" goes with the one, not with the other.
  EXPECT_EQ(pieces_of(*tokenizer, "ab\xF0\x90\xB5\x90").substr(0, 3), "ab|");
  EXPECT_EQ(tokenizer->encode(" \xF0\x90\xB5\x90").size(), 5u);
  EXPECT_EQ(pieces_of(*tokenizer, "\xF0\x9E\x93\xB0the").substr(pieces_of(*tokenizer, "\xF0\x9E\x93\xB0").size()),
            "|the");
}

TEST(JsonTokenizer, PartsGiveTheSameIds) {
  std::mt19937 random(11);
  const char* some[] = {"the", " the", "hello",         " ",         "  ",           "\n", "\n\n", "!",
                        "?\n", "12",   "<|endoftext|>", "e\xCC\x81", "\xE4\xB8\xAD", "\t", "'LL",  "abc"};
  for (const char* pattern : {"gpt-2", "llama-bpe", "qwen2", "smollm", "default"}) {
    const auto tokenizer = made_of(small_json(pattern));
    int cuts = 0;
    for (int i = 0; i < 200; ++i) {
      std::string text;
      for (int k = 0; k < 40; ++k) text += some[random() % std::size(some)];
      size_t view = random() % text.size();
      while (is_utf8_continuation(text[view])) ++view;
      const size_t cut = tokenizer->cut(std::string_view(text).substr(0, view));
      ASSERT_LE(cut, view);
      cuts += cut > 0;
      auto ids = tokenizer->encode_part(text.substr(0, cut), true);
      const auto rest = tokenizer->encode_part(text.substr(cut), cut == 0);
      ids.insert(ids.end(), rest.begin(), rest.end());
      ASSERT_EQ(ids, tokenizer->encode(text)) << pattern << " " << text << " " << cut;
    }
    EXPECT_GT(cuts, 150) << pattern;
  }
}

TEST(JsonTokenizer, LongWordsAreNotQuadratic) {
  const auto tokenizer = made_of(small_json());
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'l')).size(), size_t{1} << 19);
}

TEST(JsonTokenizer, DocumentStartIsTheTokenThatStandsBeforeTexts) {
  json file = small_json();
  const int vocab = static_cast<int>(file["model"]["vocab"].size());
  for (const char* name : {"<|im_start|>", "<s>"})
    file["added_tokens"].push_back({{"id", vocab + (name[1] == 's')},
                                    {"content", name},
                                    {"special", true},
                                    {"normalized", false},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false}});
  const auto start = [&] {
    const auto tokenizer = made_of(file);
    return tokenizer->piece(tokenizer->document_start());
  };
  EXPECT_EQ(start(), "<|endoftext|>");  // named by the template
  const json named = {{"SpecialToken", {{"id", "<|im_start|>"}, {"type_id", 0}}}};
  file["post_processor"]["single"] = json::array({named, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}});
  EXPECT_EQ(start(), "<|im_start|>");  // put before a text
  file["post_processor"] = {{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, file["post_processor"]}}};
  EXPECT_EQ(start(), "<|im_start|>");
  file["post_processor"] = nullptr;
  EXPECT_EQ(start(), "<s>");
}

// A change to the small file, and what the error says.
struct Bad {
  const char* pointer;
  json value;
  const char* message;
};

TEST(JsonTokenizer, WhatIsNotSupportedOrWrongIsNamed) {
  const json split = {{"type", "Split"}, {"pattern", {{"Regex", "a+"}}}, {"behavior", "Removed"}, {"invert", false}};
  const auto regex = [](const char* pattern) {
    return json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  const Bad bad[] = {
      {"/pre_tokenizer", {{"type", "Whitespace"}}, "pre_tokenizer {\"type\":\"Whitespace\"} is not supported"},
      {"/pre_tokenizer/pretokenizers/0", split, "not supported"},
      {"/pre_tokenizer/pretokenizers/0", regex("(a"), "cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("a*"), "cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("^a"), "'^a' cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("\\w+"), "cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("(?<=a)b"), "cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("\\p{Greek}"), "cannot be used"},
      {"/pre_tokenizer/pretokenizers/0", regex("[a[b]]"), "cannot be used"},
      {"/pre_tokenizer", nullptr, "its steps do not fit together"},
      {"/pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", true}}, "not supported"},
      {"/normalizer", {{"type", "Lowercase"}}, "normalizer {\"type\":\"Lowercase\"} is not supported"},
      {"/decoder", {{"type", "WordPiece"}}, "decoder {\"type\":\"WordPiece\"} is not supported"},
      {"/model/type", "Unigram", "its model is of type \"Unigram\""},
      {"/model/dropout", 0.1, "dropout 0.1 is not supported"},
      {"/model/continuing_subword_prefix", "##", "continuing_subword_prefix \"##\" is not supported"},
      {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix \"</w>\" is not supported"},
      {"/model/byte_fallback", 1, "model.byte_fallback is 1, neither true nor false"},
      {"/model/vocab/a", 5, "the id 5 stands twice"},
      {"/model/vocab/a", 9000, "has no piece"},
      {"/model/vocab/a", 1e300, "the id of 'a' is 1e+300, no id"},
      {"/model/vocab/a", -1, "the id of 'a' is -1, no id"},
      {"/model/vocab/a", 4294967296, "the id of 'a' is 4294967296, no id"},
      {"/model/vocab", json::array(), "model.vocab is no object"},
      {"/model/merges/0", "h e l", "model.merges[0] is 'h e l'"},
      {"/model/merges/0", "h zzz", "model.merges[0] is of 'zzz'"},
      {"/model/merges/0", json{"q", "j"}, "model.merges[0] is of 'qj'"},
      {"/model/merges/0", 3, "model.merges[0] is 3"},
      {"/added_tokens/0/id", 3, "the added token '<|endoftext|>' has the id 3"},
      {"/added_tokens/0/content", "<new>", "the added token '<new>' has the id"},
      {"/added_tokens/0/special", "yes", "added_tokens[0].special is \"yes\""},
      {"/added_tokens", json::array(), "no special token that could begin a document"},
      {"/version", "2.0", "its version is \"2.0\""},
      {"/model", nullptr, "it has no model"},
  };
  test::BadFiles files("tokenizer.json");
  for (const Bad& one : bad) {
    json file = small_json();
    file[json::json_pointer(one.pointer)] = one.value;
    const auto error = files.refusal(one.message, [&] { made_of(file); });
    EXPECT_EQ(error.code, Exit::data) << one.message;
    EXPECT_THAT(error.what, HasSubstr(one.message)) << one.pointer;
  }
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  for (const std::string& text :
       {deep, std::string("{"), std::string("[]"), std::string("{\"a\":1,\"a\":2}"), std::string()})
    EXPECT_EQ(files.refusal(text.substr(0, 20), [&] { make_tokenizer({"tokenizer.json", text}); }).code, Exit::data);
}

TEST(JsonTokenizer, APatternThatTakesForeverIsStopped) {
  json file = small_json();
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?:a|aa|a+)+b|c";
  const auto tokenizer = made_of(file);
  EXPECT_EQ(tokenizer->encode("aaab").size(), 3u);
  EXPECT_EQ(user_error_of([&] { tokenizer->encode(std::string(60, 'a')); }).code, Exit::data);
}

TEST(JsonTokenizer, DamagedFilesAreRefusedOrUsed) {
  const std::string good = small_json("llama-bpe").dump();
  std::mt19937 random(17);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bad = good;
    const size_t at = random() % bad.size();
    if (i % 3 == 0) bad[at] = static_cast<char>(random());
    if (i % 3 == 1) bad.erase(at, random() % 20);
    if (i % 3 == 2) bad.insert(at, bad.substr(random() % bad.size(), random() % 20));
    try {
      const auto tokenizer = make_tokenizer({"tokenizer.json", bad});
      const auto ids = tokenizer->encode("the hello \xFF 12");
      tokenizer->decode(ids);
    } catch (const UserError& error) {
      ++refused;
      EXPECT_EQ(error.code, Exit::data);
    }
  }
  EXPECT_GT(refused, 200);
}

TEST(JsonTokenizer, StandsBeforeATokenizerModelInOneFolder) {
  const test::TemporaryFolder folder;
  save_tokenizer(test::small_sentencepiece(), folder.path());
  EXPECT_EQ(load_tokenizer(folder.path())->kind(), "sentencepiece");
  save_tokenizer(tokenizer_file_of(test::small_byte_pairs()), folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->kind(), "bpe");
  EXPECT_EQ(tokenizer->file().bytes, test::read_file(folder / "tokenizer.json"));
}

}  // namespace
}  // namespace rw
