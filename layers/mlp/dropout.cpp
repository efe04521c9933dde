#include "layers/mlp/dropout.hpp"

namespace rw {

void dropout(Ctx& ctx, View y, CView x, double p, DrawKey key) {
  RW_CHECK(x.shape.rank == 3 && x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(x.shape.dim[1] <= (int64_t{1} << 34) / x.width() && x.shape.dim[1] * x.width() < int64_t{1} << 34, x);
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(y.dtype == x.dtype, y, x);
  RW_CHECK(on_device(ctx, y, x), y, x);
  RW_CHECK(same(y, x) || disjoint(y, x), y, x);
  RW_CHECK(p >= 0 && p < 1, p);

  dispatch<cpu::dropout, fast::dropout, cuda::dropout>(__func__, ctx, x.dtype, y, x, p, key);
}

}  // namespace rw
