#include "layers/norm/layer_norm.hpp"

#include "core/math/row_parts.hpp"

namespace rw {

void layer_norm_forward(Ctx& ctx, View y, View h, View mean, View rstd, CView x, CView branch, CView weight, CView bias,
                        double eps) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(weight.shape == Shape{x.width()}, weight, x);
  RW_CHECK(mean.shape == Shape{x.rows()} && rstd.shape == mean.shape, mean, rstd, x);
  RW_CHECK(y.dtype == x.dtype && weight.dtype == x.dtype, y, weight, x);
  RW_CHECK(mean.dtype == accumulator(x.dtype) && rstd.dtype == mean.dtype, mean, rstd, x);
  RW_CHECK(bias.empty() || (bias.shape == weight.shape && bias.dtype == x.dtype), bias, weight);
  RW_CHECK(h.empty() == branch.empty(), h, branch);
  if (!branch.empty()) {
    RW_CHECK(branch.shape == x.shape && branch.dtype == x.dtype, branch, x);
    RW_CHECK(h.shape == x.shape && h.dtype == x.dtype, h, x);
    RW_CHECK(same(h, x) || disjoint(h, x), h, x);
    RW_CHECK(disjoint_from_all(h, branch, weight, bias), h, branch, weight, bias);
  }
  RW_CHECK(on_device(ctx, y, h, mean, rstd, x, branch, weight, bias), y, h, mean, rstd, x, branch, weight, bias);
  RW_CHECK(disjoint_from_all(y, h, x, branch, weight, bias), y, h, x, branch, weight, bias);
  RW_CHECK(disjoint_from_all(mean, rstd, y, h, x, branch, weight, bias), mean, rstd, y, h, x, branch, weight, bias);
  RW_CHECK(disjoint_from_all(rstd, y, h, x, branch, weight, bias), rstd, y, h, x, branch, weight, bias);
  RW_CHECK(eps > 0, eps);

  dispatch<cpu::layer_norm_forward, fast::layer_norm_forward, cuda::layer_norm_forward>(
      __func__, ctx, x.dtype, y, h, mean, rstd, x, branch, weight, bias, eps);
}

void layer_norm_backward(Ctx& ctx, View dx, View dweight, View dbias, CView dy, CView dh, CView h, CView mean,
                         CView rstd, CView weight, Grad mode) {
  RW_CHECK(h.rows() > 0 && h.width() > 0, h);
  RW_CHECK(dx.shape == h.shape && dy.shape == h.shape, dx, dy, h);
  RW_CHECK(weight.shape == Shape{h.width()}, weight, h);
  RW_CHECK(mean.shape == Shape{h.rows()} && rstd.shape == mean.shape, mean, rstd, h);
  RW_CHECK(dx.dtype == h.dtype && dy.dtype == h.dtype && weight.dtype == h.dtype, dx, dy, weight, h);
  RW_CHECK(mean.dtype == accumulator(h.dtype) && rstd.dtype == mean.dtype, mean, rstd, h);
  RW_CHECK(dh.empty() || (dh.shape == h.shape && dh.dtype == h.dtype), dh, h);
  RW_CHECK(on_device(ctx, dx, dy, dh, h, mean, rstd, weight), dx, dy, dh, h, mean, rstd, weight);
  RW_CHECK(same(dx, dy) || disjoint(dx, dy), dx, dy);
  RW_CHECK(same(dx, dh) || disjoint(dx, dh), dx, dh);
  RW_CHECK(disjoint_from_all(dx, h, mean, rstd, weight), dx, h, mean, rstd, weight);

  const ArenaScope scope(ctx.scratch);
  View partial;
  if (mode != Grad::skip) {
    RW_CHECK(dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), dweight, weight);
    RW_CHECK(dbias.empty() || (dbias.shape == weight.shape && dbias.dtype == accumulator(weight.dtype)), dbias, weight);
    RW_CHECK(on_device(ctx, dweight, dbias), dweight, dbias);
    RW_CHECK(disjoint_from_all(dweight, dbias, dx, dy, dh, h, mean, rstd, weight), dweight, dbias, dx, dy, dh, h);
    RW_CHECK(disjoint_from_all(dbias, dx, dy, dh, h, mean, rstd, weight), dbias, dx, dy, dh, h);
    const int64_t sums = dbias.empty() ? 1 : 2;
    partial = ctx.scratch.take({sums * row_parts(h.rows()), h.width()}, accumulator(h.dtype), "layer_norm.partial");
  }

  dispatch<cpu::layer_norm_backward, fast::layer_norm_backward, cuda::layer_norm_backward>(
      __func__, ctx, h.dtype, dx, dweight, dbias, dy, dh, h, mean, rstd, weight, mode, partial);
}

}  // namespace rw
