// A product of row-major matrices in the words of BLAS libraries, which are column-major. To them a row-major matrix is
// its transpose; so they are asked for cᵀ = op(b)ᵀ · op(a)ᵀ: b comes first, and what is transposed stays so.
#pragma once
#include "core/tensor/view.hpp"

namespace rw {

struct BlasMatrix {  // column-major; stride: elements from one column to the next
  int64_t rows, columns, stride;
  auto operator<=>(const BlasMatrix&) const = default;
};

struct BlasProduct {  // out = op(first) · op(second)
  BlasMatrix out, first, second;
  bool transpose_first, transpose_second;
  auto operator<=>(const BlasProduct&) const = default;
};

// Of c = op(a) · op(b).
inline BlasProduct blas_product(CView c, CView a, bool transpose_a, CView b, bool transpose_b) {
  const auto blas = [](CView v) { return BlasMatrix{v.width(), v.rows(), v.row_stride}; };
  return {blas(c), blas(b), blas(a), transpose_b, transpose_a};
}

}  // namespace rw
