#include "train/exchange/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "tests/support/bad_files.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

std::string with_length(uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + rest;
}
std::string file_of(const std::string& header, size_t data) {
  return with_length(header.size(), header + std::string(data, '\0'));
}

OutgoingTensor tensor(const std::string& name, ValueType type, std::vector<uint64_t> shape, std::vector<float> values) {
  return {name, type, std::move(shape), [type, values](std::span<std::byte> to) { encode(type, values, to); }};
}

TEST(Safetensors, WritesTheBytesOfTheFormat) {
  const TemporaryFolder folder;
  write_safetensors(
      folder.path(),
      {tensor("b", ValueType::bf16, {3}, {1, 2, -1.5}), tensor("a", ValueType::f32, {2, 2}, {1, 2, 3, 4})}, 1 << 20);
  std::string header = R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
                       R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})";
  header.resize(144, ' ');
  std::string data;
  for (unsigned byte : {0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40,
                        0x40, 0x00, 0x00, 0x80, 0x40, 0x80, 0x3f, 0x00, 0x40, 0xc0, 0xbf})
    data += static_cast<char>(byte);
  EXPECT_EQ(read_file(folder / "model.safetensors"), with_length(144, header + data));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"model.safetensors"});
}

TEST(Safetensors, ReadsWhatItWrites) {
  const TemporaryFolder folder;
  write_safetensors(folder.path(),
                    {tensor("x", ValueType::f16, {2, 3}, {1, 2, 3, 4, 5, 6}),
                     tensor("none", ValueType::f32, {0, 4}, {}), tensor("one", ValueType::f64, {}, {7})},
                    1 << 20);
  const SafetensorsFolder read(folder.path());
  ASSERT_EQ(read.tensors().size(), 3u);
  for (const ForeignTensor& t : read.tensors()) {
    const size_t count = t.name == "x" ? 6 : t.name == "one" ? 1 : 0;
    std::vector<float> values(count);
    decode(t.type, t.bytes, values);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(values[i], t.name == "one" ? 7.0f : static_cast<float>(i + 1));
    EXPECT_EQ(t.shape, t.name == "x"     ? (std::vector<uint64_t>{2, 3})
                       : t.name == "one" ? std::vector<uint64_t>{}
                                         : (std::vector<uint64_t>{0, 4}));
  }
}

TEST(Safetensors, LargeModelsAreSharded) {
  const TemporaryFolder folder;
  std::vector<OutgoingTensor> tensors;
  for (int i = 0; i < 5; ++i)
    tensors.push_back(tensor(std::to_string(i), ValueType::f32, {4}, {1.0f * static_cast<float>(i), 2, 3, 4}));
  write_safetensors(folder.path(), tensors, 40);
  EXPECT_EQ(folder.names(),
            (std::vector<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                      "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  EXPECT_THAT(read_file(folder / "model.safetensors.index.json"), HasSubstr("\"total_size\": 80"));
  const SafetensorsFolder read(folder.path());
  ASSERT_EQ(read.tensors().size(), 5u);
  for (const ForeignTensor& t : read.tensors()) {
    float first = -1;
    std::memcpy(&first, t.bytes.data(), sizeof first);
    EXPECT_EQ(std::to_string(static_cast<int>(first)), t.name);
  }

  std::filesystem::rename(folder / "model-00002-of-00003.safetensors", folder / "away");
  EXPECT_THAT(user_error_of([&] { SafetensorsFolder again(folder.path()); }).what, HasSubstr("model-00002-of-00003"));
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* message;  // in what or advice
};

