// What the twins of clip_factor have in common.
#pragma once
#include <cmath>

#include "core/tensor/view.hpp"

namespace rw {

template <class T>
constexpr T clip_of(T norm, double limit) {
  if (!std::isfinite(norm)) return std::numeric_limits<T>::quiet_NaN();
  return limit > 0 && static_cast<double>(norm) > limit ? static_cast<T>(limit / static_cast<double>(norm)) : T(1);
}

// norm and clip from the sums of squares of the blocks.
template <class T>
void finish_clip(View norm, View clip, View partial, double limit) {
  double squares = 0;
  for (int64_t i = 0; i < partial.width(); ++i) squares += partial.as<double>().data[i];
  const T length = static_cast<T>(std::sqrt(squares));
  norm.as<T>().data[0] = length;
  clip.as<T>().data[0] = clip_of(length, limit);
}

}  // namespace rw
