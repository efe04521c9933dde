#include "layers/loss/linear_cross_entropy.hpp"

namespace rw {
namespace {

bool is_vector(CView v, int64_t elements) {  // of any shape, without gaps
  return v.rows() * v.width() == elements && (v.rows() == 1 || v.row_stride == v.width());
}

CView flat(CView v) { return reshape(v, {v.rows() * v.width()}); }
View flat(View v) { return reshape(v, {v.rows() * v.width()}); }

void check_targets(const char* op, CView target, int64_t vocab) {
  const int32_t* ids = target.as<int32_t>().data;
  for (int64_t r = 0; r < target.width(); ++r)
    if (ids[r] != kIgnore && (ids[r] < 0 || ids[r] >= vocab))
      throw Error(std::string(op) + ": target of row " + std::to_string(r) + " is " + std::to_string(ids[r]) +
                  ", expected " + std::to_string(kIgnore) + " (ignored) or an id from 0 to " +
                  std::to_string(vocab - 1));
}

void check(const char* op, const Ctx& ctx, CView nll, CView x, CView w, CView target) {
  const bool good = x.rows() > 0 && x.width() > 0 && w.shape.rank == 2 && w.rows() > 0 && w.width() == x.width() &&
                    is_vector(nll, x.rows()) && is_vector(target, x.rows()) && w.dtype == x.dtype &&
                    nll.dtype == accumulator(x.dtype) && target.dtype == DType::i32 &&
                    on_device(ctx, nll, x, w, target) && disjoint_from_all(nll, x, w, target);
  if (!good)
    detail::check_failed(op, "matching shapes, dtypes and devices, and nll apart", "nll, x, w, target", nll, x, w,
                         target);
  // On a GPU the ids are not at hand without waiting; its twin looks at them.
  if (!ctx.dry && ctx.device.kind == Device::cpu) check_targets(op, flat(target), w.rows());
}

// Calls f(first, count, z) for every chunk, with z [count, V] from the scratch.
template <class F>
void for_chunks(Ctx& ctx, int64_t rows, CView w, int64_t logit_bytes, F&& f) {
  const int64_t chunk = loss_chunk_rows(rows, w.rows(), w.dtype, logit_bytes);
  const ArenaScope scope(ctx.scratch);
  const View z = ctx.scratch.take({chunk, w.rows()}, w.dtype, "linear_cross_entropy.logits");
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    f(first, count, rw::rows(z, 0, count));
  }
}

}  // namespace

int64_t loss_chunk_rows(int64_t rows, int64_t vocab, DType dtype, int64_t logit_bytes) {
  const int64_t fit = logit_bytes / (vocab * static_cast<int64_t>(size_of(dtype)));
  const int64_t chunks = (rows - 1) / std::max(fit, kLossRows) + 1;
  return (rows - 1) / chunks + 1;
}

void linear_cross_entropy(Ctx& ctx, View nll, CView x, CView w, CView target, int64_t logit_bytes) {
  check(__func__, ctx, nll, x, w, target);
  for_chunks(ctx, x.rows(), w, logit_bytes, [&](int64_t first, int64_t count, View z) {
    gemm_nt(ctx, z, rows(x, first, count), w, {}, Grad::overwrite);
    softmax_cross_entropy(ctx, columns(flat(nll), first, count), z, columns(flat(target), first, count), 0, false);
  });
}

void linear_cross_entropy_with_gradient(Ctx& ctx, View nll, View dx, View dw, CView x, CView w, CView target,
                                        double scale, Grad mode, int64_t logit_bytes) {
  check(__func__, ctx, nll, x, w, target);
  RW_CHECK(dx.rows() == x.rows() && dx.width() == x.width() && dx.dtype == x.dtype, dx, x);
  RW_CHECK(on_device(ctx, dx, dw), dx, dw);
  RW_CHECK(same(dx, x) || disjoint(dx, x), dx, x);
  RW_CHECK(disjoint_from_all(dx, nll, w, target), dx, nll, w, target);
  if (mode != Grad::skip) {
    RW_CHECK(dw.shape == w.shape && dw.dtype == accumulator(w.dtype), dw, w);
    RW_CHECK(disjoint_from_all(dw, nll, dx, x, w, target), dw, nll, dx, x, w, target);
  }
  for_chunks(ctx, x.rows(), w, logit_bytes, [&](int64_t first, int64_t count, View z) {
    const CView x_chunk = rows(x, first, count);
    gemm_nt(ctx, z, x_chunk, w, {}, Grad::overwrite);
    softmax_cross_entropy(ctx, columns(flat(nll), first, count), z, columns(flat(target), first, count), scale, true);
    if (mode != Grad::skip) gemm_tn(ctx, dw, z, x_chunk, first == 0 ? mode : Grad::accumulate);
    gemm_nn(ctx, rows(dx, first, count), z, w, Grad::overwrite);  // last: dx may be x
  });
}

void softmax_cross_entropy(Ctx& ctx, View nll, View z, CView target, double scale, bool gradient) {
  RW_CHECK(z.rows() > 0 && z.width() > 0, z);
  RW_CHECK(is_vector(nll, z.rows()) && is_vector(target, z.rows()), nll, target, z);
  RW_CHECK(nll.dtype == accumulator(z.dtype) && target.dtype == DType::i32, nll, target, z);
  RW_CHECK(on_device(ctx, nll, z, target), nll, z, target);
  RW_CHECK(disjoint(nll, z) && disjoint(nll, target) && disjoint(z, target), nll, z, target);
  dispatch<cpu::softmax_cross_entropy, fast::softmax_cross_entropy, cuda::softmax_cross_entropy>(
      __func__, ctx, z.dtype, nll, z, target, scale, gradient);
}

}  // namespace rw
