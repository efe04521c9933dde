// The number types of other tools' files, and how they become float and back.
//
//   f16, bf16   IEEE half, and the upper half of a float; rounded to nearest, ties to even
//   q8_0        32 values: f16 scale s, 32 signed bytes q              value s · q
//   q4_0        32 values: f16 scale s, 16 bytes                       value s · (q - 8)
//   q4_1        32 values: f16 scale s, f16 minimum m, 16 bytes        value s · q + m
//
// In q4 the low halves of the 16 bytes are values 0 to 15, the high ones 16 to 31. Quantised rows are whole blocks.
// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ggml-common.h
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

enum class ValueType : uint8_t { f64, f32, f16, bf16, q8_0, q4_0, q4_1, other };  // other: integers, to be passed over

const char* name_of(ValueType type);                         // "f32", "q8_0"
std::optional<ValueType> value_type(std::string_view name);  // of "f32", ...
int64_t block_of(ValueType type);                            // values that are stored together: 1, or 32
// Bytes of `count` values, a multiple of block_of(type). Count is at most 2^56.
uint64_t bytes_of(ValueType type, uint64_t count);

void decode(ValueType type, std::span<const std::byte> from, std::span<float> to);
// To f64, f32, f16, bf16 and q8_0: s = max |value| / 127 in float, q rounded to nearest, s then rounded to f16.
void encode(ValueType type, std::span<const float> from, std::span<std::byte> to);

// A tensor in another tool's file.
struct ForeignTensor {
  std::string name;
  ValueType type = ValueType::f32;
  std::vector<uint64_t> shape;       // row-major, last dimension fastest
  std::span<const std::byte> bytes;  // of the mapped file
};

}  // namespace rw
