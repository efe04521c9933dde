#include "data/prepare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "data/token_data.hpp"
#include "data/tokenizer/json_tokenizer_test.hpp"
#include "data/tokenizer/sentencepiece_model.hpp"
#include "data/tokenizer/tokenizer_json.hpp"
#include "data/tokenizer/tokenizer_test.hpp"

namespace rw {
namespace {

using test::TemporaryFolder;
using test::user_error_of;
using test::write_file;
using testing::HasSubstr;
using Paths = std::vector<std::filesystem::path>;

std::vector<std::unique_ptr<Tokenizer>> tokenizers() {
  std::vector<std::unique_ptr<Tokenizer>> all;
  all.push_back(make_bytes_tokenizer());
  all.push_back(make_tokenizer(test::small_sentencepiece()));
  all.push_back(test::made_of(test::small_json()));
  return all;
}

// Whose ids at a place depend on what stands far before or behind it, or on whether it is the beginning.
std::vector<std::unique_ptr<Tokenizer>> tokenizers_that_cut_with_care() {
  std::vector<std::unique_ptr<Tokenizer>> all = tokenizers();
  for (const char* pattern : {"llama-bpe", "qwen2", "smollm"}) all.push_back(test::made_of(test::small_json(pattern)));
  SentencePieceModel model = read_sentencepiece_model(test::small_sentencepiece().bytes);
  model.add_dummy_prefix = true;
  all.push_back(make_tokenizer({"tokenizer.model", write_sentencepiece_model(model)}));
  all.push_back(make_tokenizer({"tokenizer.json", to_tokenizer_json(*all.back())}));
  return all;
}

// Texts of the documents of a split.
std::vector<std::string> texts(const TokenData& data) {
  const auto tokenizer = make_tokenizer(*data.tokenizer());
  std::vector<std::string> out;
  const auto starts = data.document_starts();
  for (size_t d = 0; d < starts.size(); ++d) {
    const uint64_t end = d + 1 < starts.size() ? starts[d + 1] : data.size();
    std::vector<int32_t> ids(end - starts[d]);
    data.read(starts[d], ids);
    EXPECT_EQ(ids[0], tokenizer->document_start());
    EXPECT_EQ(std::ranges::count(ids, tokenizer->document_start()), 1);
    out.push_back(tokenizer->decode(ids));
  }
  return out;
}

uint64_t bytes_of(const std::vector<std::string>& all) {
  uint64_t sum = 0;
  for (const std::string& text : all) sum += text.size();
  return sum;
}

// Four documents in two files, with characters that are several tokens.
struct Texts {
  TemporaryFolder folder;
  std::vector<std::string> documents;
  Paths files;
  DocumentOptions options{.separated = true, .separator = "%"};

