#include "layers/attention/attention.hpp"

#include <cmath>

#include "layers/attention/attention_tiles.hpp"

namespace rw {
namespace {

struct Expect {
  const char* op;

  template <class... V>
  void operator()(bool holds, const char* what, const char* names, const V&... values) const {
    if (!holds) detail::check_failed(op, what, names, values...);
  }
};

AttentionSizes check_inputs(const Expect& expect, const Ctx& ctx, CView q, CView k, CView v, const AttentionOpt& opt) {
  const int64_t d = opt.head_width;
  const CView first_key = opt.first_key, factor = opt.factor, q_far = opt.q_far, k_far = opt.k_far;
  expect(q.shape.rank == 3 && k.shape.rank == 3 && v.shape.rank == 3, "three dimensions", "q, k, v", q, k, v);
  expect(d > 0 && q.width() > 0 && q.width() % d == 0, "q's width a multiple of head_width > 0", "head_width, q", d, q);
  expect(k.width() > 0 && k.width() % d == 0, "k's width a multiple of head_width", "head_width, k", d, k);
  expect(q.width() % k.width() == 0, "as many or several times as many query heads as key heads", "q, k", q, k);
  expect(v.width() > 0 && v.width() % (k.width() / d) == 0, "v's width a multiple of the key heads", "v, k", v, k);
  const AttentionSizes sizes(q, k, v, opt);
  const Shape of_v{sizes.batch, sizes.keys, v.width()};
  expect(sizes.batch > 0 && k.shape.dim[0] == sizes.batch && v.shape == of_v,
         "one batch size and as many values as keys", "q, k, v", q, k, v);
  expect(1 <= sizes.queries && sizes.queries <= sizes.keys, "at least one query and no more than keys", "q, k", q, k);
  expect(q.dtype != DType::i32, "f64, f32 or bf16", "q", q);
  expect(k.dtype == q.dtype && v.dtype == q.dtype, "one dtype", "q, k, v", q, k, v);
  expect(on_device(ctx, q, k, v, first_key), "all on the context's device", "q, k, v, first_key", q, k, v, first_key);
  const Shape of_first_key{sizes.batch, sizes.keys};
  expect(first_key.empty() ||
             (first_key.shape == of_first_key && first_key.dtype == DType::i32 && first_key.row_stride == sizes.keys),
         "i32 [B, Tk], dense", "first_key, k", first_key, k);
  expect(std::isfinite(opt.scale), "a finite scale", "scale", opt.scale);
  const Shape of_factor{sizes.batch, sizes.queries};
  expect(factor.empty() ||
             (factor.shape == of_factor && factor.dtype == accumulator(q.dtype) && factor.row_stride == sizes.queries),
         "the accumulator dtype of q, [B, Tq], dense", "factor, q", factor, q);
  expect(q_far.empty() == k_far.empty(), "both branches' queries and keys", "q_far, k_far", q_far, k_far);
  if (!q_far.empty())
    expect(q_far.shape == q.shape && k_far.shape == k.shape && q_far.dtype == q.dtype && k_far.dtype == q.dtype,
           "a far branch like the near one", "q_far, k_far, q, k", q_far, k_far, q, k);
  expect(on_device(ctx, factor, q_far, k_far), "all on the context's device", "factor, q_far, k_far", factor, q_far,
         k_far);
  expect(opt.near >= 0 && opt.window >= 0 && opt.sinks >= 0, "near, window and sinks at least 0", "near, window, sinks",
         opt.near, opt.window, opt.sinks);
  const int64_t e = sizes.value_width;
  expect(ctx.device.kind == Device::cpu || std::max(d, e) <= kMostWidthOnGpu, "heads of at most 256 columns on a GPU",
         "d, e", d, e);
  return sizes;
}

// What the twin that dispatch picks wants.
bool runs_plain(const Ctx& ctx, CView q) { return ctx.plain || q.dtype == DType::f64; }
Shape forward_scratch(const Ctx& ctx, const AttentionSizes& sizes, CView q, CView k, CView v, const AttentionOpt& opt) {
  if (ctx.device.kind == Device::cuda) return {0};
  if (runs_plain(ctx, q)) return {sizes.batch * sizes.heads, sizes.keys};
  return {AttentionTiles(q, k, v, opt).forward_scratch()};
}
Shape backward_scratch(const Ctx& ctx, const AttentionSizes& sizes, CView q, CView k, CView v,
                       const AttentionOpt& opt) {
  if (ctx.device.kind == Device::cuda) return {sizes.batch * sizes.queries, sizes.heads};
  if (runs_plain(ctx, q)) return {0};
  return {AttentionTiles(q, k, v, opt).backward_scratch()};
}

}  // namespace

void attention_forward(Ctx& ctx, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt) {
  const AttentionSizes sizes = check_inputs({__func__}, ctx, q, k, v, opt);
  const Shape of_o{sizes.batch, sizes.queries, sizes.heads * sizes.value_width};
  const Shape of_lse{sizes.batch, sizes.queries, sizes.heads};
  RW_CHECK(o.shape == of_o && o.dtype == q.dtype, o, q, v);
  RW_CHECK(lse.shape == of_lse && lse.dtype == accumulator(q.dtype), lse, q);
  RW_CHECK(on_device(ctx, o, lse), o, lse);
  RW_CHECK(disjoint_from_all(o, q, k, v, opt.first_key, opt.factor, opt.q_far, opt.k_far), o, q, k, v);
  RW_CHECK(disjoint_from_all(lse, o, q, k, v, opt.first_key, opt.factor, opt.q_far, opt.k_far), lse, o, q, k, v);

  const ArenaScope scope(ctx.scratch);
  const View scratch = ctx.scratch.take(forward_scratch(ctx, sizes, q, k, v, opt), accumulator(q.dtype), __func__);
  dispatch<cpu::attention_forward, fast::attention_forward, cuda::attention_forward>(__func__, ctx, q.dtype, o, lse, q,
                                                                                     k, v, opt, scratch);
}

void attention_backward(Ctx& ctx, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o, CView lse,
                        CView q, CView k, CView v, const AttentionOpt& opt) {
  const AttentionSizes sizes = check_inputs({__func__}, ctx, q, k, v, opt);
  const Shape of_o{sizes.batch, sizes.queries, sizes.heads * sizes.value_width};
  const Shape of_lse{sizes.batch, sizes.queries, sizes.heads};
  RW_CHECK(dq.shape == q.shape && dq.dtype == q.dtype, dq, q);
  RW_CHECK(dk.shape == k.shape && dk.dtype == q.dtype, dk, k);
  RW_CHECK(dv.shape == v.shape && dv.dtype == q.dtype, dv, v);
  RW_CHECK(dq_far.empty() == opt.q_far.empty() && dk_far.empty() == opt.k_far.empty(), dq_far, dk_far);
  if (!dq_far.empty()) {
    RW_CHECK(dq_far.shape == q.shape && dq_far.dtype == q.dtype, dq_far, q);
    RW_CHECK(dk_far.shape == k.shape && dk_far.dtype == q.dtype, dk_far, k);
  }
  RW_CHECK(do_.shape == of_o && do_.dtype == q.dtype, do_, q, v);
  RW_CHECK(o.shape == of_o && o.dtype == q.dtype, o, q, v);
  RW_CHECK(lse.shape == of_lse && lse.dtype == accumulator(q.dtype), lse, q);
  RW_CHECK(on_device(ctx, dq, dk, dv, dq_far, dk_far, do_, o, lse), dq, dk, dv, dq_far, dk_far, do_, o, lse);
  const auto apart = [&](View output, auto... others) {
    return disjoint_from_all(output, others..., do_, o, lse, q, k, v, opt.first_key, opt.factor, opt.q_far, opt.k_far);
  };
  RW_CHECK(apart(dq), dq, do_, o, lse, q, k, v);
  RW_CHECK(apart(dk, dq), dk, dq, do_, o, lse, q, k, v);
  RW_CHECK(apart(dv, dk, dq), dv, dk, dq, do_, o, lse, q, k, v);
  RW_CHECK(apart(dq_far, dv, dk, dq), dq_far, dv, dk, dq, do_, o, lse, q, k, v);
  RW_CHECK(apart(dk_far, dq_far, dv, dk, dq), dk_far, dq_far, dv, dk, dq, do_, o, lse, q, k, v);

  const ArenaScope scope(ctx.scratch);
  const View scratch = ctx.scratch.take(backward_scratch(ctx, sizes, q, k, v, opt), accumulator(q.dtype), __func__);
  dispatch<cpu::attention_backward, fast::attention_backward, cuda::attention_backward>(
      __func__, ctx, q.dtype, dq, dk, dv, dq_far, dk_far, do_, o, lse, q, k, v, opt, scratch);
}

}  // namespace rw
