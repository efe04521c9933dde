#include "train/exchange/gguf.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/bad_files.hpp"

namespace rw {
namespace {

using test::CaughtUserError;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// 2 keys and a 2 x 4 f32 tensor 0 ... 7, written by the gguf package.
const std::string kGolden = from_hex(
    "474755460300000001000000000000000200000000000000140000000000000067656e6572616c2e61726368697465637475726508000000"
    "05000000000000006c6c616d6111000000000000006c6c616d612e626c6f636b5f636f756e7404000000010000001100000000000000746f"
    "6b656e5f656d62642e776569676874020000000400000000000000020000000000000000000000000000000000000000000000000000803f"
    "0000004000004040000080400000a0400000c0400000e040");

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string text(std::string_view value) { return raw<uint64_t>(value.size()) + std::string(value); }

// Keys and tensors as bytes, put together with counts that may lie.
struct Bytes {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> keys, tensors;
  std::optional<uint64_t> key_count, tensor_count;
  std::string data;
  uint64_t alignment = 32;

  Bytes& key(std::string_view name, GgufType type, const std::string& value) {
    keys.push_back(text(name) + raw(type) + value);
    return *this;
  }
  Bytes& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    std::string entry = text(name) + raw(static_cast<uint32_t>(dims.size()));
    for (uint64_t dim : dims) entry += raw(dim);
    tensors.push_back(entry + raw(type) + raw(offset));
    return *this;
  }
  Bytes& with_data(size_t bytes) {
    data.assign(bytes, 'x');
    return *this;
  }
  operator std::string() const {
    std::string out =
        magic + raw(version) + raw(tensor_count.value_or(tensors.size())) + raw(key_count.value_or(keys.size()));
    for (const std::string& entry : keys) out += entry;
    for (const std::string& entry : tensors) out += entry;
    if (!data.empty()) out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data;
  }
};

struct Gguf : testing::Test {
  TemporaryFolder folder{test::memory_folder()};
  std::filesystem::path file = folder / "model.gguf";

