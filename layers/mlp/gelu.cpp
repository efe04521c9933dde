#include "layers/mlp/gelu.hpp"

namespace rw {

void gelu_forward(Ctx& ctx, View y, CView x, GeluForm form) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(y.dtype == x.dtype, y, x);
  RW_CHECK(on_device(ctx, y, x), y, x);
  RW_CHECK(same(y, x) || disjoint(y, x), y, x);

  dispatch<cpu::gelu_forward, fast::gelu_forward, cuda::gelu_forward>(__func__, ctx, x.dtype, y, x, form);
}

void gelu_backward(Ctx& ctx, View dx, CView dy, CView x, GeluForm form) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(dy.shape == x.shape, dy, x);
  RW_CHECK(dx.shape == x.shape, dx, x);
  RW_CHECK(dy.dtype == x.dtype && dx.dtype == x.dtype, dy, dx, x);
  RW_CHECK(on_device(ctx, dx, dy, x), dx, dy, x);
  RW_CHECK(same(dx, dy) || disjoint(dx, dy), dx, dy);
  RW_CHECK(same(dx, x) || disjoint(dx, x), dx, x);

  dispatch<cpu::gelu_backward, fast::gelu_backward, cuda::gelu_backward>(__func__, ctx, x.dtype, dx, dy, x, form);
}

}  // namespace rw