  Texts() {
    const size_t sizes[] = {150'000, 40, 9'000, 3'000};
    for (unsigned i = 0; i < 4; ++i) {
      std::string text = test::some_text(i, sizes[i]);
      if (i == 3)
        for (int k = 0; k < 500; ++k) text += "\xF0\x9F\x98\x80";
      documents.push_back(text + "\n");
    }
    write_file(folder / "a.txt", documents[0] + "%\n" + documents[1]);
    write_file(folder / "b.txt", documents[2] + "%\n" + documents[3]);
    files = {folder / "a.txt", folder / "b.txt"};
  }
};

TEST(Prepare, WithoutASplitAllIsTrain) {
  const Texts texts_;
  for (const auto& tokenizer : tokenizers()) {
    const auto out = texts_.folder / std::string(tokenizer->kind());
    const Prepared done = prepare(texts_.files, *tokenizer, out, {.documents = texts_.options, .command = "x y"});
    const TokenData data = TokenData::open(out);
    EXPECT_EQ(texts(data), texts_.documents);
    EXPECT_EQ(data.bytes(), bytes_of(texts_.documents));
    EXPECT_EQ(data.vocab(), tokenizer->vocab());
    EXPECT_EQ(data.tokenizer_hash(), tokenizer->hash());
    EXPECT_EQ(done.train.tokens, data.size());
    EXPECT_EQ(done.train.documents, 4u);
    EXPECT_EQ(done.train.bytes, data.bytes());
    EXPECT_EQ(done.val.tokens, 0u);
    EXPECT_FALSE(TokenData::has(out, Split::val));
    EXPECT_EQ(load_tokenizer(out)->hash(), tokenizer->hash());
    const std::string file = test::read_file(out / "train.h5");
    EXPECT_NE(file.find("\"command\": \"x y\""), std::string::npos);
    EXPECT_NE(file.find("b.txt"), std::string::npos);
  }
}

TEST(Prepare, ALongDocumentIsEncodedAsAWhole) {
  const TemporaryFolder folder;
  std::string text = test::some_text(1, 3 * kPartBytes);
  for (size_t at = 1000; at < text.size(); at += 997) text.replace(at, 1, at % 2 ? "\n\n" : "   ");
  write_file(folder / "a.txt", text);
  int number = 0;
  for (const auto& tokenizer : tokenizers_that_cut_with_care()) {
    const auto out = folder / std::to_string(++number);
    prepare(Paths{folder / "a.txt"}, *tokenizer, out, {});
    const TokenData data = TokenData::open(out);
    std::vector<int32_t> ids(data.size() - 1);
    data.read(1, ids);
    EXPECT_TRUE(ids == tokenizer->encode(text)) << number;
    EXPECT_EQ(tokenizer->decode(ids), text) << number;
  }
}

TEST(Prepare, TailsAndHeadsMakeTheWhole) {
  const Texts texts_;
  for (const auto& tokenizer : tokenizers()) {
    const auto out = texts_.folder / std::string(tokenizer->kind());
    const Prepared done = prepare(texts_.files, *tokenizer, out, {.documents = texts_.options, .val = 0.05});
    const TokenData train = TokenData::open(out), val = TokenData::open(out, Split::val);
    const auto heads = texts(train), tails = texts(val);
    ASSERT_EQ(heads.size(), 4u);
    ASSERT_EQ(tails.size(), 3u);  // the second is too short to be cut
    EXPECT_EQ(heads[0] + tails[0], texts_.documents[0]);
    EXPECT_EQ(heads[1], texts_.documents[1]);
    EXPECT_EQ(heads[2] + tails[1], texts_.documents[2]);
    EXPECT_EQ(heads[3] + tails[2], texts_.documents[3]);
    EXPECT_EQ(tails[2].substr(0, 1), "\xF0");  // not cut inside a character
    EXPECT_EQ(train.bytes(), bytes_of(heads));
    EXPECT_EQ(val.bytes(), bytes_of(tails));
    EXPECT_EQ(done.val.bytes, val.bytes());
    EXPECT_NEAR(static_cast<double>(val.size()) / static_cast<double>(train.size() + val.size()), 0.05, 0.002);
  }
}

TEST(Prepare, WholeDocumentsAreDrawnBySeed) {
  const TemporaryFolder folder;
  std::string lines;
  std::vector<std::string> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back("document " + std::to_string(i));
    lines += "{\"text\":\"" + all.back() + "\"}\n";
  }
  write_file(folder / "a.jsonl", lines);
  PrepareOptions options{.val = 0.2, .split = ValidationSplit::document, .overwrite = true};
  const auto tokenizer = make_bytes_tokenizer();
  const auto val_of = [&](uint64_t seed) {
    options.seed = seed;
    prepare(Paths{folder / "a.jsonl"}, *tokenizer, folder / "out", options);
    auto train = texts(TokenData::open(folder / "out"));
    const auto val = texts(TokenData::open(folder / "out", Split::val));
    std::vector<std::string> joined = val;
    joined.insert(joined.end(), train.begin(), train.end());
    EXPECT_THAT(joined, testing::UnorderedElementsAreArray(all));
    EXPECT_TRUE(std::ranges::is_sorted(train, {}, [](const std::string& t) { return std::stoi(t.substr(9)); }));
    return val;
  };
  const auto first = val_of(1);
  EXPECT_NEAR(static_cast<double>(first.size()), 200, 40);
  EXPECT_EQ(val_of(1), first);
  EXPECT_NE(val_of(2), first);
}

TEST(Prepare, PromptsAndCompletionsAreEncodedEachByItself) {
  const TemporaryFolder folder;
  std::string several_parts;
  for (size_t i = 0; i < kPartBytes / 8; ++i) several_parts += "a word, and another; ";
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"what is it? ", "the rope"}, {"", "and yarn"}, {"end", ""}, {several_parts, "short"}};
  std::string lines;
  for (const auto& [prompt, completion] : pairs)
    lines += "{\"prompt\": \"" + prompt + "\", \"completion\": \"" + completion + "\"}\n";
  write_file(folder / "a.jsonl", lines);
  write_file(folder / "b.txt", "a text, all of it");
  for (const auto& tokenizer : tokenizers()) {
    const auto out = folder / std::string(tokenizer->kind());
    const Prepared done = prepare(Paths{folder / "a.jsonl", folder / "b.txt"}, *tokenizer, out, {});
    const TokenData data = TokenData::open(out);
    std::vector<int32_t> expected;
    std::vector<uint64_t> prompt_tokens;
    uint64_t bytes = 0, all_prompts = 0;
    for (const auto& [prompt, completion] : pairs) {
      expected.push_back(tokenizer->document_start());
      for (int32_t id : tokenizer->encode(prompt)) expected.push_back(id);
      for (int32_t id : tokenizer->encode_part(completion, prompt.empty())) expected.push_back(id);
      prompt_tokens.push_back(tokenizer->encode(prompt).size());
      bytes += completion.size(), all_prompts += prompt_tokens.back();
    }
    expected.push_back(tokenizer->document_start());
    for (int32_t id : tokenizer->encode("a text, all of it")) expected.push_back(id);
    prompt_tokens.push_back(0);
    bytes += 17;
    std::vector<int32_t> ids(data.size());
    data.read(0, ids);
    EXPECT_TRUE(ids == expected);
    EXPECT_TRUE(std::ranges::equal(data.prompt_tokens(), prompt_tokens));
    EXPECT_EQ(data.targets(), data.size() - 1 - all_prompts);
    EXPECT_EQ(data.bytes(), bytes);
    EXPECT_EQ(done.train.bytes, bytes);
    EXPECT_EQ(done.train.prompt_tokens, all_prompts);
  }
}