  GgufFile read(const std::string& bytes) const {
    test::write_file(file, bytes);
    return GgufFile(file);
  }
  CaughtUserError error(const std::string& bytes) const {
    return test::user_error_of([&] { read(bytes); });
  }
};

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

OutgoingTensor ramp(const std::string& name, ValueType type, const std::vector<uint64_t>& shape) {
  return {name, type, shape, [type, shape](std::span<std::byte> to) {
            uint64_t count = 1;
            for (uint64_t dim : shape) count *= dim;
            std::vector<float> values(count);
            for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
            encode(type, values, to);
          }};
}

TEST_F(Gguf, ReadsTheGoldenFile) {
  const GgufFile in = read(kGolden);
  EXPECT_EQ(in.keys().size(), 2u);
  EXPECT_EQ(in.text("general.architecture"), "llama");
  EXPECT_EQ(in.integer("llama.block_count"), 1);
  ASSERT_EQ(in.tensors().size(), 1u);
  const ForeignTensor& tensor = in.tensors()[0];
  EXPECT_EQ(tensor.name, "token_embd.weight");
  EXPECT_EQ(tensor.type, ValueType::f32);
  EXPECT_THAT(tensor.shape, ElementsAre(2, 4));
  EXPECT_THAT(floats(tensor.bytes), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(Gguf, WritesTheGoldenFile) {
  const OutgoingTensor tensors[] = {ramp("token_embd.weight", ValueType::f32, {2, 4})};
  write_gguf(file, {{"general.architecture", std::string("llama")}, {"llama.block_count", uint32_t{1}}}, tensors);
  EXPECT_EQ(test::read_file(file), kGolden);
  EXPECT_THAT(folder.names(), ElementsAre("model.gguf"));
}

TEST_F(Gguf, ReadsWhatItWrites) {
  const OutgoingTensor tensors[] = {ramp("a", ValueType::f32, {3}), ramp("b", ValueType::f16, {3, 5}),
                                    ramp("c", ValueType::bf16, {2, 3, 5}), ramp("d", ValueType::q8_0, {2, 64}),
                                    ramp("e", ValueType::f32, {0, 4})};
  const GgufFields fields = {{"u32", uint32_t{4294967295}},
                             {"f32", 0.1f},
                             {"yes", true},
                             {"no", false},
                             {"text", std::string("caf\xC3\xA9\n")},
                             {"empty", std::string()},
                             {"floats", std::vector<float>{1, -0.5f}},
                             {"ints", std::vector<int32_t>{-1, 6}},
                             {"texts", std::vector<std::string>{"a", "", "Ġb"}},
                             {"none", std::vector<std::string>{}}};
  write_gguf(file, fields, tensors);
  const GgufFile in(file);
  EXPECT_EQ(in.keys().size(), fields.size());
  EXPECT_EQ(in.keys().at("u32").type, GgufType::u32);
  EXPECT_EQ(in.keys().at("f32").type, GgufType::f32);
  EXPECT_EQ(in.integer("u32"), 4294967295);
  EXPECT_EQ(in.number("u32"), 4294967295.0);
  EXPECT_EQ(in.number("f32"), 0.1);  // not 0.10000000149
  EXPECT_EQ(in.flag("yes"), true);
  EXPECT_EQ(in.flag("no"), false);
  EXPECT_EQ(in.text("text"), "caf\xC3\xA9\n");
  EXPECT_EQ(in.text("empty"), "");
  EXPECT_THAT(in.numbers("floats"), ElementsAre(1, -0.5));
  EXPECT_THAT(in.integers("ints"), ElementsAre(-1, 6));
  EXPECT_THAT(in.texts("texts"), ElementsAre("a", "", "Ġb"));
  EXPECT_THAT(in.texts("none"), ElementsAre());
  EXPECT_EQ(in.integer("absent"), std::nullopt);
  EXPECT_THAT(in.texts("absent"), ElementsAre());
  ASSERT_EQ(in.tensors().size(), std::size(tensors));
  for (size_t i = 0; i < std::size(tensors); ++i) {
    const ForeignTensor& tensor = in.tensors()[i];
    EXPECT_EQ(tensor.name, tensors[i].name);
    EXPECT_EQ(tensor.type, tensors[i].type);
    EXPECT_EQ(tensor.shape, tensors[i].shape);
    std::vector<std::byte> expected(tensors[i].bytes());
    tensors[i].fill(expected);
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, expected)) << tensor.name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % 32, 0u);
  }
}

TEST_F(Gguf, ReplacesAFileAndLeavesItAloneIfItCannot) {
  test::write_file(file, "old");
  OutgoingTensor broken = ramp("a", ValueType::f32, {3});
  broken.fill = [](std::span<std::byte>) { throw UserError(Exit::write, "no"); };
  const OutgoingTensor bad[] = {broken}, good[] = {ramp("a", ValueType::f32, {3})};
  EXPECT_EQ(test::user_error_of([&] { write_gguf(file, {}, bad); }).what, "no");
  EXPECT_EQ(test::read_file(file), "old");
  EXPECT_THAT(folder.names(), ElementsAre("model.gguf"));
  write_gguf(file, {}, good);
  EXPECT_EQ(GgufFile(file).tensors().size(), 1u);
}

