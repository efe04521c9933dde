// The GGUF format, versions 2 and 3, little-endian:
//   "GGUF", u32 version, u64 tensors, u64 keys
//   keys ×     string name, u32 value type, value
//   tensors ×  string name, u32 rank, u64 dims [rank] (fastest first), u32 tensor type, u64 offset
//   zeros up to a multiple of the alignment (key general.alignment, else 32), and the tensors, each at
//   its offset from there and followed by zeros up to such a multiple
// A string is u64 length and bytes; an array is u32 element type, u64 count and the elements.
// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/mapped_file.hpp"
#include "train/exchange/safetensors.hpp"

namespace rw {

// Numbers as in the file.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

const char* name_of(GgufType type);  // "u8", ..., "bool", "string", "array"

// At most 40 characters of a text of a file, for messages: others than printable ASCII become "?".
std::string excerpt(std::string_view text);

struct GgufValue {
  GgufType type = GgufType::u8;  // of the value, or of the elements of an array
  bool is_array = false;
  uint64_t count = 1;                // elements
  std::span<const std::byte> bytes;  // of the value, or of the elements: as they are in the mapped file
};

// One file, mapped. Everything about it is checked before anything is used; memory is taken for its names only.
class GgufFile {
 public:
  // Throws UserError(Exit::data), naming file and key or tensor: cut off, another version or byte order, counts and
  // lengths that the file has no room for, a key or tensor twice, names that are not printable ASCII, unknown value
  // types, arrays of arrays, tensor types that are not in values.hpp, more than 4 dimensions, shapes whose product
  // wraps, offsets that are not aligned, overlaps, gaps, tensors past the end, bytes left over.
  explicit GgufFile(const std::filesystem::path& file);

  const std::string& name() const { return name_; }  // for messages
  const std::map<std::string, GgufValue, std::less<>>& keys() const { return keys_; }
  const std::vector<ForeignTensor>& tensors() const { return tensors_; }  // in the order of the file; row-major

  // The value of a key; nothing, or an empty list, if it is not there. Any integer type is an integer, and any integer
  // or float a number. Throws UserError(Exit::data), naming the key: a value of another type, an integer beyond i64.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // the shortest decimal number that a float stands for
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;

 private:
  const GgufValue* find(std::string_view key, bool array) const;  // null if it is not there

  MappedFile file_;
  std::string name_;
  std::map<std::string, GgufValue, std::less<>> keys_;
  std::vector<ForeignTensor> tensors_;
};

using GgufField = std::variant<uint32_t, float, bool, std::string, std::vector<float>, std::vector<int32_t>,
                               std::vector<std::string>>;
using GgufFields = std::vector<std::pair<std::string, GgufField>>;

// Writes version 3, alignment 32, keys and tensors in the order given, f32, f16, bf16 and q8_0. The file appears under
// its name when it is whole and on the disk; one that was there is replaced. Throws UserError(Exit::write).
void write_gguf(const std::filesystem::path& file, const GgufFields& keys, std::span<const OutgoingTensor> tensors);

}  // namespace rw