TEST(Prepare, PairsAreHeldOutWhole) {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 300; ++i)
    lines += "{\"prompt\":\"a question of some length\",\"completion\":\"an answer, number " + std::to_string(i) +
             "\"}\n{\"text\":\"a text that is, with more than forty characters, long enough to be cut " +
             std::to_string(i) + "\"}\n";
  write_file(folder / "a.jsonl", lines);
  const auto tokenizer = make_bytes_tokenizer();
  prepare(Paths{folder / "a.jsonl"}, *tokenizer, folder / "out", {.val = 0.4});
  const TokenData train = TokenData::open(folder / "out"), val = TokenData::open(folder / "out", Split::val);
  size_t pairs[2] = {}, cut = 0;
  for (const TokenData* data : {&train, &val}) {
    const auto all = texts(*data);
    for (size_t d = 0; d < all.size(); ++d) {
      const bool whole = all[d].starts_with("a question of some lengthan answer, number ");
      EXPECT_EQ(data->prompt_tokens()[d], whole ? 25u : 0u);
      if (whole)
        ++pairs[data == &val];
      else
        cut += all[d].find("a text") == std::string::npos;
    }
  }
  EXPECT_EQ(pairs[0] + pairs[1], 300u);
  EXPECT_NEAR(static_cast<double>(pairs[1]), 120, 40);
  EXPECT_EQ(cut, 300u);  // tails of the texts
  write_file(folder / "one.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n");
  const auto error =
      user_error_of([&] { prepare(Paths{folder / "one.jsonl"}, *tokenizer, folder / "none", {.val = 1e-9}); });
  EXPECT_THAT(error.what, HasSubstr("none of 1 documents was drawn"));
}

