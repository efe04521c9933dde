// Causal softmax attention with grouped key/value heads, documents, a cached prefix, a window, and two branches of
// queries and keys, in memory linear in the length: tiles of scores live in cache, T x T is never stored.
//
// For every sample, query head h and query i (key head g = h / (H / G)), with i' = i + Tk - Tq its index among the
// keys:
//
//   s_ij = scale · λ_i · <q_i, k_j>          near: i' - j < opt.near, or there is no far branch
//        = scale · λ_i · <qf_i, kf_j>        far
//   lse_i = ln Σ_j e^(s_ij),   p_ij = e^(s_ij - lse_i),   o_i = Σ_j p_ij · v_j          over the visible j:
//   first_i ≤ j ≤ i',  and, if there is a window,  i' - j < opt.window  or  j - first_i < opt.sinks
//
// Keys are aligned with queries at the end: the first Tk - Tq keys are a prefix that every query sees (a cache).
// first_i = opt.first_key[i'] is the index of the first key of query i's document; all zero without documents. qf and
// kf are the same queries and keys turned by other angles (layers/rotary/positions.hpp says by which).
//
// Vector-Jacobian product, from do (of o):
//
//   D_i = <do_i, o_i>,  ds_ij = scale · λ_i · p_ij · (<do_i, v_j> - D_i)
//   dq_i  = Σ_{j near} ds_ij · k_j,   dk_j  = Σ_{i near, h in group} ds_ij · q_i,   dv_j = Σ_{i, h in group} p_ij ·
//   do_i dqf_i = Σ_{j far} ds_ij · kf_j,   dkf_j = Σ_{i far, h in group} ds_ij · qf_i
//
// Shapes   q, qf, dq, dqf [B, Tq, H·d]; k, kf, dk, dkf [B, Tk, G·d]; v, dv [B, Tk, G·e]; o, do [B, Tq, H·e]; lse
//          [B, Tq, H]; first_key i32 [B, Tk], non-decreasing along Tk with first_key[j] ≤ j, or empty; λ [B, Tq],
//          dense, or empty: 1. d = opt.head_width; G divides H; Tk ≥ Tq ≥ 1. dqf and dkf are empty
//          exactly when there is no far branch.
// DTypes   f64, f32, or bf16 on a GPU, one for all but first_key; lse and λ are of the accumulator dtype. In bf16 the
//          operands of products, p and ds among them, are rounded to it; scores, sums, D and exponentials are f32.
// Aliasing outputs overlap nothing. All tensors may be column slices. Inputs may be one another: kf may be k.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, the scale is not finite, or near, window or sinks
//          is negative, or d or e is above 256 on a GPU. What first_key holds is not looked at; there a query that sees
//          no key gets NaN.
// Bits     the same for every number of threads. A key that is not visible contributes nothing, not even a rounding.
// Scratch  its size depends on the shapes, the options and rw::threads() only.
//
// Source   Dao, FlashAttention-2, 2023, arXiv 2307.08691; Ainslie et al., GQA, 2023, arXiv 2305.13245;
//          spec/attention.md 1.1 and 2, spec/positions.md 1.5 to 1.7.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

struct AttentionOpt {
  int64_t head_width = 0;  // d
  double scale = 0;        // usually d^(-1/2)
  CView first_key{};
  CView factor{};                 // λ
  CView q_far{}, k_far{};         // both or none
  int64_t near = 0;               // with a far branch; 0: everything is far
  int64_t window = 0, sinks = 0;  // window 0: all keys are visible
};

void attention_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt&);
void attention_backward(Ctx&, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o, CView lse,
                        CView q, CView k, CView v, const AttentionOpt&);

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
namespace cuda {
[[gnu::weak]] AttentionForward attention_forward;
[[gnu::weak]] AttentionBackward attention_backward;
}  // namespace cuda

}  // namespace rw
