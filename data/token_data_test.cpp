#include "data/token_data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "core/file/container.hpp"
#include "data/prepare.hpp"
#include "data/token_meta.hpp"
#include "tests/support/bad_files.hpp"

namespace rw {
namespace {

using test::read_file;
using test::TemporaryFolder;
using test::user_error_of;
using test::write_file;
using testing::HasSubstr;

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string llmc(int32_t magic, int32_t version, int32_t count, const std::string& ids) {
  std::vector<int32_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = count;
  return raw(header) + ids;
}
std::string gpt2(const std::vector<uint16_t>& ids) {
  return llmc(20240520, 1, static_cast<int32_t>(ids.size()), raw(ids));
}

std::vector<int32_t> all_of(const TokenData& data) {
  std::vector<int32_t> ids(data.size());
  data.read(0, ids);
  return ids;
}
std::vector<uint64_t> starts_of(const TokenData& data) {
  const auto starts = data.document_starts();
  return {starts.begin(), starts.end()};
}

void prepare_small(const TemporaryFolder& folder) {
  write_file(folder / "a.txt", "first\n%\nsecond\n%\nthird document\n");
  const std::vector<std::filesystem::path> files = {folder / "a.txt"};
  prepare(files, *make_bytes_tokenizer(), folder / "out", {.documents = {.separated = true, .separator = "%"}});
}

TEST(TokenData, ReadsWhatWasPrepared) {
  const TemporaryFolder folder;
  prepare_small(folder);
  const TokenData data = TokenData::open(folder / "out" / "train.h5");
  EXPECT_EQ(starts_of(data), (std::vector<uint64_t>{0, 7, 15}));
  EXPECT_EQ(data.size(), 31u);
  EXPECT_EQ(data.token(0), 256);
  EXPECT_EQ(data.token(8), 's');
  EXPECT_EQ(data.document_start_of(0), 0u);
  EXPECT_EQ(data.document_start_of(14), 7u);
  EXPECT_EQ(data.document_start_of(15), 15u);
  EXPECT_EQ(data.document_start_of(30), 15u);
  EXPECT_EQ(data.tokenizer()->name, "tokenizer.bytes");
  const TokenMeta meta = parse_token_meta("x", data.meta());
  EXPECT_EQ(meta.document_start, 256);
  ASSERT_EQ(meta.sources.size(), 1u);
  EXPECT_EQ(meta.sources[0].name, (folder / "a.txt").string());
  EXPECT_EQ(meta.sources[0].documents, 3u);
  EXPECT_EQ(meta.sources[0].bytes, data.bytes());
  std::vector<int32_t> part(3);
  data.read(28, part);
  EXPECT_EQ(part, (std::vector<int32_t>{'n', 't', '\n'}));
  EXPECT_THROW(data.read(29, part), std::runtime_error);
  EXPECT_THROW(data.token(31), std::runtime_error);
}

TEST(TokenData, DamageIsFound) {
  const TemporaryFolder folder;
  prepare_small(folder);
  const auto file = folder / "out" / "train.h5", manifest = folder / "out" / "train.h5.manifest.json";
  const std::string good = read_file(file), good_manifest = read_file(manifest);
  const auto open = [&] { return user_error_of([&] { TokenData::open(folder / "out"); }); };
  EXPECT_EQ(open().code, Exit::ok);
  std::mt19937 random(1);
  for (int round = 0; round < 40; ++round) {
    std::string bad = good;
    char& byte = bad[random() % bad.size()];
    byte = static_cast<char>(byte ^ (1 << random() % 8));
    write_file(file, bad);
    const auto error = open();
    EXPECT_EQ(error.code, Exit::corrupt);
    EXPECT_THAT(error.what, HasSubstr("train.h5"));
  }
  for (size_t size : {size_t{0}, size_t{100}, good.size() / 2, good.size() - 1}) {
    write_file(file, good.substr(0, size));
    EXPECT_EQ(open().code, Exit::corrupt) << size;
  }
  write_file(file, good);
  write_file(manifest, good_manifest.substr(0, good_manifest.size() / 2));
  EXPECT_EQ(open().code, Exit::corrupt);
  std::filesystem::remove(manifest);
  EXPECT_THAT(open().what, HasSubstr("no manifest"));
}

// A sealed file whose content is wrong all the same.
struct Sealed {
  TokenMeta meta{.vocab = 257,
                 .document_start = 256,
                 .tokenizer_kind = "bytes",
                 .tokenizer_hash = {},
                 .tokenizer_file = "tokenizer.bytes",
                 .bytes = 3,
                 .documents = 2,
                 .tokens = 5,
                 .sources = {},
                 .command = {}};
  std::vector<uint16_t> ids = {256, 1, 2, 256, 3};
  std::vector<uint64_t> starts = {0, 3}, prompts = {};
  TokenizerFile tokenizer = make_bytes_tokenizer()->file();
  std::string text;