std::vector<BadFile> bad_files() {
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    std::string text = R"({"a":{"dtype":")";
    text.append(dtype).append(R"(","shape":)").append(shape);
    return text.append(R"(,"data_offsets":)").append(offsets).append("}}");
  };
  const auto two = [](const char* first, const char* second, int size) {
    const std::string shape = R"({"dtype":"F32","shape":[)" + std::to_string(size) + R"(],"data_offsets":)";
    std::string text = R"({"a":)";
    return text.append(shape).append(first).append(R"(},"b":)").append(shape).append(second).append("}}");
  };
  std::string deep = "{\"a\":";
  for (int i = 0; i < 10'000; ++i) deep += '[';
  std::ostringstream many;
  for (int i = 0; i < 100'000; ++i) many << (i ? ',' : '{') << "\"t" << i << "\":0";
  return {
      {"empty", "", "it has only 0 bytes"},
      {"seven bytes", "1234567", "it has only 7 bytes"},
      {"length 0", with_length(0, ""), "does not begin with {"},
      {"length 2^63", with_length(uint64_t{1} << 63, "{}"), "100,000,000 are the most"},
      {"length 2^64 - 1", with_length(~uint64_t{0}, "{}"), "100,000,000 are the most"},
      {"length above the most", with_length(kMostSafetensorsHeader + 1, "{}"), "100,000,000 are the most"},
      {"length past the end", with_length(3, "{}"), "the file ends before"},
      {"not JSON", file_of("{\"a\" 1}", 0), "something is wrong at line 1"},
      {"a list", file_of("[1]", 0), "does not begin with {"},
      {"bad UTF-8", file_of("{\"\xFF\":0}", 0), "not valid JSON"},
      {"deep", file_of(deep, 0), "levels deep"},
      {"many wrong ones", file_of(many.str() + "}", 0), "its description is not an object"},
      {"name twice", file_of(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{}})", 0), "stands twice"},
      {"metadata", file_of(R"({"__metadata__":{"a":1}})", 0), "__metadata__"},
      {"no shape", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})", 0), "is missing"},
      {"unknown key", file_of(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}})", 4), "unknown key 'x'"},
      {"unknown dtype", file_of(entry("F8_E4M3", "[1]", "[0,1]"), 1), "its dtype is \"F8_E4M3\""},
      {"rank 33",
       file_of(entry("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4),
       "at most 8 sizes"},
      {"negative size", file_of(entry("F32", "[-1]", "[0,4]"), 4), "its shape holds -1"},
      {"fraction", file_of(entry("F32", "[1.5]", "[0,4]"), 4), "its shape holds 1.5"},
      {"product wraps", file_of(entry("F32", "[4294967296,4294967296,4294967296]", "[0,4]"), 4), "too many elements"},
      {"product wraps to 0", file_of(entry("F32", "[9223372036854775808,2]", "[0,0]"), 0), "too many elements"},
      {"offsets reversed", file_of(entry("F32", "[1]", "[4,0]"), 4), "data_offsets are [4,0]"},
      {"one offset", file_of(entry("F32", "[1]", "[4]"), 4), "data_offsets are [4]"},
      {"offset negative", file_of(entry("F32", "[1]", "[-4,0]"), 4), "data_offsets are"},
      {"past the end", file_of(entry("F32", "[2]", "[0,8]"), 4), "leave the file"},
      {"offset 2^64 - 1", file_of(entry("F32", "[1]", "[0,18446744073709551615]"), 4), "leave the file"},
      {"other size", file_of(entry("F32", "[2]", "[0,4]"), 4), "takes 8 bytes"},
      {"left over", file_of(entry("F32", "[1]", "[0,4]"), 5), "1 bytes follow the last tensor"},
      {"gap before", file_of(entry("F32", "[1]", "[1,5]"), 5), "a gap before it"},
      {"appended pickle", file_of(entry("F32", "[1]", "[0,4]"), 4) + "\x80\x04K.", "4 bytes follow the last tensor"},
      {"overlap", file_of(two("[0,8]", "[4,12]", 2), 12), "overlaps another tensor"},
      {"same place", file_of(two("[0,4]", "[0,4]", 1), 4), "overlaps another tensor"},
      {"hole", file_of(two("[0,4]", "[8,12]", 1), 12), "a gap before it"},
      {"NUL in a name", file_of(R"({"a\u0000b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4), "NUL"},
      {"GGUF", "GGUF\x03" + std::string(100, '\0'), "100,000,000 are the most"},
      {"zip", std::string("PK\x03\x04") + std::string(100, 'x'), "100,000,000 are the most"},
  };
}

TEST(Safetensors, BadFilesAreNamed) {
  const TemporaryFolder folder;
  BadFiles files("safetensors");
  for (const BadFile& bad : bad_files()) {
    const std::filesystem::path file = folder / "bad.safetensors";
    write_file(file, bad.bytes);
    const CaughtUserError error = files.refusal(bad.name, [&] { SafetensorsFile read(file); });
    EXPECT_EQ(error.code, Exit::data) << bad.name;
    EXPECT_THAT(error.what, HasSubstr(file.string())) << bad.name;
    EXPECT_THAT(error.what + "\n" + error.advice, HasSubstr(bad.message)) << bad.name;
  }
}

TEST(Safetensors, AHundredThousandTensorsAreReadAtOnce) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "many.safetensors";
  std::ostringstream header;
  for (int i = 0; i < 100'000; ++i)
    header << (i ? ',' : '{') << "\"t" << i << R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" << 4 * i << ','
           << 4 * i + 4 << "]}";
  write_file(file, file_of(header.str() + "}", 400'000));
  EXPECT_EQ(SafetensorsFile(file).tensors().size(), 100'000u);
  write_file(file, file_of(header.str() + R"(,"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 400'000));
  EXPECT_THAT(user_error_of([&] { SafetensorsFile read(file); }).advice, HasSubstr("overlaps another tensor"));
}

TEST(Safetensors, AnIndexStaysInItsFolder) {
  BadFiles files("safetensors index");
  for (const char* name : {"../model.safetensors", "", "/etc/passwd", "a/b", ".."}) {
    const TemporaryFolder folder;
    write_file(folder / "model.safetensors.index.json", std::string(R"({"weight_map":{"a":")") + name + R"("}})");
    EXPECT_THAT(files.refusal(name, [&] { SafetensorsFolder read(folder.path()); }).advice,
                HasSubstr("is not the name of a file in this folder"))
        << name;
  }
}

TEST(Safetensors, APickleIsNotOpened) {
  const TemporaryFolder folder;
  write_file(folder / "pytorch_model.bin", "\x80\x04");
  EXPECT_THAT(user_error_of([&] { SafetensorsFolder read(folder.path()); }).advice, HasSubstr("is a pickle"));
}

}  // namespace
}  // namespace rw::test
