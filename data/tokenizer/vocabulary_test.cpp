#include "data/tokenizer/vocabulary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/json_tokenizer_test.hpp"
#include "data/tokenizer/scored_merges.hpp"
#include "data/tokenizer/sentencepiece_model.hpp"
#include "data/tokenizer/tokenizer_json.hpp"
#include "data/tokenizer/tokenizer_test.hpp"

namespace rw {
namespace {

using test::user_error_of;
using testing::HasSubstr;
using Type = Vocabulary::Type;

TokenizerFile with_prefix(const TokenizerFile& file) {
  SentencePieceModel model = read_sentencepiece_model(file.bytes);
  model.add_dummy_prefix = true;
  return {file.name, write_sentencepiece_model(model)};
}

// Without U+2581, which only SentencePiece's own kind gives back.
std::string any_text(unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const uint32_t c = random() % 4 ? 'a' + random() % 4 : random() % (random() % 2 ? 0x3000u : 0xD000u);
    text += random() % 3 == 0 ? std::string(random() % 4, ' ') : std::string();
    if (c != 0x2581) append_utf8(text, c);
  }
  return text + test::some_text(seed, 500);
}

void expect_same(const Tokenizer& a, const Tokenizer& b) {
  ASSERT_EQ(a.vocab(), b.vocab());
  EXPECT_EQ(a.document_start(), b.document_start());
  EXPECT_EQ(a.space_prefix(), b.space_prefix());
  for (int32_t id = 0; id < a.vocab(); ++id) EXPECT_EQ(a.bytes(id), b.bytes(id)) << id;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::string text = any_text(seed);
    EXPECT_EQ(a.encode(text), b.encode(text)) << text;
    EXPECT_EQ(b.decode(b.encode(text)), text);
  }
}

TEST(Vocabulary, OfBytePairsComesBack) {
  for (const char* pattern : {"gpt-2", "llama-bpe", "smollm", "default"}) {
    const auto made = make_tokenizer(tokenizer_file_of(test::small_byte_pairs(pattern)));
    const Vocabulary again = vocabulary_of(*made);
    EXPECT_EQ(again.pattern, pattern);
    EXPECT_EQ(again.merges, test::small_byte_pairs().merges);
    EXPECT_EQ(again.pieces, test::small_byte_pairs().pieces);
    EXPECT_EQ(again.types, test::small_byte_pairs().types);
    expect_same(*made, *make_tokenizer(tokenizer_file_of(again)));
  }
  const auto qwen = make_tokenizer(tokenizer_file_of(test::small_byte_pairs("qwen2")));
  EXPECT_EQ(vocabulary_of(*qwen).pattern, "qwen2");
}

TEST(Vocabulary, OfSentencePieceComesBack) {
  for (const TokenizerFile& file : {test::small_sentencepiece(), with_prefix(test::small_sentencepiece())}) {
    const auto made = make_tokenizer(file);
    const Vocabulary taken = vocabulary_of(*made);
    EXPECT_EQ(taken.kind, Vocabulary::Kind::sentencepiece);
    EXPECT_EQ(std::tuple(taken.bos, taken.eos, taken.unknown, taken.padding), std::tuple(1, 2, 0, -1));
    expect_same(*made, *make_tokenizer(tokenizer_file_of(taken)));
    // tokenizer.json of it, and from that SentencePiece again.
    const auto json = make_tokenizer({"tokenizer.json", to_tokenizer_json(*made)});
    expect_same(*made, *json);
    const Vocabulary from_json = vocabulary_of(*json);
    EXPECT_EQ(from_json.types, taken.types);
    expect_same(*made, *make_tokenizer(tokenizer_file_of(from_json)));
  }
}

