#include "core/math/gemm.hpp"

namespace rw {
namespace {

void check(const char* op, const Ctx& ctx, View c, CView a, CView b, int64_t m, int64_t n, bool inner, Grad store) {
  const bool good = inner && c.rows() == m && c.width() == n && c.rows() > 0 && c.width() > 0 && a.rows() > 0 &&
                    a.width() > 0 && a.dtype == b.dtype && (c.dtype == a.dtype || c.dtype == accumulator(a.dtype)) &&
                    store != Grad::skip && on_device(ctx, c, a, b) && disjoint_from_all(c, a, b);
  if (!good) detail::check_failed(op, "matching shapes, dtypes and devices, and c apart", "c, a, b", c, a, b);
}

}  // namespace

void gemm_nt(Ctx& ctx, View c, CView a, CView b, CView bias, Grad store) {
  check(__func__, ctx, c, a, b, a.rows(), b.rows(), a.width() == b.width(), store);
  if (!bias.empty()) {
    RW_CHECK(bias.shape == Shape{c.width()} && bias.dtype == a.dtype && c.dtype == a.dtype, bias, c, a);
    RW_CHECK(on_device(ctx, bias) && disjoint(c, bias), bias, c);
    RW_CHECK(store == Grad::overwrite);
  }
  dispatch<cpu::gemm_nt, fast::gemm_nt, cuda::gemm_nt>(__func__, ctx, a.dtype, c, a, b, bias, store);
}

void gemm_nn(Ctx& ctx, View c, CView a, CView b, Grad store) {
  check(__func__, ctx, c, a, b, a.rows(), b.width(), a.width() == b.rows(), store);
  dispatch<cpu::gemm_nn, fast::gemm_nn, cuda::gemm_nn>(__func__, ctx, a.dtype, c, a, b, store);
}

void gemm_tn(Ctx& ctx, View c, CView a, CView b, Grad store) {
  check(__func__, ctx, c, a, b, a.width(), b.width(), a.rows() == b.rows(), store);
  dispatch<cpu::gemm_tn, fast::gemm_tn, cuda::gemm_tn>(__func__, ctx, a.dtype, c, a, b, store);
}

}  // namespace rw
