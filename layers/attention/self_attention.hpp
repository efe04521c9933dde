// The attention sub-layer of a decoder block: projections, optional norm of each head's query and key, rotation,
// causal attention, output projection.
//
//   q, k, v = x · Wqkvᵀ + b        q_h ← norm(q_h), k_g ← norm(k_g)   (qk_norm)        q, k ← rotated (rope)
//   y = attention(q, k, v) · Woᵀ + b
//
// Shapes   x, y, dx, dy [B, T, C]; Wqkv [(H + 2G)·d, C]; Wo [C, H·d].
// Errors   rw::Error as in the ops.
// Source   Vaswani et al., 2017, arXiv 1706.03762; grouped heads: arXiv 2305.13245; QK-norm: arXiv 2010.04245.
#pragma once
#include <optional>

#include "layers/attention/attention.hpp"
#include "layers/linear/linear.hpp"
#include "layers/norm/norm.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {

// What a forward knows about its tokens besides their values. Views may be empty.
struct Sequence {
  CView cos, sin;   // rope tables [P, d/2]; empty: no rotation
  CView position;   // i32 [B, T]
  CView first_key;  // i32 [B, Tk]; empty: one document
};

// Keys and values of earlier tokens, for generation, of one sequence.
struct KvCache {
  View k, v;           // [capacity, G·d]
  int64_t length = 0;  // rows in use
};

struct SelfAttention {
  struct Saved {
    Linear::Saved qkv, out;
    std::optional<Norm::Saved> q_norm, k_norm;
    CView q, k, v, o, lse;  // as the attention op saw them
  };

  int64_t heads, kv_heads, head_width;
  RopeLayout layout;
  Linear qkv, out;
  std::vector<Norm> q_norm, k_norm;  // none or one each

  // prefix: the tensors' names up to "q_proj".
  SelfAttention(const std::string& prefix, int64_t width, int64_t heads, int64_t kv_heads, int64_t head_width,
                RopeLayout, bool qkv_bias, bool out_bias, bool qk_norm, double norm_eps, double init_std,
                double init_std_out);

  template <class F>
  void each(F&& f) {
    qkv.each(f);
    for (Norm& n : q_norm) n.each(f);
    for (Norm& n : k_norm) n.each(f);
    out.each(f);
  }

  void forward(Ctx&, View y, CView x, const Sequence&, Saved&) const;
  void backward(Ctx&, View dx, CView dy, const Sequence&, const Saved&, Grad) const;
  // Appends the T tokens of x [1, T, C] to the cache and lets them attend to all of it.
  void decode(Ctx&, View y, CView x, const Sequence&, KvCache&) const;

 private:
  struct Heads {
    View q, k, v;
  };
  Heads project(Ctx&, CView x, const Sequence&, Saved&) const;
  AttentionOpt options(const Sequence&) const;
};

}  // namespace rw
