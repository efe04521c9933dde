#pragma once
#include "layers/rotary/rope.hpp"

namespace rw {

// One row of heads: what is turned of each, and the rest of it.
struct RowOfHeads {
  float* y;
  const float *x, *cos, *sin;
  size_t pairs, width, heads;
  float sign;
  bool add;
};

}  // namespace rw