TEST_F(Gguf, ReadsIntegersAndNumbersOfEveryType) {
  Bytes bytes;
  bytes.key("u8", GgufType::u8, raw<uint8_t>(255)).key("i8", GgufType::i8, raw<int8_t>(-128));
  bytes.key("u16", GgufType::u16, raw<uint16_t>(65535)).key("i16", GgufType::i16, raw<int16_t>(-32768));
  bytes.key("i32", GgufType::i32, raw<int32_t>(-7)).key("u64", GgufType::u64, raw<uint64_t>(1));
  bytes.key("i64", GgufType::i64, raw(std::numeric_limits<int64_t>::min())).key("f64", GgufType::f64, raw(0.1));
  bytes.key("large", GgufType::u64, raw(std::numeric_limits<uint64_t>::max()));
  bytes.key("text", GgufType::string, text("x"));
  bytes.key("array", GgufType::array, raw(GgufType::u16) + raw<uint64_t>(2) + raw<uint16_t>(1) + raw<uint16_t>(2));
  const GgufFile in = read(bytes);
  EXPECT_EQ(in.integer("u8"), 255);
  EXPECT_EQ(in.integer("i8"), -128);
  EXPECT_EQ(in.integer("u16"), 65535);
  EXPECT_EQ(in.integer("i16"), -32768);
  EXPECT_EQ(in.integer("i32"), -7);
  EXPECT_EQ(in.integer("u64"), 1);
  EXPECT_EQ(in.integer("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(in.number("f64"), 0.1);
  EXPECT_EQ(in.number("u8"), 255);
  EXPECT_THAT(in.integers("array"), ElementsAre(1, 2));

  const auto what = [](auto&& f) { return test::user_error_of(f).what; };
  EXPECT_THAT(what([&] { in.integer("large"); }), HasSubstr("key large is 18446744073709551615"));
  EXPECT_THAT(what([&] { in.integer("f64"); }), HasSubstr("key f64 is of type f64, not an integer"));
  EXPECT_THAT(what([&] { in.number("text"); }), HasSubstr("key text is of type string, not an integer"));
  EXPECT_THAT(what([&] { in.flag("u8"); }), HasSubstr("key u8 is of type u8, not bool"));
  EXPECT_THAT(what([&] { in.text("u8"); }), HasSubstr("key u8 is of type u8, not string"));
  EXPECT_THAT(what([&] { in.integer("array"); }), HasSubstr("key array is an array, not one value"));
  EXPECT_THAT(what([&] { in.integers("u8"); }), HasSubstr("key u8 is one value, not an array"));
}

TEST_F(Gguf, ReadsVersion2AndAnotherAlignment) {
  Bytes bytes;
  bytes.version = 2;
  bytes.alignment = 8;
  bytes.key("general.alignment", GgufType::u32, raw<uint32_t>(8));
  bytes.tensor("a", {1}, 0, 0).tensor("b", {2}, 0, 8).with_data(16);
  const GgufFile in = read(bytes);
  EXPECT_EQ(in.tensors()[1].bytes.data() - in.tensors()[0].bytes.data(), 8);
}

TEST_F(Gguf, TensorsMayComeInAnyOrderAndTheLastWithoutPadding) {
  Bytes bytes;
  bytes.tensor("b", {1}, 0, 32).tensor("a", {1}, 0, 0).tensor("empty", {0, 5}, 0, 32).with_data(36);
  const GgufFile in = read(bytes);
  EXPECT_EQ(in.tensors()[0].bytes.data() - in.tensors()[1].bytes.data(), 32);
  EXPECT_TRUE(in.tensors()[2].bytes.empty());
}

struct Bad {
  const char* name;
  std::string bytes;
  const char* message;
};

constexpr uint64_t kHuge = uint64_t{1} << 63, kMost = std::numeric_limits<uint64_t>::max();

std::vector<Bad> bad_files() {
  const auto changed = [](auto&& change) {
    Bytes bytes;
    change(bytes);
    return std::string(bytes);
  };
  const auto with_key = [&](GgufType type, const std::string& value) {
    return changed([&](Bytes& b) { b.key("k", type, value); });
  };
  const auto with_array = [&](uint32_t element, uint64_t count, const std::string& values) {
    return with_key(GgufType::array, raw(element) + raw(count) + values);
  };
  const auto with_tensor = [&](const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset, size_t data = 64) {
    return changed([&](Bytes& b) { b.tensor("a", dims, type, offset).with_data(data); });
  };
  const auto alignment = [&](uint32_t value) {
    return changed([&](Bytes& b) { b.key("general.alignment", GgufType::u32, raw(value)); });
  };
  const std::string whole = kGolden;
  return {
      {"empty", "", "it is not a GGUF file"},
      {"another magic", "GGML" + whole.substr(4), "it is not a GGUF file"},
      {"half of the magic", "GG", "it is not a GGUF file"},
      {"a pickle", "\x80\x02}q\x00.", "it is not a GGUF file"},
      {"version 0", changed([](Bytes& b) { b.version = 0; }), "it is of version 0"},
      {"version 1", changed([](Bytes& b) { b.version = 1; }), "it is of version 1"},
      {"version 4", changed([](Bytes& b) { b.version = 4; }), "it is of version 4"},
      {"big-endian", changed([](Bytes& b) { b.version = 3u << 24; }), "big-endian"},
      {"cut in the header", whole.substr(0, 20), "it ends within its header"},
      {"cut in a key", whole.substr(0, 73), "it ends within the name of a key"},
      {"cut in a value", whole.substr(0, 60), "it ends within key general.architecture"},
      {"cut in a tensor", whole.substr(0, 140), "it ends within "},
      {"cut in the data", whole.substr(0, 180), "tensor token_embd.weight goes past the end"},
      {"without data", whole.substr(0, 159), "tensor token_embd.weight goes past the end"},
      {"keys 2^64 - 1", changed([](Bytes& b) { b.key_count = kMost; }), "more than the file has room for"},
      {"tensors 2^63", changed([](Bytes& b) { b.tensor_count = kHuge; }), "more than the file has room for"},
      {"one key too many", changed([](Bytes& b) { b.key("k", GgufType::string, text("0123456789")).key_count = 2; }),
       "it ends within the name of a key"},
      {"a key 2^63 long", changed([](Bytes& b) { b.keys = {raw(kHuge) + "12345"}; }),
       "it ends within the name of a key"},
      {"a key without a name", changed([](Bytes& b) { b.key("", GgufType::u8, "x"); }),
       "the name of a key is not 1 to"},
      {"a key with a zero byte", changed([](Bytes& b) {
         b.key({"a\0b", 3}, GgufType::u8, "x");
       }),
       "the name of a key is not 1 to"},
      {"a key that is no ASCII", changed([](Bytes& b) { b.key("\xFF\xFE", GgufType::u8, "x"); }),
       "the name of a key is not 1 to"},
      {"a key too long", changed([](Bytes& b) { b.key(std::string(65536, 'k'), GgufType::u8, "x"); }),
       "the name of a key is not 1 to"},
      {"a key twice", changed([](Bytes& b) { b.key("k", GgufType::u8, "x").key("k", GgufType::u8, "y"); }),
       "key k is there twice"},
      {"value type 13", with_key(static_cast<GgufType>(13), "12345678"), "key k has a value of the unknown type 13"},
      {"a bool of 2", with_key(GgufType::boolean, "\x02"), "key k is a bool, and neither 0 nor 1"},
      {"a string past the end", with_key(GgufType::string, raw<uint64_t>(9) + "12345678"), "it ends within key k"},
      {"a string of 2^64 - 1", with_key(GgufType::string, raw(kMost) + "x"), "it ends within key k"},
      {"an array of arrays", with_array(9, 1, raw<uint32_t>(0) + raw<uint64_t>(0)), "key k is an array of arrays"},
      {"an array of type 77", with_array(77, 1, "12345678"), "key k has a value of the unknown type 77"},
      {"an array of 2^62 u64", with_array(10, uint64_t{1} << 62, "12345678"), "key k says 4611686018427387904 values"},
      {"an array of 2^61 u64", with_array(10, uint64_t{1} << 61, ""), "key k says 2305843009213693952 values"},
      {"an array one too long", with_array(4, 3, "12345678"), "key k says 3 values"},
      {"an array of strings too long", with_array(8, 2, text("a")), "it ends within key k"},
      {"an array of 2^40 strings", with_array(8, uint64_t{1} << 40, text("a")), "key k says 1099511627776 values"},
      {"bools of 3", with_array(7, 2, "\x01\x03"), "neither 0 nor 1"},
      {"alignment 0", alignment(0), "key general.alignment is 0"},
      {"alignment 24", alignment(24), "key general.alignment is 24"},
      {"alignment 2^31", alignment(1u << 31), "key general.alignment is 2147483648"},
      {"alignment of text", changed([](Bytes& b) { b.key("general.alignment", GgufType::string, text("32")); }),
       "key general.alignment is of type string"},
      {"a tensor without a name", changed([](Bytes& b) { b.tensor("", {1}, 0, 0).with_data(4); }),
       "the name of a tensor is not 1 to 64"},
      {"a tensor's name too long", changed([](Bytes& b) { b.tensor(std::string(65, 'a'), {1}, 0, 0).with_data(4); }),
       "the name of a tensor is not 1 to 64"},
      {"a tensor twice", changed([](Bytes& b) { b.tensor("a", {1}, 0, 0).tensor("a", {1}, 0, 32).with_data(64); }),
       "tensor a is there twice"},
      {"rank 5", with_tensor({1, 1, 1, 1, 1}, 0, 0), "tensor a has 5 dimensions"},
      {"rank 2^32 - 1",
       changed([](Bytes& b) { b.tensors = {text("a") + raw(0xFFFFFFFFu) + raw<uint32_t>(0) + raw<uint64_t>(0)}; }),
       "tensor a has 4294967295 dimensions"},
      {"elements 2^64", with_tensor({uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0), "tensor a has more elements than"},
      {"elements 2^63", with_tensor({kHuge}, 0, 0), "tensor a has more elements than"},
      {"elements 2^56", with_tensor({uint64_t{1} << 56}, 0, 0), "tensor a has more elements than"},
      {"elements 2^55", with_tensor({uint64_t{1} << 55}, 0, 0), "tensor a goes past the end"},
      {"type q4_k", with_tensor({256}, 12, 0), "tensor a is of the type q4_k"},
      {"type i32", with_tensor({1}, 26, 0), "tensor a is of the type i32"},
      {"type 4", with_tensor({1}, 4, 0), "tensor a is of the unknown type 4"},
      {"type 2^32 - 1", with_tensor({1}, 0xFFFFFFFF, 0), "tensor a is of the unknown type 4294967295"},
      {"rows of 33 in q8_0", with_tensor({33}, 8, 0), "its rows are not blocks of 32"},
      {"q4_0 without dimensions", with_tensor({}, 2, 0), "its rows are not blocks of 32"},
      {"offset 16", with_tensor({1}, 0, 16), "tensor a lies at offset 16, not a multiple of 32"},
      {"offset 2^64 - 32", with_tensor({1}, 0, kMost - 31), "tensor a goes past the end"},
      {"offset beyond the end", with_tensor({1}, 0, 64), "tensor a goes past the end"},
      {"a tensor one too long", with_tensor({17}, 0, 0), "tensor a goes past the end"},
      {"a gap at the front", with_tensor({1}, 0, 32), "there is a gap before tensor a"},
      {"two at one place", changed([](Bytes& b) { b.tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 0).with_data(64); }),
       "tensors a and b overlap"},
      {"overlap", changed([](Bytes& b) { b.tensor("a", {9}, 0, 0).tensor("b", {1}, 0, 32).with_data(64); }),
       "tensors a and b overlap"},
      {"a gap", changed([](Bytes& b) { b.tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 64).with_data(96); }),
       "there is a gap before tensor b"},
      {"bytes left over", with_tensor({1}, 0, 0, 33), "1 bytes are left over at its end"},
      {"a pickle appended", whole + "\x80\x02}q\x00.", "bytes are left over at its end"},
  };
}

TEST_F(Gguf, RefusesBadFilesAndSaysWhy) {
  test::BadFiles files("gguf");
  for (const Bad& bad : bad_files()) {
    const CaughtUserError caught = files.refusal(bad.name, [&] { read(bad.bytes); });
    EXPECT_EQ(caught.code, Exit::data) << bad.name;
    EXPECT_THAT(caught.what, HasSubstr(bad.message)) << bad.name;
    EXPECT_THAT(caught.what, HasSubstr(file.string())) << bad.name;
  }
}

TEST_F(Gguf, EveryCutOfAFileIsAnError) {
  for (size_t length = 0; length < kGolden.size(); ++length)
    EXPECT_EQ(error(kGolden.substr(0, length)).code, Exit::data) << length;
}

// Whatever is wrong, nothing but a UserError comes of it.
TEST_F(Gguf, EveryChangedByteIsReadOrAUserError) {
  size_t refused = 0;
  for (size_t at = 0; at < kGolden.size() - 32; ++at)
    for (const int flip : {1, 0x80, 0xFF}) {
      std::string bytes = kGolden;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      refused += error(bytes).code == Exit::data;
    }
  EXPECT_GT(refused, 250u);
}

TEST_F(Gguf, AHundredThousandTensorsAreReadAtOnce) {
  Bytes bytes;
  for (uint64_t i = 0; i < 100'000; ++i) bytes.tensor(std::to_string(i), {1}, 0, 32 * i);
  bytes.with_data(32 * 100'000);
  EXPECT_EQ(read(bytes).tensors().size(), 100'000u);
}

}  // namespace
}  // namespace rw
