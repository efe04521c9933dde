// What reader and writer of GGUF share.
#pragma once
#include <cstring>
#include <string_view>
#include <utility>

#include "train/exchange/values.hpp"

namespace rw {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr uint32_t kGgufVersion = 3;
inline constexpr int64_t kGgufAlignment = 32;
inline constexpr size_t kMostGgufRank = 4, kLongestGgufName = 64;

// Numbers of tensor types in the file.
inline constexpr std::pair<uint32_t, ValueType> kGgufTensorTypes[] = {
    {0, ValueType::f32},  {1, ValueType::f16},  {2, ValueType::q4_0}, {3, ValueType::q4_1},
    {8, ValueType::q8_0}, {28, ValueType::f64}, {30, ValueType::bf16}};

inline uint64_t round_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

template <class T>
T value_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace rw
