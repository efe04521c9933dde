#include "train/exchange/gguf.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/user_error.hpp"
#include "train/exchange/gguf_layout.hpp"

namespace rw {

namespace {

constexpr size_t kLongestKey = 65535;
constexpr int64_t kMostAlignment = 1 << 20;
constexpr uint32_t kOldestVersion = 2;
constexpr uint64_t kLeastKey = 13, kLeastTensor = 24;  // bytes: the smallest that there can be

struct ValueKind {
  const char* name;
  uint64_t size;  // 0: not fixed
};
constexpr ValueKind kValueKinds[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                                     {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                                     {"u64", 8}, {"i64", 8}, {"f64", 8}};

// Those that are not read, for messages.
constexpr std::pair<uint32_t, const char*> kOtherTensorKinds[] = {
    {6, "q5_0"},   {7, "q5_1"},   {9, "q8_1"},     {10, "q2_k"},   {11, "q3_k"},    {12, "q4_k"},  {13, "q5_k"},
    {14, "q6_k"},  {15, "q8_k"},  {16, "iq2_xxs"}, {17, "iq2_xs"}, {18, "iq3_xxs"}, {19, "iq1_s"}, {20, "iq4_nl"},
    {21, "iq3_s"}, {22, "iq2_s"}, {23, "iq4_xs"},  {24, "i8"},     {25, "i16"},     {26, "i32"},   {27, "i64"},
    {29, "iq1_m"}, {34, "tq1_0"}, {35, "tq2_0"},   {39, "mxfp4"}};

UserError unusable(const std::string& file, const std::string& what, const std::string& advice = {}) {
  return UserError(Exit::data, file + " cannot be read: " + what, advice);
}

// Goes through the bytes; every step is checked against the end.
class Cursor {
 public:
  Cursor(const std::string& file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  std::span<const std::byte> take(uint64_t count, const std::string& what) {
    if (count > left())
      throw unusable(file_, "it ends within " + what,
                     std::to_string(count) + " bytes should follow at byte " + std::to_string(at_) + ", " +
                         std::to_string(left()) + " do\nget the file again");
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  template <class T>
  T number(const std::string& what) {
    return value_at<T>(take(sizeof(T), what).data());
  }
  std::string_view string(const std::string& what) {
    const auto taken = take(number<uint64_t>(what), what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  // A name of at most so many bytes, which are safe to show.
  std::string name(size_t most, const std::string& what) {
    const std::string_view text = string(what);
    if (text.empty() || text.size() > most || !std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; }))
      throw unusable(file_, what + " is not 1 to " + std::to_string(most) + " characters of printable ASCII");
    return std::string(text);
  }

 private:
  const std::string& file_;
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

GgufType value_type_of(const std::string& file, uint32_t number, const std::string& key) {
  if (number >= std::size(kValueKinds))
    throw unusable(file, "key " + key + " has a value of the unknown type " + std::to_string(number));
  return static_cast<GgufType>(number);
}

// The bytes of `count` values.
std::span<const std::byte> take_values(Cursor& in, const std::string& file, GgufType type, uint64_t count,
                                       const std::string& key) {
  const std::string what = "key " + key;
  if (type == GgufType::array) throw unusable(file, what + " is an array of arrays");
  const uint64_t size = kValueKinds[static_cast<size_t>(type)].size;
  if (count > in.left() / std::max<uint64_t>(size, 1))
    throw unusable(file, what + " says " + std::to_string(count) + " values, more than the file has room for");
  if (type != GgufType::string) {
    const auto taken = in.take(count * size, what);
    if (type == GgufType::boolean &&
        !std::ranges::all_of(taken, [](std::byte b) { return b == std::byte{0} || b == std::byte{1}; }))
      throw unusable(file, what + " is a bool, and neither 0 nor 1");
    return taken;
  }
  Cursor ahead = in;
  for (uint64_t i = 0; i < count; ++i) ahead.string(what);
  return in.take(ahead.at() - in.at(), what);
}

struct Header {
  uint64_t tensors = 0, keys = 0;
};

Header read_header(Cursor& in, const std::string& file, std::span<const std::byte> bytes) {
  if (bytes.size() < kGgufMagic.size() || std::memcmp(bytes.data(), kGgufMagic.data(), kGgufMagic.size()) != 0)
    throw unusable(file, "it is not a GGUF file", "it does not begin with the letters GGUF");
  in.take(kGgufMagic.size(), "its header");
  const auto version = in.number<uint32_t>("its header");
  if (version != 0 && version % 65536 == 0) throw unusable(file, "it was written for big-endian machines");
  if (version < kOldestVersion || version > kGgufVersion)
    throw unusable(file, "it is of version " + std::to_string(version), "versions 2 and 3 can be read");
  Header header;
  header.tensors = in.number<uint64_t>("its header");
  header.keys = in.number<uint64_t>("its header");
  if (header.keys > in.left() / kLeastKey || header.tensors > in.left() / kLeastTensor)
    throw unusable(file, "its header says " + std::to_string(header.keys) + " keys and " +
                             std::to_string(header.tensors) + " tensors, more than the file has room for");
  return header;
}

struct Place {
  uint64_t offset, bytes, tensor;  // its number
};

ValueType tensor_type_of(const std::string& file, uint32_t number, const std::string& tensor) {
  const auto kind = std::ranges::find(kGgufTensorTypes, number, &std::pair<uint32_t, ValueType>::first);
  if (kind != std::end(kGgufTensorTypes)) return kind->second;
  const auto other = std::ranges::find(kOtherTensorKinds, number, &std::pair<uint32_t, const char*>::first);
  throw unusable(file,
                 "tensor " + tensor + " is of the " +
                     (other == std::end(kOtherTensorKinds) ? "unknown type " + std::to_string(number)
                                                           : std::string("type ") + other->second),
                 "f32, f16, bf16, f64, q8_0, q4_0 and q4_1 can be read");
}

Place read_tensor(Cursor& in, const std::string& file, uint64_t alignment, ForeignTensor& tensor) {
  tensor.name = in.name(kLongestGgufName, "the name of a tensor");
  const std::string what = "tensor " + tensor.name;
  const auto rank = in.number<uint32_t>(what);
  if (rank > kMostGgufRank) throw unusable(file, what + " has " + std::to_string(rank) + " dimensions, more than 4");
  uint64_t count = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    tensor.shape.push_back(in.number<uint64_t>(what));
    if (__builtin_mul_overflow(count, tensor.shape.back(), &count) || count >> 56 != 0)
      throw unusable(file, what + " has more elements than any file");
  }
  tensor.type = tensor_type_of(file, in.number<uint32_t>(what), tensor.name);
  const auto block = static_cast<uint64_t>(block_of(tensor.type));
  if (block > 1 && (rank == 0 || tensor.shape[0] % block != 0))
    throw unusable(file,
                   what + " is " + name_of(tensor.type) + ", and its rows are not blocks of " + std::to_string(block));
  std::ranges::reverse(tensor.shape);
  const auto offset = in.number<uint64_t>(what);
  if (offset % alignment != 0)
    throw unusable(
        file, what + " lies at offset " + std::to_string(offset) + ", not a multiple of " + std::to_string(alignment));
  return {offset, bytes_of(tensor.type, count), 0};
}

// Gives each tensor its bytes of `data`, which they must fill without overlaps and gaps.
void place_tensors(const std::string& file, std::span<const std::byte> data, uint64_t alignment,
                   std::vector<Place>& places, std::vector<ForeignTensor>& tensors) {
  std::erase_if(places, [](const Place& p) { return p.bytes == 0; });
  std::ranges::sort(places, {}, [](const Place& p) { return std::pair(p.offset, p.tensor); });
  uint64_t end = 0;  // of the tensors so far
  const std::string* before = nullptr;
  for (const Place& place : places) {
    ForeignTensor& tensor = tensors[place.tensor];
    if (place.offset < end) throw unusable(file, "tensors " + *before + " and " + tensor.name + " overlap");
    if (place.offset > data.size() || place.bytes > data.size() - place.offset)
      throw unusable(file, "tensor " + tensor.name + " goes past the end of the file",
                     "the file is cut off, or damaged\nget it again");
    if (place.offset != round_up(end, alignment)) throw unusable(file, "there is a gap before tensor " + tensor.name);
    tensor.bytes = data.subspan(place.offset, place.bytes);
    end = place.offset + place.bytes;
    before = &tensor.name;
  }
  if (end = round_up(end, alignment); data.size() > end)
    throw unusable(file, std::to_string(data.size() - end) + " bytes are left over at its end");
}

}  // namespace

const char* name_of(GgufType type) { return kValueKinds[static_cast<size_t>(type)].name; }

GgufFile::GgufFile(const std::filesystem::path& file) : file_(file), name_(file.string()) {
  Cursor in(name_, file_.bytes());
  const Header header = read_header(in, name_, file_.bytes());
  for (uint64_t i = 0; i < header.keys; ++i) {
    const std::string key = in.name(kLongestKey, "the name of a key");
    GgufValue value;
    value.type = value_type_of(name_, in.number<uint32_t>("key " + key), key);
    if (value.type == GgufType::array) {
      value.is_array = true;
      value.type = value_type_of(name_, in.number<uint32_t>("key " + key), key);
      value.count = in.number<uint64_t>("key " + key);
    }
    value.bytes = take_values(in, name_, value.type, value.count, key);
    if (!keys_.emplace(key, value).second) throw unusable(name_, "key " + key + " is there twice");
  }

  const int64_t said = integer("general.alignment").value_or(kGgufAlignment);
  if (said < 1 || said > kMostAlignment || (said & (said - 1)) != 0)
    throw unusable(name_, "key general.alignment is " + std::to_string(said),
                   "it should be a power of two, at most " + std::to_string(kMostAlignment));
  const auto alignment = static_cast<uint64_t>(said);

  std::vector<Place> places;
  std::set<std::string> names;
  for (uint64_t i = 0; i < header.tensors; ++i) {
    places.push_back(read_tensor(in, name_, alignment, tensors_.emplace_back()));
    places.back().tensor = i;
    if (!names.insert(tensors_[i].name).second) throw unusable(name_, "tensor " + tensors_[i].name + " is there twice");
  }
  const uint64_t start = std::min<uint64_t>(round_up(in.at(), alignment), file_.bytes().size());
  place_tensors(name_, file_.bytes().subspan(start), alignment, places, tensors_);
}

}  // namespace rw
