// Causal softmax attention with grouped key/value heads, documents and a cached prefix, in memory linear in the length:
// tiles of scores live in cache, T x T is never stored.
//
// For every sample, query head h and query i (key head g = h / (H / G)):
//
//   s_ij = scale · <q_i, k_j>        j visible to i:  first_i ≤ j ≤ i + (Tk - Tq)
//   lse_i = ln Σ_j e^(s_ij),   p_ij = e^(s_ij - lse_i),   o_i = Σ_j p_ij · v_j
//
// Keys are aligned with queries at the end: the first Tk - Tq keys are a prefix that every query sees (a cache).
// first_i = opt.first_key[i + Tk - Tq] is the index of the first key of query i's document; all zero without documents.
//
// Vector-Jacobian product, from do (of o):
//
//   D_i = <do_i, o_i>,  ds_ij = p_ij · (<do_i, v_j> - D_i)
//   dq_i = scale · Σ_j ds_ij · k_j,  dk_j = scale · Σ_{i, h in group} ds_ij · q_i,  dv_j = Σ_{i, h in group} p_ij ·
//   do_i
//
// Shapes   q, dq [B, Tq, H·d]; k, dk [B, Tk, G·d]; v, dv [B, Tk, G·e]; o, do [B, Tq, H·e]; lse [B, Tq, H], of the
//          accumulator dtype; first_key i32 [B, Tk], non-decreasing along Tk with first_key[j] ≤ j, or empty.
//          d = opt.head_width; G divides H; Tk ≥ Tq ≥ 1.
// DTypes   f64, f32, one for all but first_key.
// Aliasing outputs overlap nothing. All tensors may be column slices.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or the scale is not finite. What first_key holds
//          is not looked at.
// Bits     the same for every number of threads. A key that is not visible contributes nothing, not even a rounding.
// Scratch  its size depends on the shapes and on rw::threads() only.
//
// Room for what comes: a far branch (positions.md 1.5) is a second pair of views q2, k2 and a window in the options; a
// per-query factor is a view that multiplies `scale`; a window is an upper bound on i - j. None of them changes what is
// written here.
//
// Source   Dao, FlashAttention-2, 2023, arXiv 2307.08691; Ainslie et al., GQA, 2023, arXiv 2305.13245;
//          spec/attention.md 1.1 and 2.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

struct AttentionOpt {
  int64_t head_width = 0;  // d
  double scale = 0;        // usually d^(-1/2)
  CView first_key{};
};

void attention_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt&);
void attention_backward(Ctx&, View dq, View dk, View dv, CView do_, CView o, CView lse, CView q, CView k, CView v,
                        const AttentionOpt&);

// Twins trust the checks of attention.cpp, which also takes their scratch; attention_sizes.hpp says what is in it.
using AttentionForward = Twin<decltype(attention_forward), View /* scratch */>;
using AttentionBackward = Twin<decltype(attention_backward), View /* scratch */>;
namespace cpu {
AttentionForward attention_forward;
AttentionBackward attention_backward;
}  // namespace cpu
namespace fast {
AttentionForward attention_forward;
AttentionBackward attention_backward;
}  // namespace fast

}  // namespace rw
