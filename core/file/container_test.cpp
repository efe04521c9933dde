#include "core/file/container.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <map>
#include <random>

#include "core/base/check.hpp"
#include "core/file/hash.hpp"
#include "core/file/manifest.hpp"
#include "tests/support/bad_files.hpp"

namespace rw {
namespace {

using test::TemporaryFolder;
using test::user_error_of;
using testing::HasSubstr;

constexpr FileType kTypes[] = {FileType::f64, FileType::f32, FileType::bf16, FileType::i32, FileType::u8,
                               FileType::u16, FileType::u32, FileType::u64,  FileType::text};

// Tensors of every type, odd sizes, empty ones and a scalar, with the memory that they lie in.
struct Sample {
  std::map<std::string, std::vector<std::byte>> payload;
  std::vector<ContainerItem> items;

  explicit Sample(unsigned seed = 1) {
    std::mt19937 random(seed);
    for (FileType type : kTypes) {
      std::vector<std::vector<uint64_t>> shapes = {{1}, {3, 5}, {1023}, {2, 3, 4, 5, 1, 1, 2, 1}};
      if (type == FileType::text) shapes = {{1}, {70'000}};
      if (type == FileType::u32) shapes = {{0}, {0, 4}, {}, {7}};
      for (size_t i = 0; i < shapes.size(); ++i) {
        const std::string path = std::string("/all/") + name_of(type) + "/" + std::to_string(i);
        auto& bytes = payload[path];
        bytes.resize(*bytes_of(type, shapes[i]));
        for (std::byte& b : bytes) b = static_cast<std::byte>(type == FileType::text ? 'a' + random() % 26 : random());
        items.push_back({path, type, shapes[i], bytes, {}});
      }
    }
  }
};

void expect_equal(const Container& container, const Sample& sample) {
  ASSERT_EQ(container.entries().size(), sample.items.size());
  for (const ContainerItem& item : sample.items) {
    const ContainerEntry* entry = container.find(item.path);
    ASSERT_TRUE(entry) << item.path;
    EXPECT_EQ(entry->type, item.type);
    EXPECT_EQ(entry->shape, item.shape);
    const auto bytes = container.bytes(*entry);
    EXPECT_TRUE(std::ranges::equal(bytes, sample.payload.at(item.path))) << item.path;
    EXPECT_TRUE(bytes.empty() || reinterpret_cast<uintptr_t>(bytes.data()) % 4096 == 0) << item.path;
  }
}

TEST(Container, GivesBackEveryTypeAndShape) {
  const TemporaryFolder folder;
  const Sample sample;
  write_container(folder / "x.h5", sample.items);
  expect_equal(Container::open(folder / "x.h5"), sample);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"x.h5", "x.h5.manifest.json"}));
}

TEST(Container, ReplacesAnOlderFile) {
  const TemporaryFolder folder;
  write_container(folder / "x.h5", Sample(1).items);
  const Sample other(2);
  write_container(folder / "x.h5", other.items);
  expect_equal(Container::open(folder / "x.h5"), other);
}

TEST(Container, EqualItemsMakeEqualBytes) {
  const TemporaryFolder folder;
  write_container(folder / "a.h5", Sample().items);
  write_container(folder / "b.h5", Sample().items);
  EXPECT_EQ(test::read_file(folder / "a.h5"), test::read_file(folder / "b.h5"));
  EXPECT_EQ(test::read_file(folder / "a.h5.manifest.json"), test::read_file(folder / "b.h5.manifest.json"));
}

TEST(Container, BlocksFromACallbackAreTheSameAsMemory) {
  const TemporaryFolder folder;
  std::vector<std::byte> bytes((9 << 20) + 5);  // more than two blocks
  std::mt19937 random(1);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  uint64_t next = 0;
  const auto fill = [&](uint64_t at, std::span<std::byte> block) {
    EXPECT_EQ(at, next);
    next += block.size();
    std::memcpy(block.data(), bytes.data() + at, block.size());
  };
  const ContainerItem from_memory{"/tokens", FileType::u8, {bytes.size()}, bytes, {}};
  const ContainerItem from_callback{"/tokens", FileType::u8, {bytes.size()}, {}, fill};
  write_container(folder / "a.h5", std::span(&from_memory, 1));
  write_container(folder / "b.h5", std::span(&from_callback, 1));
  EXPECT_EQ(next, bytes.size());
  EXPECT_EQ(test::read_file(folder / "a.h5"), test::read_file(folder / "b.h5"));
  const Container container = Container::open(folder / "b.h5");
  EXPECT_TRUE(std::ranges::equal(container.bytes(container.at("/tokens", FileType::u8)), bytes));
}

TEST(Container, AFailingCallbackLeavesNothing) {
  const TemporaryFolder folder;
  const ContainerItem item{"/x", FileType::u8, {10}, {}, [](uint64_t, std::span<std::byte>) {
                             throw UserError(Exit::data, "no such corpus");
                           }};
  EXPECT_EQ(user_error_of([&] { write_container(folder / "x.h5", std::span(&item, 1)); }).what, "no such corpus");
  EXPECT_TRUE(folder.names().empty());
}

TEST(Container, RefusesItemsThatContradictThemselves) {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes(8);
  const ContainerItem wrong[] = {
      {"x", FileType::u8, {8}, bytes, {}},
      {"/x/", FileType::u8, {8}, bytes, {}},
      {"/../x", FileType::u8, {8}, bytes, {}},
      {"/a//b", FileType::u8, {8}, bytes, {}},
      {"/a b", FileType::u8, {8}, bytes, {}},
      {"/x", FileType::u8, {7}, bytes, {}},
      {"/x", FileType::u16, {8}, bytes, {}},
      {"/x", FileType::text, {0}, {}, {}},
      {"/x", FileType::text, {2, 4}, bytes, {}},
      {"/x", FileType::u64, {1ull << 62}, bytes, {}},
      {"/x", FileType::u8, std::vector<uint64_t>(9, 1), std::span(bytes).first(1), {}},
  };
  for (const ContainerItem& item : wrong)
    EXPECT_THROW(write_container(folder / "x.h5", std::span(&item, 1)), Error) << item.path;
  EXPECT_TRUE(folder.names().empty());
}

TEST(Container, ItemsThatLibhdf5RefusesAreAnError) {
  const TemporaryFolder folder;
  const ContainerItem twice[] = {text_item("/x", "a"), text_item("/x", "b")};
  EXPECT_EQ(user_error_of([&] { write_container(folder / "x.h5", twice); }).code, Exit::write);
  const ContainerItem both[] = {text_item("/x", "a"), text_item("/x/y", "b")};  // a tensor and a group
  EXPECT_EQ(user_error_of([&] { write_container(folder / "x.h5", both); }).code, Exit::write);
  EXPECT_TRUE(folder.names().empty());
}

TEST(Container, WhatIsMissingIsSaid) {
  const TemporaryFolder folder;
  auto error = user_error_of([&] { Container::open(folder / "x.h5"); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_THAT(error.what, HasSubstr("cannot read " + (folder / "x.h5").string()));
  const ContainerItem item = text_item("/meta", "{}");
  write_container(folder / "x.h5", std::span(&item, 1));
  const Container container = Container::open(folder / "x.h5");
  EXPECT_EQ(container.text("/meta"), "{}");
  EXPECT_THAT(user_error_of([&] { container.text("/other"); }).what, HasSubstr("has no /other"));
  EXPECT_THAT(user_error_of([&] { container.at("/meta", FileType::u16); }).what, HasSubstr("/meta is text, not u16"));
  std::filesystem::remove(folder / "x.h5.manifest.json");
  error = user_error_of([&] { Container::open(folder / "x.h5"); });
  EXPECT_EQ(error.code, Exit::data);
  EXPECT_THAT(error.what, HasSubstr("has no manifest"));
  EXPECT_EQ(user_error_of([&] { Container::open(folder.path()); }).code, Exit::data);
}

TEST(Container, DamageIsFoundAndNamed) {
  const TemporaryFolder folder;
  const Sample sample;
  const auto file = folder / "x.h5";
  write_container(file, sample.items);
  const std::string good = test::read_file(file);
  const uint64_t at = Container::open(file).find("/all/f32/2")->offset;
  const auto error_with = [&](std::string bytes) {
    test::write_file(file, bytes);
    return user_error_of([&] { Container::open(file); });
  };
  std::string bad = good;
  bad[at + 100] ^= 1;
  EXPECT_THAT(error_with(bad).advice, HasSubstr("/all/f32/2 is not what was written"));
  bad = good;
  bad[8] ^= 1;
  EXPECT_THAT(error_with(bad).advice, HasSubstr("metadata"));
  EXPECT_THAT(error_with(good.substr(0, good.size() - 1)).advice, HasSubstr("bytes and should have"));
  EXPECT_EQ(error_with(good + '\0').code, Exit::corrupt);
  test::write_file(file, good);
  expect_equal(Container::open(file), sample);
}

TEST(Container, NoDiskNoFolderNoPermission) {
  const TemporaryFolder folder;
  const Sample sample;
  const auto error_at = [&](const std::filesystem::path& file) {
    const auto error = user_error_of([&] { write_container(file, sample.items); });
    EXPECT_EQ(error.code, Exit::write) << file;
    return error.what + ": " + error.advice;
  };
  EXPECT_THAT(error_at(folder / "gone" / "x.h5"), HasSubstr("No such file or directory"));
  test::write_file(folder / "file", "x");
  EXPECT_THAT(error_at(folder / "file" / "x.h5"), HasSubstr("Not a directory"));
  EXPECT_EQ(user_error_of([&] { write_container("/proc/x.h5", sample.items); }).code, Exit::write);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"file"}));
}

