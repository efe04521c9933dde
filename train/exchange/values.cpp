#include "train/exchange/values.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/tensor/dtype.hpp"

namespace rw {
namespace {

constexpr std::array<const char*, 8> kNames = {"f64", "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "other"};
constexpr size_t kBlock = 32;

float from_half(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = std::ldexp(static_cast<float>(fraction), -24);
  return sign ? -small : small;
}

uint16_t to_half(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  const uint32_t sign = word >> 16 & 0x8000u, magnitude = word & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // rounds to 2^16
  if (magnitude < 0x38800000u)                                                 // below 2^-14: a multiple of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(std::ldexp(std::abs(value), 24))));
  const uint32_t rebased = magnitude - (112u << 23);
  return static_cast<uint16_t>(sign | (rebased + 0xFFFu + (rebased >> 13 & 1u)) >> 13);
}

template <class T>
T read(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void write(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

float half_at(const std::byte* from) { return from_half(read<uint16_t>(from)); }

template <class T, class F>
void decode_each(std::span<const std::byte> from, std::span<float> to, F&& convert) {
  for (size_t i = 0; i < to.size(); ++i) to[i] = convert(read<T>(from.data() + i * sizeof(T)));
}
template <class T, class F>
void encode_each(std::span<const float> from, std::span<std::byte> to, F&& convert) {
  for (size_t i = 0; i < from.size(); ++i) write<T>(to.data() + i * sizeof(T), convert(from[i]));
}

// Nibbles of 16 bytes: value(q) of each.
template <class F>
void decode_nibbles(const std::byte* from, float* to, F&& value) {
  for (size_t i = 0; i < kBlock / 2; ++i) {
    const auto byte = static_cast<unsigned>(from[i]);
    to[i] = value(static_cast<float>(byte & 15u));
    to[i + kBlock / 2] = value(static_cast<float>(byte >> 4));
  }
}

void decode_block(ValueType type, const std::byte* from, float* to) {
  const float scale = half_at(from);
  if (type == ValueType::q8_0) {
    for (size_t i = 0; i < kBlock; ++i) to[i] = scale * static_cast<float>(static_cast<int8_t>(from[2 + i]));
  } else if (type == ValueType::q4_0) {
    decode_nibbles(from + 2, to, [scale](float q) { return scale * (q - 8); });
  } else {
    const float minimum = half_at(from + 2);
    decode_nibbles(from + 4, to, [scale, minimum](float q) { return scale * q + minimum; });
  }
}

void encode_q8_block(const float* from, std::byte* to) {
  float largest = 0;
  for (size_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(from[i]));
  const float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
  write(to, to_half(scale));
  for (size_t i = 0; i < kBlock; ++i)
    to[2 + i] = static_cast<std::byte>(static_cast<int8_t>(std::round(from[i] * inverse)));
}

}  // namespace

const char* name_of(ValueType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<ValueType> value_type(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ValueType>(found - kNames.begin());
}

int64_t block_of(ValueType type) {
  return type == ValueType::q8_0 || type == ValueType::q4_0 || type == ValueType::q4_1 ? kBlock : 1;
}

uint64_t bytes_of(ValueType type, uint64_t count) {
  switch (type) {
    case ValueType::f64:
      return 8 * count;
    case ValueType::f32:
      return 4 * count;
    case ValueType::f16:
    case ValueType::bf16:
      return 2 * count;
    case ValueType::q8_0:
      return count / kBlock * 34;
    case ValueType::q4_0:
      return count / kBlock * 18;
    case ValueType::q4_1:
      return count / kBlock * 20;
    case ValueType::other:
      break;
  }
  throw Error("bytes_of: a type without a size");
}

void decode(ValueType type, std::span<const std::byte> from, std::span<float> to) {
  RW_CHECK(from.size() == bytes_of(type, to.size()));
  if (type == ValueType::f64) return decode_each<double>(from, to, [](double v) { return static_cast<float>(v); });
  if (type == ValueType::f32) return decode_each<float>(from, to, [](float v) { return v; });
  if (type == ValueType::f16) return decode_each<uint16_t>(from, to, from_half);
  if (type == ValueType::bf16) return decode_each<bf16>(from, to, [](bf16 v) { return static_cast<float>(v); });
  const size_t bytes = bytes_of(type, kBlock);
  for (size_t block = 0; block < to.size() / kBlock; ++block)
    decode_block(type, from.data() + block * bytes, to.data() + block * kBlock);
}

void encode(ValueType type, std::span<const float> from, std::span<std::byte> to) {
  RW_CHECK(to.size() == bytes_of(type, from.size()));
  if (type == ValueType::f64) return encode_each<double>(from, to, [](float v) { return static_cast<double>(v); });
  if (type == ValueType::f32) return encode_each<float>(from, to, [](float v) { return v; });
  if (type == ValueType::f16) return encode_each<uint16_t>(from, to, to_half);
  if (type == ValueType::bf16) return encode_each<bf16>(from, to, [](float v) { return bf16(v); });
  RW_CHECK(type == ValueType::q8_0);
  for (size_t block = 0; block < from.size() / kBlock; ++block)
    encode_q8_block(from.data() + block * kBlock, to.data() + block * bytes_of(type, kBlock));
}

}  // namespace rw
