#include "data/tokenizer/tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/base/check.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/tokenizer_test.hpp"
#include "tests/support/error.hpp"
#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::kSmallVocab;
using test::TemporaryFolder;
using test::user_error_of;
using testing::HasSubstr;

std::vector<std::unique_ptr<Tokenizer>> tokenizers() {
  std::vector<std::unique_ptr<Tokenizer>> all;
  all.push_back(make_bytes_tokenizer());
  all.push_back(make_tokenizer(test::small_sentencepiece()));
  return all;
}

TEST(Tokenizer, GivesBackEveryCharacterOfUnicode) {
  for (const auto& tokenizer : tokenizers()) {
    std::string all;
    for (uint32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 7)
      if (c < 0xD800 || c > 0xDFFF) append_utf8(all, c);
    EXPECT_TRUE(tokenizer->decode(tokenizer->encode(all)) == all) << tokenizer->kind();
    for (uint32_t c : {0x0u, 0x9u, 0xAu, 0x20u, 0x2047u, 0x2581u, 0x2585u, 0xFEFFu, 0xFFFDu, 0xFFFEu, 0x10FFFFu}) {
      std::string one;
      append_utf8(one, c);
      for (const std::string& text : {one, one + one, " " + one + " ", "a" + one + "b"})
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << tokenizer->kind() << " U+" << std::hex << c;
    }
  }
}

TEST(Tokenizer, GivesBackRandomTexts) {
  std::mt19937 random(1);
  const std::string letters = "ab  \n\n\t<s>/0x41e1.";
  for (const auto& tokenizer : tokenizers())
    for (int round = 0; round < 300; ++round) {
      std::string unicode, ascii, bytes;
      for (size_t n = random() % 40; n > 0; --n) {
        auto c = static_cast<uint32_t>(random() % 0x110000);
        if (random() % 2) c %= 0x3000;
        if (c >= 0xD800 && c < 0xE000) c = ' ';
        append_utf8(unicode, c);
        ascii += letters[random() % letters.size()];
        bytes += static_cast<char>(random());
      }
      for (const std::string& text : {unicode, ascii, bytes, unicode + bytes + ascii}) {
        const auto ids = tokenizer->encode(text);
        EXPECT_EQ(tokenizer->decode(ids), text) << tokenizer->kind();
        std::string joined;
        for (int32_t id : ids) joined += tokenizer->bytes(id);
        EXPECT_EQ(joined, text);
      }
    }
}

TEST(Tokenizer, NoTextGivesAControlId) {
  for (const auto& tokenizer : tokenizers()) {
    EXPECT_TRUE(tokenizer->encode("").empty());
    EXPECT_TRUE(tokenizer->bytes(tokenizer->document_start()).empty());
    std::string text;
    for (int32_t id = 0; id < tokenizer->vocab(); ++id) text += tokenizer->piece(id) + " " + tokenizer->piece(id);
    for (int32_t id : tokenizer->encode(text + "<s></s><unk><pad><0x41>")) EXPECT_FALSE(tokenizer->bytes(id).empty());
  }
}

TEST(Tokenizer, OfBytesIsTheBytes) {
  const auto tokenizer = make_bytes_tokenizer();
  EXPECT_EQ(tokenizer->kind(), "bytes");
  EXPECT_EQ(tokenizer->vocab(), 257);
  EXPECT_EQ(tokenizer->document_start(), 256);
  EXPECT_EQ(tokenizer->encode("a\xC3\xA9\n"), (std::vector<int32_t>{97, 0xC3, 0xA9, 10}));
  EXPECT_EQ(tokenizer->piece('a'), "a");
  EXPECT_EQ(tokenizer->piece('\n'), "<0x0A>");
}

TEST(Tokenizer, OfSentencePieceHasItsLayout) {
  const auto tokenizer = make_tokenizer(test::small_sentencepiece());
  EXPECT_EQ(tokenizer->kind(), "sentencepiece");
  EXPECT_EQ(tokenizer->vocab(), kSmallVocab);
  EXPECT_EQ(tokenizer->document_start(), 1);
  EXPECT_EQ(tokenizer->piece(0), "<unk>");
  EXPECT_EQ(tokenizer->piece(1), "<s>");
  EXPECT_EQ(tokenizer->piece(2), "</s>");
  EXPECT_EQ(tokenizer->bytes(3), std::string(1, '\0'));
  EXPECT_EQ(tokenizer->bytes(3 + 255), "\xFF");
  std::set<std::string> pieces;
  for (int32_t id = 0; id < tokenizer->vocab(); ++id) {
    const std::string piece = tokenizer->piece(id);
    pieces.insert(piece);
    EXPECT_EQ(piece.find('\n'), std::string::npos);
    if (id < 259) continue;
    const bool number = tokenizer->bytes(id).find_first_of("0123456789") != std::string::npos;
    EXPECT_TRUE(!number || tokenizer->bytes(id).size() == 1) << piece << ": digits stay apart";
  }
  EXPECT_LT(tokenizer->encode("the quick brown fox").size(), 10u);
}