  test::CaughtUserError error() {
    const TemporaryFolder folder;
    if (meta.tokenizer_hash.empty()) meta.tokenizer_hash = hash_of(tokenizer);
    if (text.empty()) text = to_text(meta);
    std::vector<ContainerItem> items = {
        {"/tokens", FileType::u16, {ids.size()}, std::as_bytes(std::span(ids)), {}},
        {"/doc_starts", FileType::u64, {starts.size()}, std::as_bytes(std::span(starts)), {}},
        text_item("/meta", text),
        {"/tokenizer/" + tokenizer.name,
         FileType::u8,
         {tokenizer.bytes.size()},
         std::as_bytes(std::span(tokenizer.bytes)),
         {}}};
    if (!prompts.empty())
      items.push_back({"/prompt_tokens", FileType::u64, {prompts.size()}, std::as_bytes(std::span(prompts)), {}});
    write_container(folder / "x.h5", items);
    return user_error_of([&] { TokenData::open(folder / "x.h5"); });
  }
};

TEST(TokenData, SealedNonsenseIsFound) {
  EXPECT_EQ(Sealed().error().code, Exit::ok);
  Sealed s;
  s.ids[2] = 300;
  EXPECT_THAT(s.error().what, HasSubstr("token 2 is 300, the vocabulary has 257"));
  s = Sealed();
  s.meta.tokens = 6;
  EXPECT_EQ(s.error().code, Exit::corrupt);
  for (const std::vector<uint64_t>& starts : {std::vector<uint64_t>{0, 2}, {3, 0}, {0, 5}, {0, 0}, {0}, {}}) {
    s = Sealed();
    s.starts = starts;
    EXPECT_EQ(s.error().code, Exit::corrupt);
  }
  s = Sealed();
  s.meta.tokenizer_hash = std::string(32, '0');
  EXPECT_THAT(s.error().advice, HasSubstr("another hash"));
  s = Sealed();
  s.text = "{\"format\": \"other\"}";
  EXPECT_THAT(s.error().what, HasSubstr("is not a token file"));
  s = Sealed();
  s.text = to_text(s.meta);
  s.text.replace(s.text.find("\"version\": 1"), 12, "\"version\": 3");
  EXPECT_THAT(s.error().what, HasSubstr("newer version"));
  s = Sealed();
  s.text = "{\"format\": \"ropewalk tokens\", \"version\": 1, \"vocab\": \"x\"}";
  EXPECT_EQ(s.error().code, Exit::data);
}

TEST(TokenData, SealedNonsenseAboutPromptsIsFound) {
  const auto error = [](std::vector<uint64_t> prompts, uint64_t in_meta) {
    Sealed s;
    s.prompts = std::move(prompts), s.meta.prompt_tokens = in_meta;
    return s.error();
  };
  EXPECT_EQ(error({2, 1}, 3).code, Exit::ok);
  EXPECT_THAT(error({1, 0}, 2).advice, HasSubstr("/prompt_tokens are 1 together, /meta says 2"));
  EXPECT_THAT(error({3, 0}, 3).advice, HasSubstr("/prompt_tokens[0] is 3, more than the document has"));
  EXPECT_THAT(error({0, ~uint64_t{0}}, 3).advice, HasSubstr("/prompt_tokens[1] is "));
  EXPECT_THAT(error({1}, 1).advice, HasSubstr("not as long as /doc_starts"));
  for (const auto& wrong : {error({}, 1), error({1, 1}, 0)}) {
    EXPECT_EQ(wrong.code, Exit::corrupt);
    EXPECT_THAT(wrong.advice, HasSubstr("disagree on prompts"));
  }
}

TEST(TokenData, AVocabularyMayHaveRowsToSpare) {
  const TemporaryFolder folder;
  prepare_small(folder);
  EXPECT_EQ(TokenData::open(folder / "out", Split::train, 257).vocab(), 257);
  EXPECT_EQ(TokenData::open(folder / "out", Split::train, 320).vocab(), 257);
  const auto error = user_error_of([&] { TokenData::open(folder / "out", Split::train, 256); });
  EXPECT_THAT(error.what, HasSubstr("vocabulary of 257"));
  EXPECT_THAT(error.advice, HasSubstr("256 are too few"));
}

TEST(TokenData, ReadsShardsOfLlmc) {
  const TemporaryFolder folder;
  write_file(folder / "x_train_000002.bin", gpt2({7, 50256, 9}));
  write_file(folder / "x_train_000001.bin", gpt2({50256, 1, 2, 50256, 3}));
  const TokenData data = TokenData::open(folder / "x_train_*.bin");
  EXPECT_EQ(all_of(data), (std::vector<int32_t>{50256, 1, 2, 50256, 3, 7, 50256, 9}));
  EXPECT_EQ(starts_of(data), (std::vector<uint64_t>{0, 3, 6}));
  EXPECT_EQ(data.vocab(), 50257);
  EXPECT_EQ(data.bytes(), 0u);
  EXPECT_FALSE(data.tokenizer());
  for (uint64_t at = 0; at < 8; ++at) EXPECT_EQ(data.token(at), all_of(data)[at]);
  std::vector<int32_t> across(4);
  data.read(3, across);
  EXPECT_EQ(across, (std::vector<int32_t>{50256, 3, 7, 50256}));

  const std::vector<uint32_t> ids = {128000, 100'000, 128000, 128255};
  write_file(folder / "llama.bin", llmc(20240801, 7, 4, raw(ids)));
  const TokenData llama = TokenData::open(folder / "llama.bin");
  EXPECT_EQ(all_of(llama), (std::vector<int32_t>{128000, 100'000, 128000, 128255}));
  EXPECT_EQ(starts_of(llama), (std::vector<uint64_t>{0, 2}));
  EXPECT_EQ(llama.vocab(), 128256);
  write_file(folder / "x_train_000003.bin", llmc(20240801, 7, 4, raw(ids)));
  EXPECT_THAT(user_error_of([&] { TokenData::open(folder / "x_train_*.bin"); }).what, HasSubstr("another kind"));
}

TEST(TokenData, WrongShardsAreRefused) {
  const TemporaryFolder folder;
  test::BadFiles files("token shard");
  const auto open = [&](const std::string& content, int64_t vocab = 0) {
    write_file(folder / "x.bin", content);
    return files.refusal(std::to_string(content.size()) + " bytes",
                         [&] { TokenData::open(folder / "x.bin", Split::train, vocab); });
  };
  const std::string good = gpt2({50256, 1, 2});
  write_file(folder / "x.bin", good);
  EXPECT_EQ(all_of(TokenData::open(folder / "x.bin")), (std::vector<int32_t>{50256, 1, 2}));
  EXPECT_EQ(open(good.substr(0, good.size() - 1)).code, Exit::corrupt);
  EXPECT_THAT(open(good.substr(0, 1026)).what, HasSubstr("cut off"));
  EXPECT_EQ(open(good + "x").code, Exit::corrupt);
  EXPECT_EQ(open("").code, Exit::data);
  EXPECT_THAT(open(llmc(20240520, 2, 1, "ab")).what, HasSubstr("version 2"));
  EXPECT_THAT(open(llmc(20240326, 3, 1, "ab")).what, HasSubstr("magic 20240326"));
  EXPECT_THAT(open(gpt2({50256, 1, 2, 50257, 60000})).what, HasSubstr("token 3 is 50257, the vocabulary has 50257"));
  EXPECT_THAT(open(good, 100).what, HasSubstr("vocabulary of 50257"));
  EXPECT_THAT(user_error_of([&] { TokenData::open(folder / "none*.bin"); }).what, HasSubstr("no file matches"));
  EXPECT_THAT(user_error_of([&] { TokenData::open(folder / "none"); }).what, HasSubstr("no data"));
  std::filesystem::create_directory(folder / "empty");
  EXPECT_THAT(user_error_of([&] { TokenData::open(folder / "empty", Split::val); }).what, HasSubstr("no val data"));
}

TEST(TokenData, ReadsFilesOfNanoGpt) {
  const TemporaryFolder folder;
  const std::vector<uint16_t> train = {0, 64, 3}, val = {1, 65};
  write_file(folder / "train.bin", raw(train));
  write_file(folder / "val.bin", raw(val));
  const auto open = [&](Split split = Split::train, int64_t vocab = 0) {
    return user_error_of([&] { TokenData::open(folder.path(), split, vocab); });
  };
  EXPECT_THAT(open().advice, HasSubstr("--vocab"));
  EXPECT_EQ(TokenData::open(folder.path(), Split::train, 65).vocab(), 65);
  EXPECT_THAT(open(Split::val, 65).what, HasSubstr("val.bin: token 1 is 65, the vocabulary has 65"));
  write_file(folder / "meta.json", "{\"vocab_size\": 66}");
  const TokenData data = TokenData::open(folder.path(), Split::val);
  EXPECT_EQ(all_of(data), (std::vector<int32_t>{1, 65}));
  EXPECT_EQ(data.vocab(), 66);
  EXPECT_EQ(starts_of(data), std::vector<uint64_t>{0});
  EXPECT_TRUE(TokenData::has(folder.path(), Split::val));
  write_file(folder / "meta.json", "{\"vocab_size\": \"66\"}");
  EXPECT_THAT(open().what, HasSubstr("meta.json"));
  std::filesystem::remove(folder / "meta.json");
  write_file(folder / "train.bin", raw(train) + "x");
  EXPECT_THAT(open(Split::train, 66).what, HasSubstr("cut off"));
}

TEST(TokenData, PicklesAreNeverOpened) {
  const TemporaryFolder folder;
  write_file(folder / "meta.pkl", "\x80\x04}\x94.");
  write_file(folder / "data.bin", std::string("\x80\x04\x95\x01\x00\x00\x00}\x94.", 10));
  for (const char* name : {"meta.pkl", "data.bin"}) {
    const auto error = user_error_of([&] { TokenData::open(folder / name, Split::train, 10); });
    EXPECT_EQ(error.code, Exit::data);
    EXPECT_THAT(error.what, HasSubstr("pickle"));
  }
}

}  // namespace
}  // namespace rw
