// The attention sub-layer of a decoder block: projections, optional norm of each head's query and key, rotation,
// causal attention, output projection.
//
//   q, k, v = x · Wqkvᵀ + b        q_h ← norm(q_h), k_g ← norm(k_g)   (qk_norm, key_norm)
//   y = attention(q, k, v) · Woᵀ + b        with q and k turned as positions.hpp says, in one or two branches
//
// Shapes   x, y, dx, dy [B, T, C]; Wqkv [(H + 2G)·d, C]; Wo [C, H·d].
// Errors   rw::Error as in the ops.
// Source   Vaswani et al., 2017, arXiv 1706.03762; grouped heads: arXiv 2305.13245; QK-norm: arXiv 2010.04245;
//          spec/positions.md 1.5 to 1.8 and 5.4.
#pragma once
#include <optional>

#include "layers/attention/attention.hpp"
#include "layers/attention/kv_cache.hpp"
#include "layers/linear/linear.hpp"
#include "layers/norm/norm.hpp"
#include "layers/transformer/config.hpp"

namespace rw {

struct RotaryTable {
  CView cos, sin;  // [P, pairs], rope.hpp; empty: nothing is turned
};

// What a forward of one layer knows about its tokens besides their values.
struct Sequence {
  LayerPositions layer;
  RotaryTable near, far_query, far_key;
  CView position;      // i32 [B, T]: rows of the tables
  CView first_key;     // i32 [B, Tk]; empty: one document
  CView factor;        // λ [B, T]; empty: 1
  CView ones;          // [d]: the gain of key_norm
  CView key_position;  // i32 [1, P]: 0, 1, 2, ...; for a cache of raw keys
};

struct SelfAttention {
  struct Saved {
    Linear::Saved qkv, out;
    std::optional<Norm::Saved> q_norm, k_norm;
    CView raw_q, raw_k, q_rstd, k_rstd;  // of key_norm
    CView q, k, v, o, lse;               // q and k: turned, or with a far branch raw
  };

  int64_t heads, kv_heads, head_width;
  RopeLayout layout;
  KeyNorm key_norm;
  double scale, scale_with_log_n;  // the latter in layers whose queries have a factor
  Linear qkv, out;
  std::vector<Norm> q_norm, k_norm;  // none or one each

  // prefix: the tensors' names up to "q_proj".
  SelfAttention(const std::string& prefix, const ModelConfig&, double init_std, double init_std_out);

  template <class F>
  void each(F&& f) {
    qkv.each(f);
    for (Norm& n : q_norm) n.each(f);
    for (Norm& n : k_norm) n.each(f);
    out.each(f);
  }

  void forward(Ctx&, View y, CView x, const Sequence&, Saved&) const;
  void backward(Ctx&, View dx, CView dy, const Sequence&, const Saved&, Grad) const;
  // Appends the T tokens of x [1, T, C] to the cache and lets them attend to what they see of it. rw::Error if they are
  // more than a cache without a window has room for, or than there are positions for raw keys.
  void decode(Ctx&, View y, CView x, const Sequence&, KvCache&) const;

 private:
  struct Heads {
    View q, k, v;
    View both() const;  // q and k, side by side
  };
  struct Turned {
    CView q, k, q_far, k_far;
  };
  Heads project(Ctx&, CView x, const Sequence&, Saved&) const;
  Turned turn(Ctx&, CView q, CView k, const Sequence&, CView key_position) const;
  AttentionOpt options(const Sequence&, const Turned&) const;
  RopeOpt rope_options(bool inverse = false, bool add = false) const { return {layout, head_width, inverse, add}; }
};

}  // namespace rw