TEST(Tokenizer, ComesFromAFileAFolderAndARun) {
  const TemporaryFolder folder;
  const TokenizerFile model = test::small_sentencepiece();
  save_tokenizer(model, folder / "run" / "tokenizer");
  const std::string hash = hash_of(model);
  EXPECT_EQ(hash.size(), 32u);
  for (const auto& path : {"run", "run/tokenizer", "run/tokenizer/tokenizer.model"})
    EXPECT_EQ(load_tokenizer(folder / path)->hash(), hash) << path;
  EXPECT_EQ(load_tokenizer("bytes")->hash(), make_bytes_tokenizer()->hash());
  EXPECT_NE(load_tokenizer("bytes")->hash(), hash);
  save_tokenizer(make_bytes_tokenizer()->file(), folder / "b");
  EXPECT_EQ(load_tokenizer(folder / "b")->kind(), "bytes");
  EXPECT_NE(hash_of(TokenizerFile{"ab", "c"}), hash_of(TokenizerFile{"a", "bc"}));
}

TEST(Tokenizer, WhatIsNoneIsRefused) {
  const TemporaryFolder folder;
  const std::string good = test::small_sentencepiece().bytes;
  std::filesystem::create_directory(folder / "empty");
  EXPECT_THAT(user_error_of([&] { load_tokenizer(folder / "empty"); }).what, HasSubstr("no tokenizer in"));
  EXPECT_THAT(user_error_of([&] { load_tokenizer(folder / "absent"); }).what, HasSubstr("no tokenizer"));
  EXPECT_THAT(user_error_of([&] { make_tokenizer({"tokenizer.json", "{}"}); }).what, HasSubstr("tokenizer.json"));
  for (const std::string& content : {std::string(), std::string("x"), good.substr(0, good.size() / 2)}) {
    test::write_file(folder / "tokenizer.model", content);
    const auto error = user_error_of([&] { load_tokenizer(folder / "tokenizer.model"); });
    EXPECT_EQ(error.code, Exit::data) << content.size();
    EXPECT_THAT(error.what, HasSubstr("tokenizer.model"));
  }
  test::write_file(folder / "tokenizer.bytes", "ropewalk");
  EXPECT_EQ(user_error_of([&] { load_tokenizer(folder / "tokenizer.bytes"); }).code, Exit::data);
  EXPECT_THAT(user_error_of([&] { load_tokenizer(folder.path()); }).what, HasSubstr("two tokenizers"));
  const std::vector<int32_t> beyond = {257};
  EXPECT_THAT(test::error_of([&] { make_bytes_tokenizer()->decode(beyond); }), HasSubstr("257"));
}

TEST(Tokenizer, LearningIsDeterministicAndCompresses) {
  const TemporaryFolder folder;
  const std::string text = test::some_text(1, 60'000);
  test::write_file(folder / "a.txt", text);
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  testing::internal::CaptureStderr();
  const auto first = train_sentencepiece(files, {}, kSmallVocab);
  const auto second = train_sentencepiece(files, {}, kSmallVocab);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(first.tokenizer->file().bytes, second.tokenizer->file().bytes);
  EXPECT_EQ(first.tokenizer->vocab(), kSmallVocab);
  EXPECT_EQ(first.bytes, text.size());
  EXPECT_EQ(first.documents, 1u);
  EXPECT_LT(first.tokenizer->encode(text).size() * 5, text.size() * 2);
}

TEST(Tokenizer, LearnsFromLinesOfAnyLength) {
  const TemporaryFolder folder;
  std::string line;  // beyond every limit on sentences, and a word without a space
  for (int i = 0; i < 30'000; ++i) line += "zebra crossing ";
  test::write_file(folder / "a.txt", line + std::string(300'000, 'q') + " " + test::some_text(1, 50'000));
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  const auto trained = train_sentencepiece(files, {}, 500);
  EXPECT_EQ(trained.tokenizer->encode(" zebra crossing").size(), 2u);
  EXPECT_LT(trained.tokenizer->encode(std::string(160, 'q')).size(), 20u);
}

TEST(Tokenizer, NewlinesAndSpacesAreLearnt) {
  const TemporaryFolder folder;
  std::string text = test::some_text(1, 20'000);
  for (int i = 0; i < 1000; ++i) text += "if x:\n        return\n\n";
  test::write_file(folder / "a.txt", text);
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  const auto trained = train_sentencepiece(files, {}, 500);
  EXPECT_EQ(trained.tokenizer->encode("\n\n").size(), 1u);
  EXPECT_LE(trained.tokenizer->encode("        return").size(), 2u);
}

TEST(Tokenizer, RareCharactersLeaveRoomForWords) {
  const TemporaryFolder folder;
  std::string text = test::some_text(1, 200'000);
  for (uint32_t c = 0x4E00; c < 0x4E00 + 400; ++c) append_utf8(text, c);  // more than the vocabulary has room for
  test::write_file(folder / "a.txt", text);
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  const auto trained = train_sentencepiece(files, {}, 500);
  EXPECT_EQ(trained.tokenizer->decode(trained.tokenizer->encode(text)), text);
}

TEST(Tokenizer, ImpossibleVocabulariesAreRefused) {
  const TemporaryFolder folder;
  test::write_file(folder / "a.txt", "a little text\n");
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  const auto little = user_error_of([&] { train_sentencepiece(files, {}, 4096); });
  EXPECT_EQ(little.code, Exit::data);
  EXPECT_THAT(little.what, HasSubstr("too little text"));
  EXPECT_THAT(little.advice, HasSubstr("--vocab"));
  EXPECT_EQ(user_error_of([&] { train_sentencepiece(files, {}, 256); }).code, Exit::usage);
}

}  // namespace
}  // namespace rw