// A limit on the size of files, as `ulimit -f` sets it: at the layout, in the payload, in the manifest.
TEST(Container, LimitedFileSize) {
  const TemporaryFolder folder;
  const Sample sample;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (rlim_t limit : {0, 1, 2000, 5000, 100'000}) {
    const rlimit low{limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const auto error = user_error_of([&] { write_container(folder / "x.h5", sample.items); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(error.code, Exit::write) << limit;
    EXPECT_TRUE(folder.names().empty()) << limit;
  }
  write_container(folder / "x.h5", sample.items);  // and works again afterwards
  expect_equal(Container::open(folder / "x.h5"), sample);
}

// Manifests that are sealed, and wrong.
TEST(Manifest, RefusesWhatCannotBe) {
  const std::string hash(32, '0');
  Manifest good{8192, hash, {{"/a", FileType::f32, {2, 3}, 4096, 24, hash}}};
  EXPECT_EQ(parse_manifest("m", to_text(good)).entries.at(0).path, "/a");
  test::BadFiles files("manifest");
  const auto refused = [&](const char* why, auto&& change) {
    Manifest bad = good;
    change(bad, bad.entries[0]);
    const auto error = files.refusal(why, [&] { parse_manifest("m", to_text(bad)); });
    EXPECT_EQ(error.code, Exit::corrupt) << why;
    EXPECT_THAT(error.advice, HasSubstr(why));
  };
  using M = Manifest;
  using E = ContainerEntry;
  refused("a path is malformed", [](M&, E& e) { e.path = "/../a"; });
  refused("a path is malformed", [](M&, E& e) { e.path = std::string("/a\0b", 4); });
  refused("a path is malformed", [](M&, E& e) { e.path = "/" + std::string(kMaxPath, 'a'); });
  refused("there twice", [](M& m, E&) { m.entries.push_back(m.entries[0]); });
  refused("not that of its shape", [](M&, E& e) { e.bytes = 20; });
  refused("not that of its shape", [](M&, E& e) { e.shape = {1ull << 33, 1ull << 33}; });
  refused("not that of its shape", [](M&, E& e) { e.shape = {1ull << 62, 4, 6}, e.bytes = 0; });
  refused("malformed shape", [](M&, E& e) { e.shape = std::vector<uint64_t>(9, 1), e.bytes = 4; });
  refused("does not lie in the file", [](M&, E& e) { e.offset = 8192; });
  refused("does not lie in the file", [](M&, E& e) { e.offset = ~uint64_t{4095}; });
  refused("does not lie in the file", [](M&, E& e) { e.offset = 4097; });
  refused("does not lie in the file", [](M&, E& e) { e.shape = {1ull << 60}, e.bytes = 1ull << 62; });
  refused("does not lie in the file", [](M& m, E&) { m.size = 16; });
  refused("a hash is malformed", [](M&, E& e) { e.hash = "00"; });
  refused("a hash is malformed", [](M& m, E&) { m.hash = std::string(32, 'g'); });
}

// Texts whose seal is right, by whoever knows how to make one.
TEST(Manifest, RefusesForgedTexts) {
  const std::string text =
      to_text({8192, std::string(32, '0'), {{"/a", FileType::f32, {2}, 4096, 8, std::string(32, '0')}}});
  const auto reseal = [&](const std::string& from, const std::string& to) {
    std::string body = text.substr(0, text.rfind("\"seal\""));
    body.replace(body.find(from), from.size(), to);
    return body + "\"seal\": \"" + hash_of(std::as_bytes(std::span(body))) + "\"\n}\n";
  };
  test::BadFiles files("forged manifest");
  const auto error = [&](const std::string& from, const std::string& to) {
    const auto e = files.refusal(to.substr(0, 20), [&] { parse_manifest("m", reseal(from, to)); });
    return std::to_string(static_cast<int>(e.code)) + " " + e.what + ": " + e.advice;
  };
  EXPECT_EQ(parse_manifest("m", reseal("8192", "8193")).size, 8193u);
  EXPECT_THAT(error("[2]", "[" + std::string(10'000, '[') + "2" + std::string(10'000, ']') + "]"), HasSubstr("nested"));
  EXPECT_THAT(error("[2]", "[-2]"), HasSubstr("7 m is damaged: a dimension is not a whole number"));
  EXPECT_THAT(error("[2]", "[2.0]"), HasSubstr("not a whole number"));
  EXPECT_THAT(error("[2]", "[18446744073709551616]"), HasSubstr("not a whole number"));
  EXPECT_THAT(error("[2]", "\"2\""), HasSubstr("malformed shape"));
  EXPECT_THAT(error("\"f32\"", "\"f16\""), HasSubstr("unknown type"));
  EXPECT_THAT(error("\"f32\"", "32"), HasSubstr("7 m is damaged"));
  EXPECT_THAT(error("\"path\"", "\"Path\""), HasSubstr("7 m is damaged"));
  EXPECT_THAT(error("\"/a\"", "\"/\xff\""), HasSubstr("7 m is damaged"));
  EXPECT_THAT(error("\"/a\"", "\"/a\\u0000\""), HasSubstr("a path is malformed"));
  EXPECT_THAT(error("ropewalk container", "something"), HasSubstr("not of the format"));
  EXPECT_THAT(error("\"version\": 1", "\"version\": 2"), HasSubstr("3 m: format version 2 is not known"));
  EXPECT_THAT(error("\"entries\": [", "\"entries\": 1, \"x\": ["), HasSubstr("no list of entries"));
  EXPECT_THAT(error("{", "["), HasSubstr("7 m is damaged"));
  std::string objects, keys;
  for (int i = 0; i < 100'000; ++i) objects += "{},", keys += '"' + std::to_string(i) + "\": 0,\n";
  EXPECT_THAT(error("\"entries\": [", "\"entries\": [" + objects), HasSubstr("or too long a list"));
  EXPECT_THAT(error("\"version\": 1", keys + "\"version\": 2"), HasSubstr("3 m: format version 2 is not known"));
  EXPECT_THAT(error("\"version\"", "\"size\": 1, \"version\""), HasSubstr("stands twice"));
}

TEST(Manifest, EveryChangedOrMissingByteShows) {
  const std::string text =
      to_text({8192, std::string(32, '0'), {{"/a", FileType::f32, {2}, 4096, 8, std::string(32, '0')}}});
  for (size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] ^= 4;
    EXPECT_EQ(user_error_of([&] { parse_manifest("m", bad); }).code, Exit::corrupt) << i;
    EXPECT_EQ(user_error_of([&] { parse_manifest("m", text.substr(0, i)); }).code, Exit::corrupt) << i;
  }
  EXPECT_EQ(user_error_of([&] { parse_manifest("m", text + " "); }).code, Exit::corrupt);
}

}  // namespace
}  // namespace rw
