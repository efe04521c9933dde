#include "layers/norm/rms_norm.hpp"

#include "core/math/row_parts.hpp"

namespace rw {

void rms_norm_forward(Ctx& ctx, View y, View h, View rstd, CView x, CView branch, CView weight, double eps) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(weight.shape.rank == 1 && weight.width() > 0 && x.width() % weight.width() == 0, weight, x);
  const Shape groups = {x.rows(), x.width() / weight.width()};
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(rstd.shape == groups, rstd, groups);
  RW_CHECK(y.dtype == x.dtype && weight.dtype == x.dtype, y, weight, x);
  RW_CHECK(rstd.dtype == accumulator(x.dtype), rstd, x);
  RW_CHECK(h.empty() == branch.empty(), h, branch);
  if (!branch.empty()) {
    RW_CHECK(branch.shape == x.shape && branch.dtype == x.dtype, branch, x);
    RW_CHECK(h.shape == x.shape && h.dtype == x.dtype, h, x);
    RW_CHECK(same(h, x) || disjoint(h, x), h, x);
    RW_CHECK(disjoint_from_all(h, branch, weight), h, branch, weight);
  }
  RW_CHECK(on_device(ctx, y, h, rstd, x, branch, weight), y, h, rstd, x, branch, weight);
  RW_CHECK(disjoint(y, x) || (branch.empty() && same(y, x)), y, x, branch);
  RW_CHECK(disjoint_from_all(y, h, branch, weight), y, h, branch, weight);
  RW_CHECK(disjoint_from_all(rstd, y, h, x, branch, weight), rstd, y, h, x, branch, weight);
  RW_CHECK(eps > 0, eps);

  dispatch<cpu::rms_norm_forward, fast::rms_norm_forward, cuda::rms_norm_forward>(__func__, ctx, x.dtype, y, h, rstd, x,
                                                                                  branch, weight, eps);
}

void rms_norm_backward(Ctx& ctx, View dx, View dweight, CView dy, CView dh, CView h, CView rstd, CView weight,
                       Grad mode) {
  RW_CHECK(h.rows() > 0 && h.width() > 0, h);
  RW_CHECK(weight.shape.rank == 1 && weight.width() > 0 && h.width() % weight.width() == 0, weight, h);
  const Shape groups = {h.rows(), h.width() / weight.width()};
  RW_CHECK(dx.shape == h.shape && dy.shape == h.shape, dx, dy, h);
  RW_CHECK(rstd.shape == groups, rstd, groups);
  RW_CHECK(dx.dtype == h.dtype && dy.dtype == h.dtype, dx, dy, h);
  RW_CHECK(rstd.dtype == accumulator(h.dtype) && weight.dtype == h.dtype, rstd, weight, h);
  RW_CHECK(dh.empty() || (dh.shape == h.shape && dh.dtype == h.dtype), dh, h);
  RW_CHECK(on_device(ctx, dx, dy, dh, h, rstd, weight), dx, dy, dh, h, rstd, weight);
  RW_CHECK(same(dx, dy) || disjoint(dx, dy), dx, dy);
  RW_CHECK(same(dx, dh) || disjoint(dx, dh), dx, dh);
  RW_CHECK(disjoint_from_all(dx, h, rstd, weight), dx, h, rstd, weight);

  const ArenaScope scope(ctx.scratch);
  View partial;
  if (mode != Grad::skip) {
    RW_CHECK(dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), dweight, weight);
    RW_CHECK(on_device(ctx, dweight), dweight);
    RW_CHECK(disjoint_from_all(dweight, dx, dy, dh, h, rstd, weight), dweight, dx, dy, dh, h, rstd, weight);
    partial = ctx.scratch.take({row_parts(h.rows()), weight.width()}, accumulator(h.dtype), "rms_norm.partial");
  }

  dispatch<cpu::rms_norm_backward, fast::rms_norm_backward, cuda::rms_norm_backward>(
      __func__, ctx, h.dtype, dx, dweight, dy, dh, h, rstd, weight, mode, partial);
}

}  // namespace rw
