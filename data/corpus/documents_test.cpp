#include "data/corpus/documents.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "data/corpus/utf8.hpp"
#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::TemporaryFolder;
using test::user_error_of;
using test::write_file;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

Texts read(const std::filesystem::path& file, const DocumentOptions& options = {}) {
  Texts documents;
  bool inside = false;
  read_documents(file, options, [&](const TextPart& part) {
    if (!inside) documents.emplace_back();
    documents.back() += part.text;
    inside = !part.ends_document;
    EXPECT_EQ(valid_utf8_prefix(part.text), part.text.size());
    EXPECT_TRUE(part.ends_document || !part.text.empty());
  });
  EXPECT_FALSE(inside);
  return documents;
}

Texts read_text_of(const std::string& content, const DocumentOptions& options = {}, const char* name = "a.txt") {
  const TemporaryFolder folder;
  write_file(folder / name, content);
  return read(folder / name, options);
}

test::CaughtUserError error_of_text(const std::string& content, const char* name = "a.txt",
                                    const DocumentOptions& options = {}) {
  const TemporaryFolder folder;
  write_file(folder / name, content);
  return user_error_of([&] { read(folder / name, options); });
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string long_text() {  // several blocks, characters of every length across their borders
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += i % 5 ? "word " : "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n";
  return text;
}

TEST(Utf8, KnowsWhatIsACharacter) {
  EXPECT_EQ(utf8_length("a"), 1);
  EXPECT_EQ(utf8_length("\xC3\xA9x"), 2);
  EXPECT_EQ(utf8_length("\xE2\x82\xAC"), 3);
  EXPECT_EQ(utf8_length("\xF4\x8F\xBF\xBF"), 4);  // U+10FFFF
  for (const char* wrong : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3x", "\xE2\x82x"})
    EXPECT_EQ(utf8_length(wrong), 0) << wrong;
  for (const char* cut : {"\xC3", "\xE2\x82", "\xF0\x9F\x98"}) EXPECT_EQ(utf8_length(cut), -1);
  EXPECT_EQ(valid_utf8_prefix("ab\xC3\xA9\xFFz"), 4u);
}

TEST(Documents, AFileIsOneDocument) {
  EXPECT_EQ(read_text_of("a\n%\n\nb"), Texts{"a\n%\n\nb"});
  EXPECT_EQ(read_text_of("\n"), Texts{"\n"});
  const std::string text = long_text();
  EXPECT_TRUE(read_text_of(text) == Texts{text});
  EXPECT_TRUE(read_text_of(std::string(3'000'000, 'x')) == Texts{std::string(3'000'000, 'x')});
}

TEST(Documents, PartsEndBeforeASpace) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += i % 3 ? "word " : "two  \n";
  write_file(folder / "a.txt", text);
  size_t parts = 0, at = 0;
  read_documents(folder / "a.txt", {}, [&](const TextPart& part) {
    ++parts;
    EXPECT_LE(part.text.size(), 2 * kPartBytes);
    at += part.text.size();
    if (part.ends_document) return;
    EXPECT_EQ(text[at], ' ');
    EXPECT_NE(text[at - 1], ' ');
  });
  EXPECT_GT(parts, 5u);
  EXPECT_EQ(at, text.size());
}

TEST(Documents, ASeparatorLineStandsBetweenThem) {
  const DocumentOptions percent{.separated = true, .separator = "%"};
  EXPECT_EQ(read_text_of("a\nb\n%\nc %\n%%\n%", percent), (Texts{"a\nb\n", "c %\n%%\n"}));
  EXPECT_EQ(read_text_of("%\r\n%\r\na\r\n%\r\nb", percent), (Texts{"a\r\n", "b"}));
  EXPECT_EQ(read_text_of("a%", percent), Texts{"a%"});
  const DocumentOptions blank{.separated = true, .separator = ""};
  EXPECT_EQ(read_text_of("\n\na\nb\n\n\n\nc\r\n\r\nd\n", blank), (Texts{"a\nb\n", "c\r\n", "d\n"}));
  const std::string text = long_text();
  EXPECT_TRUE(read_text_of(text + "\n%\n" + text, percent) == (Texts{text + "\n", text}));
}

TEST(Documents, JsonLinesHoldOneEach) {
  EXPECT_EQ(read_text_of("{\"text\": \"a\\nb\", \"id\": 1}\n\n{\"content\":\"\\u00e9\"}\r\n{\"text\":\"\"}\n"
                         "{\"text\":\"last\"}",
                         {}, "a.jsonl"),
            (Texts{"a\nb", "\xC3\xA9", "last"}));
  EXPECT_EQ(read_text_of("{\"body\":\"x\",\"text\":\"y\"}", {.text_key = "body"}, "a.ndjson"), Texts{"x"});
}

// Prompt and rest of each document.
std::vector<std::pair<std::string, std::string>> read_pairs(const std::string& content,
                                                            const DocumentOptions& options = {}) {
  const TemporaryFolder folder;
  write_file(folder / "a.jsonl", content);
  std::vector<std::pair<std::string, std::string>> documents;
  bool inside = false;
  read_documents(folder / "a.jsonl", options, [&](const TextPart& part) {
    if (!inside) documents.emplace_back();
    EXPECT_TRUE(!part.is_prompt || documents.back().second.empty());  // it comes first
    (part.is_prompt ? documents.back().first : documents.back().second) += part.text;
    EXPECT_FALSE(part.is_prompt && part.ends_document);
    inside = !part.ends_document;
  });
  EXPECT_FALSE(inside);
  return documents;
}

TEST(Documents, PromptsAndCompletions) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(read_pairs("{\"prompt\": \"2 + 2 =\", \"completion\": \" 4\", \"id\": 7}\n{\"text\": \"t\"}\n"
                       "{\"completion\": \"c\", \"prompt\": \"\"}\n{\"prompt\": \"p\", \"completion\": \"\"}\n"
                       "{\"prompt\": \"\", \"completion\": \"\"}\n"),
            (Pairs{{"2 + 2 =", " 4"}, {"", "t"}, {"", "c"}, {"p", ""}}));
  EXPECT_EQ(read_pairs("{\"prompt\": \"p\", \"completion\": \"c\", \"text\": \"t\"}", {.text_key = "text"}),
            (Pairs{{"", "t"}}));
  EXPECT_EQ(read_pairs("{\"prompt\": \"p\", \"completion\": \"c\"}", {.text_key = "prompt"}), (Pairs{{"", "p"}}));
  std::string words;  // several parts
  for (size_t i = 0; i < 3 * kPartBytes / 5; ++i) words += "word ";
  EXPECT_TRUE(read_pairs("{\"prompt\": \"" + words + "\", \"completion\": \"" + words + "\"}") ==
              (Pairs{{words, words}}));
}

