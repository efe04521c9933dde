#include "core/math/column_sum.hpp"

#include "core/math/row_parts.hpp"

namespace rw {

void column_sum(Ctx& ctx, View sum, CView x, Grad store) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(sum.shape == Shape{x.width()}, sum, x);
  RW_CHECK(sum.dtype == accumulator(x.dtype), sum, x);
  RW_CHECK(on_device(ctx, sum, x), sum, x);
  RW_CHECK(disjoint(sum, x), sum, x);
  RW_CHECK(store != Grad::skip);
  const ArenaScope scope(ctx.scratch);
  const View partial = ctx.scratch.take({row_parts(x.rows()), x.width()}, accumulator(x.dtype), "column_sum.partial");
  dispatch<cpu::column_sum, no_twin, cuda::column_sum>(__func__, ctx, x.dtype, sum, x, store, partial);
}

}  // namespace rw
