// sum[c] = Σ_r x[r][c], the gradient of a bias. The order of additions depends on the number of rows only.
//
// Shapes   x [..., C]; sum [C]. Store: overwrite or accumulate. sum overlaps nothing.
// DTypes   f64, f32, bf16 on a GPU; sum of the accumulator dtype.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void column_sum(Ctx&, View sum, CView x, Grad store);

using ColumnSum = Twin<decltype(column_sum), View /* partial [row_parts, C] */>;
namespace cpu {
ColumnSum column_sum;
}
namespace cuda {
[[gnu::weak]] ColumnSum column_sum;
}

}  // namespace rw