TEST(Documents, JsonLinesThatAreWrongAreNamed) {
  const std::string good = "{\"text\":\"a\"}\n";
  const auto wrong = [&](const std::string& line) { return error_of_text(good + good + line, "a.jsonl"); };
  for (const auto& [line, what] : std::vector<std::pair<std::string, std::string>>{
           {"{\"text\":", "is not JSON"},
           {"[1]", "is not a JSON object"},
           {"{\"body\":\"x\"}", "has no key 'text' or 'content'"},
           {"{\"prompt\":\"x\"}", "has a 'prompt' without a 'completion'"},
           {"{\"completion\":\"x\"}", "has a 'completion' without a 'prompt'"},
           {"{\"prompt\":\"x\",\"completion\":\"y\",\"text\":\"z\"}", "has a 'text' and a prompt or completion"},
           {"{\"prompt\":3,\"completion\":\"y\"}", "has no text under 'prompt'"},
           {"{\"text\":[\"x\"]}", "has no text under 'text'"}}) {
    const auto error = wrong(line);
    EXPECT_EQ(error.code, Exit::data);
    EXPECT_THAT(error.what, HasSubstr("a.jsonl line 3 " + what));
  }
  EXPECT_THAT(wrong("{\"body\":\"x\"}").advice, HasSubstr("body\nname the one with the text:  --text-key"));
}

TEST(Documents, PackedFilesAreUnpacked) {
  const std::string text = long_text();
  EXPECT_TRUE(read_text_of(gzip(text), {}, "a.txt.gz") == Texts{text});
  EXPECT_TRUE(read_text_of(zstd(text), {}, "a.txt.zst") == Texts{text});
  EXPECT_TRUE(read_text_of(gzip("ab") + gzip(text), {}, "a") == Texts{"ab" + text});  // members one after another
  EXPECT_TRUE(read_text_of(zstd("ab") + zstd(text), {}, "a") == Texts{"ab" + text});
  EXPECT_EQ(read_text_of(gzip("{\"text\":\"x\"}\n"), {}, "a.jsonl.gz"), Texts{"x"});
  EXPECT_EQ(read_text_of(zstd("{\"text\":\"x\"}\n"), {}, "a.jsonl.zst"), Texts{"x"});
}

TEST(Documents, DamagedPackedFilesAreRefused) {
  const std::string text = long_text();
  for (const std::string& packed : {gzip(text), zstd(text)}) {
    for (size_t size : {packed.size() - 1, packed.size() / 2, size_t{12}}) {
      const auto error = error_of_text(packed.substr(0, size));
      EXPECT_EQ(error.code, Exit::data);
      EXPECT_THAT(error.what, HasSubstr("cannot unpack")) << size;
      EXPECT_THAT(error.advice, HasSubstr("cut off"));
    }
    std::string flipped = packed;
    flipped[packed.size() / 2] = static_cast<char>(flipped[packed.size() / 2] ^ 0x55);
    if (packed[0] == '\x1F') {  // zstd has no checksum by default
      EXPECT_EQ(error_of_text(flipped).code, Exit::data);
    }
    EXPECT_THAT(error_of_text(packed + "rubbish at the end").advice, HasSubstr("damaged"));
  }
  EXPECT_THAT(error_of_text(gzip("")).what, HasSubstr("is empty"));
}

TEST(Documents, WhatIsNoTextIsRefused) {
  EXPECT_THAT(error_of_text("").what, HasSubstr("a.txt is empty"));
  EXPECT_THAT(error_of_text("\n\n", "a.jsonl").what, HasSubstr("is empty"));
  EXPECT_THAT(error_of_text(std::string("ab\ncd\0e", 7)).what, HasSubstr("zero byte at byte 5, line 2"));
  const auto latin = error_of_text("ab\n\ncaf\xE9 au lait");
  EXPECT_EQ(latin.code, Exit::data);
  EXPECT_THAT(latin.what, HasSubstr("is not UTF-8: 0xE9 at byte 7, line 3"));
  EXPECT_THAT(latin.advice, HasSubstr("iconv"));
  EXPECT_THAT(error_of_text("ab\xE2\x82").what, HasSubstr("it ends inside a character at byte 2"));
  const std::string text = long_text();
  EXPECT_THAT(error_of_text(text + "\xFF" + text).what, HasSubstr("at byte " + std::to_string(text.size())));
  const TemporaryFolder folder;
  EXPECT_THAT(user_error_of([&] { read(folder / "absent.txt"); }).what, HasSubstr("absent.txt"));
  EXPECT_THAT(user_error_of([&] { read(folder.path()); }).what, HasSubstr("is a folder"));
}

}  // namespace
}  // namespace rw