TEST(Vocabulary, MergesOfOverlappingPairsAreSentencePieces) {
  std::mt19937 random(23);
  const auto word = [&] {
    std::string text;
    for (size_t k = 1 + random() % 12; k-- > 0;) text += random() % 3 == 0 ? "b" : random() % 9 == 0 ? "\n" : "a";
    return text + std::string(random() % 6, ' ');
  };
  for (int trial = 0; trial < 5; ++trial) {
    const test::TemporaryFolder folder;
    std::string text;
    while (text.size() < 20'000) text += word();
    test::write_file(folder / "a.txt", text);
    const std::filesystem::path file = folder / "a.txt";
    const auto made = make_tokenizer(train_sentencepiece(std::span(&file, 1), {}, 380).tokenizer->file());
    const auto json = make_tokenizer({"tokenizer.json", to_tokenizer_json(*made)});
    for (int i = 0; i < 500; ++i) {
      const std::string one = word() + word() + word();
      ASSERT_EQ(made->encode(one), json->encode(one)) << one;
    }
  }
}

TEST(Vocabulary, OfBytesComesBack) {
  const auto made = make_bytes_tokenizer();
  expect_same(*made, *make_tokenizer({"tokenizer.json", to_tokenizer_json(*made)}));
  expect_same(*made, *make_tokenizer(tokenizer_file_of(vocabulary_of(*made))));
}

TEST(Vocabulary, ASpaceBeforeATextIsTakenAwayAgain) {
  const auto plain = make_tokenizer(test::small_sentencepiece());
  const auto made = make_tokenizer(with_prefix(test::small_sentencepiece()));
  EXPECT_TRUE(made->space_prefix());
  for (const char* text : {"the", " the", "  the ", " ", "", "\n", "the fox\xFF"}) {
    const auto ids = made->encode(text);
    EXPECT_EQ(ids, *text ? plain->encode(std::string(" ") + text) : std::vector<int32_t>()) << text;
    EXPECT_EQ(made->decode(ids), text);
    EXPECT_EQ(made->encode_part(text, false), plain->encode(text)) << text;
  }
}

TEST(Vocabulary, SentencePieceThatChangesTextsIsRefused) {
  SentencePieceModel model = read_sentencepiece_model(test::small_sentencepiece().bytes);
  const auto error = [](const std::string& bytes) {
    return user_error_of([&] { make_tokenizer({"tokenizer.model", bytes}); }).advice;
  };
  model.remove_extra_whitespaces = true;
  EXPECT_THAT(error(write_sentencepiece_model(model)), HasSubstr("remove_extra_whitespaces"));
  model.remove_extra_whitespaces = false;
  model.whitespace_as_suffix = true;
  EXPECT_THAT(error(write_sentencepiece_model(model)), HasSubstr("treat_whitespace_as_suffix"));
  // normalizer_spec { name: "nmt_nfkc" precompiled_charsmap: "x" }
  const std::string charsmap = std::string("\x1A\x0D\x0A\x08nmt_nfkc\x12\x01x", 15);
  EXPECT_THAT(error(test::small_sentencepiece().bytes + charsmap), HasSubstr("'nmt_nfkc'"));
}

TEST(Vocabulary, EqualScoresHaveNoRanks) {
  Vocabulary vocabulary = vocabulary_of(*make_tokenizer(test::small_sentencepiece()));
  const Merges merges = merges_of_scores(vocabulary);
  EXPECT_GT(merges.size(), 50u);
  Vocabulary others = vocabulary;
  others.scores = scores_of_merges(vocabulary, merges);
  EXPECT_EQ(merges_of_scores(others), merges);
  Merges fewer = merges;
  fewer.pop_back();
  EXPECT_THAT(user_error_of([&] { scores_of_merges(vocabulary, fewer); }).what,
              HasSubstr("cannot be written as scores"));
  vocabulary.scores.assign(vocabulary.scores.size(), -1);
  EXPECT_THAT(user_error_of([&] { merges_of_scores(vocabulary); }).what, HasSubstr("the same score"));
}

TEST(Vocabulary, ATokenizerConfigNamesTheSpecialTokens) {
  const auto made = make_tokenizer(tokenizer_file_of(test::small_byte_pairs()));
  const auto config = nlohmann::json::parse(to_tokenizer_config_json(*made, 512));
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(config["model_max_length"], 512);
  EXPECT_EQ(config["bos_token"], "<|endoftext|>");
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_FALSE(config.contains("unk_token"));
  EXPECT_EQ(to_tokenizer_json(*made), made->file().bytes);
}

TEST(Vocabulary, WhatIsWrongIsNamed) {
  const auto error = [](auto&& change, Vocabulary vocabulary = test::small_byte_pairs()) {
    change(vocabulary);
    const auto caught = user_error_of([&] { tokenizer_file_of(vocabulary); });
    EXPECT_EQ(caught.code, Exit::data);
    return caught.advice;
  };
  EXPECT_THAT(error([](Vocabulary& v) { v.pattern = "tekken"; }), HasSubstr("the pattern 'tekken'"));
  EXPECT_THAT(error([](Vocabulary& v) { v.pieces[3] = "a"; }), HasSubstr("the piece 'a' stands twice"));
  EXPECT_THAT(error([](Vocabulary& v) { v.pieces[3].clear(); }), HasSubstr("the id 3 has no piece"));
  EXPECT_THAT(error([](Vocabulary& v) { v.types.pop_back(); }), HasSubstr("types"));
  EXPECT_THAT(error([](Vocabulary& v) { v.types[0] = Type{9}; }), HasSubstr("unknown type 9"));
  EXPECT_THAT(error([](Vocabulary& v) { v.merges.emplace_back("a", "zz"); }), HasSubstr("a merge is of 'zz'"));
  EXPECT_THAT(error([](Vocabulary& v) { v.bos = 100'000; }), HasSubstr("its bos id 100000"));
  EXPECT_THAT(error([](Vocabulary& v) { v.bos = v.eos = -1; }), HasSubstr("neither a bos nor an eos"));
  EXPECT_THAT(error([](Vocabulary& v) { v.space_prefix = true; }), HasSubstr("a space before texts"));
  const Vocabulary scored = vocabulary_of(*make_tokenizer(test::small_sentencepiece()));
  EXPECT_THAT(error([](Vocabulary& v) { v.scores.pop_back(); }, scored), HasSubstr("scores"));
  EXPECT_THAT(error([](Vocabulary& v) { v.unknown = 5; }, scored), HasSubstr("unknown id"));
  EXPECT_THAT(error([](Vocabulary& v) { v.bos = 5; }, scored), HasSubstr("bos id"));
  nlohmann::json other = test::small_json();
  other["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "a+";
  EXPECT_THAT(user_error_of([&] { vocabulary_of(*test::made_of(other)); }).advice, HasSubstr("no name in GGUF"));
}

}  // namespace
}  // namespace rw
