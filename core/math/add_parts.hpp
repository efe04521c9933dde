#pragma once
#include "core/base/parallel.hpp"
#include "core/ctx.hpp"
#include "core/math/row_parts.hpp"

namespace rw {

// sum[c] = Σ_p partial[p][c], or sum[c] += the same, as `mode` says. partial is [parts, width].
template <class T>
void add_parts(T* sum, Rows<const T> partial, int64_t parts, int64_t width, Grad mode) {
  constexpr int64_t kBlock = 512;  // columns
  parallel_for((width + kBlock - 1) / kBlock, [=](int64_t block) {
    const int64_t begin = block * kBlock, end = std::min(begin + kBlock, width);
    if (mode == Grad::overwrite) std::fill(sum + begin, sum + end, T(0));
    for (int64_t p = 0; p < parts; ++p)
      for (int64_t c = begin; c < end; ++c) sum[c] += partial[p][c];
  });
}

}  // namespace rw
