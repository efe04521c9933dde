#pragma once
#include <cmath>

#include "core/tensor/view.hpp"

namespace rw {

// What the twins of clip_factor have in common: norm and clip from the sums of squares of the blocks.
template <class T>
void finish_clip(View norm, View clip, View partial, double limit) {
  double squares = 0;
  for (int64_t i = 0; i < partial.width(); ++i) squares += partial.as<double>().data[i];
  const T length = static_cast<T>(std::sqrt(squares));
  norm.as<T>().data[0] = length;
  if (!std::isfinite(length))
    clip.as<T>().data[0] = std::numeric_limits<T>::quiet_NaN();
  else
    clip.as<T>().data[0] = limit > 0 && static_cast<double>(length) > limit ? static_cast<T>(limit / length) : T(1);
}

}  // namespace rw