TEST(Prepare, FilesCanBeHeldOut) {
  const Texts texts_;
  const auto tokenizer = make_bytes_tokenizer();
  prepare(Paths{texts_.files[0]}, *tokenizer, texts_.folder / "out",
          {.documents = texts_.options, .val_files = {texts_.files[1]}});
  const auto& d = texts_.documents;
  EXPECT_EQ(texts(TokenData::open(texts_.folder / "out")), (std::vector<std::string>{d[0], d[1]}));
  EXPECT_EQ(texts(TokenData::open(texts_.folder / "out", Split::val)), (std::vector<std::string>{d[2], d[3]}));
}

TEST(Prepare, FilesDoNotDependOnThreads) {
  const Texts texts_;
  const auto tokenizer = make_tokenizer(test::small_sentencepiece());
  const int before = threads();
  const char* names[] = {"one", "three"};
  for (int n : {1, 3}) {
    set_threads(n);
    prepare(texts_.files, *tokenizer, texts_.folder / names[n / 3], {.documents = texts_.options, .val = 0.1});
  }
  set_threads(before);
  for (const char* name : {"train.h5", "val.h5", "train.h5.manifest.json", "tokenizer/tokenizer.model"})
    EXPECT_TRUE(test::read_file(texts_.folder / "one" / name) == test::read_file(texts_.folder / "three" / name));
}

TEST(Prepare, AnErrorLeavesNothing) {
  const Texts texts_;
  const auto tokenizer = make_bytes_tokenizer();
  const auto out = texts_.folder / "out";
  write_file(texts_.folder / "bad.txt", test::some_text(1, 300'000) + "\xFF");
  const Paths bad = {texts_.files[0], texts_.folder / "bad.txt"};
  EXPECT_THAT(user_error_of([&] { prepare(bad, *tokenizer, out, {}); }).what, HasSubstr("bad.txt is not UTF-8"));
  EXPECT_FALSE(std::filesystem::exists(out));

  prepare(texts_.files, *tokenizer, out, {.documents = texts_.options, .val = 0.1});
  const std::string train = test::read_file(out / "train.h5"), val = test::read_file(out / "val.h5");
  const auto names = [&] {
    Paths all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
  };
  const Paths good = names();
  EXPECT_EQ(good.size(), 6u);
  EXPECT_THAT(user_error_of([&] { prepare(bad, *tokenizer, out, {.overwrite = true}); }).what, HasSubstr("bad.txt"));
  const auto again = user_error_of([&] { prepare(texts_.files, *tokenizer, out, {}); });
  EXPECT_EQ(again.code, Exit::write);
  EXPECT_THAT(again.advice, HasSubstr("--overwrite"));
  EXPECT_EQ(names(), good);
  EXPECT_TRUE(test::read_file(out / "train.h5") == train && test::read_file(out / "val.h5") == val);

  prepare(texts_.files, *tokenizer, out, {.documents = texts_.options, .overwrite = true});
  EXPECT_FALSE(std::filesystem::exists(out / "val.h5"));  // of the earlier preparation
  EXPECT_EQ(names().size(), 4u);
}

TEST(Prepare, WhatMakesNoSenseIsRefused) {
  const TemporaryFolder folder;
  const auto tokenizer = make_bytes_tokenizer();
  write_file(folder / "a.txt", "short");
  const auto error = [&](Paths inputs, PrepareOptions options) {
    return user_error_of([&] { prepare(inputs, *tokenizer, folder / "out", options); });
  };
  const Paths one = {folder / "a.txt"};
  EXPECT_EQ(error({}, {}).code, Exit::usage);
  EXPECT_THAT(error({folder / "a.txt", folder / "." / "a.txt"}, {}).what, HasSubstr("given twice"));
  EXPECT_THAT(error(one, {.val_files = one}).what, HasSubstr("given twice"));
  EXPECT_THAT(error(one, {.val = 0.5}).advice, HasSubstr("--split document"));
  EXPECT_THAT(error(one, {.val = 1e-9, .split = ValidationSplit::document}).advice, HasSubstr("--val 20%"));
  EXPECT_THAT(error(one, {.val = 0.999999, .split = ValidationSplit::document}).what,
              HasSubstr("nothing is left to train on"));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace rw
