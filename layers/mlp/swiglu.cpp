#include "layers/mlp/swiglu.hpp"

namespace rw {

void swiglu_forward(Ctx& ctx, View y, CView g, CView u) {
  RW_CHECK(g.rows() > 0 && g.width() > 0, g);
  RW_CHECK(u.shape == g.shape, u, g);
  RW_CHECK(y.shape == g.shape, y, g);
  RW_CHECK(u.dtype == g.dtype && y.dtype == g.dtype, u, y, g);
  RW_CHECK(on_device(ctx, y, g, u), y, g, u);
  RW_CHECK(same(y, g) || disjoint(y, g), y, g);
  RW_CHECK(disjoint(y, u), y, u);

  dispatch<cpu::swiglu_forward, fast::swiglu_forward, cuda::swiglu_forward>(__func__, ctx, g.dtype, y, g, u);
}

void swiglu_backward(Ctx& ctx, View dg, View du, CView dy, CView g, CView u) {
  RW_CHECK(g.rows() > 0 && g.width() > 0, g);
  RW_CHECK(u.shape == g.shape, u, g);
  RW_CHECK(dy.shape == g.shape, dy, g);
  RW_CHECK(dg.shape == g.shape, dg, g);
  RW_CHECK(du.shape == g.shape, du, g);
  RW_CHECK(u.dtype == g.dtype && dy.dtype == g.dtype, u, dy, g);
  RW_CHECK(dg.dtype == g.dtype && du.dtype == g.dtype, dg, du, g);
  RW_CHECK(on_device(ctx, dg, du, dy, g, u), dg, du, dy, g, u);
  RW_CHECK(same(dg, g) || disjoint(dg, g), dg, g);
  RW_CHECK(same(du, u) || disjoint(du, u), du, u);
  RW_CHECK(disjoint_from_all(dg, du, dy, u), dg, du, dy, u);
  RW_CHECK(disjoint_from_all(du, dy, g), du, dy, g);

  dispatch<cpu::swiglu_backward, fast::swiglu_backward, cuda::swiglu_backward>(__func__, ctx, g.dtype, dg, du, dy, g,
                                                                               u);
}

}  // namespace rw
