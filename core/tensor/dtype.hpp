#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <type_traits>

#include "core/base/check.hpp"

namespace rw {

enum class DType : uint8_t { f64, f32, bf16, i32 };

// Storage only: arithmetic is done in float.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  explicit bf16(float value) {  // to nearest, ties to even; a NaN stays a quiet NaN
    const auto word = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = value != value ? word | 0x400000u : word + 0x7fffu + (word >> 16 & 1u);
    bits = static_cast<uint16_t>(rounded >> 16);
  }
  explicit constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> : std::integral_constant<DType, DType::f64> {};
template <>
struct DTypeOf<float> : std::integral_constant<DType, DType::f32> {};
template <>
struct DTypeOf<bf16> : std::integral_constant<DType, DType::bf16> {};
template <>
struct DTypeOf<int32_t> : std::integral_constant<DType, DType::i32> {};

constexpr size_t size_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::bf16 ? 2 : 4; }

// The type of statistics, of partial sums and of parameter gradients.
constexpr DType accumulator(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

constexpr const char* name_of(DType dtype) {
  return dtype == DType::f64 ? "f64" : dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "i32";
}
inline std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

// Calls f.operator()<T>() with the one T of the list that is `dtype`:
//   visit_dtype<double, float>(x.dtype, [&]<class T>() { kernel(x.as<T>()); });
template <class... T, class F>
void visit_dtype(DType dtype, F&& f, const char* op = __builtin_FUNCTION()) {
  const bool found = ((dtype == DTypeOf<T>::value && (f.template operator()<T>(), true)) || ...);
  if (!found) detail::check_failed(op, "a dtype that this twin knows", "dtype", dtype);
}

}  // namespace rw
