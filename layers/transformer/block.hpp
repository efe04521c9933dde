// A pre-norm decoder block. The residual stream is a running sum; a junction adds the last branch to it and norms the
// sum for the next sub-layer, in one pass:
//
//   h1 = x + branch_in,  a = attention(norm1(h1)),  h2 = h1 + a,  branch_out = mlp(norm2(h2))
//
// so the stream after the block is h2 + branch_out, which the next junction adds. Both its terms have the same
// gradient:
//
//   d = gradient of (h2 + branch_out);  d ← d + norm2ᵀ(mlpᵀ(d));  d ← d + norm1ᵀ(attentionᵀ(d))  = gradient of h1
//
// In training with dropout, each branch passes through a dropout of its own (sites 2 and 3 of layer l: 2l + 1, 2l + 2).
//
// Shapes   all [B, T, C].
#pragma once
#include "layers/attention/self_attention.hpp"
#include "layers/mlp/dropout.hpp"
#include "layers/mlp/mlp.hpp"

namespace rw {

struct Draws {
  double dropout = 0;  // probability; 0 in evaluation
  DrawKey key{};       // site is set by the block
};

struct Block {
  struct Saved {
    Norm::Saved norm1, norm2;
    SelfAttention::Saved attention;
    Mlp::Saved mlp;
  };

  int64_t index;
  Norm norm1;
  SelfAttention attention;
  Norm norm2;
  Mlp mlp;

  Block(const ModelConfig&, int64_t index);

  template <class F>
  void each(F&& f) {
    norm1.each(f);
    attention.each(f);
    norm2.each(f);
    mlp.each(f);
  }

  // h1, h2 and branch are set; branch holds branch_in before. x empty: h1 is the stream already, nothing is added.
  // keep: false for Recompute::norms.
  void forward(Ctx&, View h1, View h2, View branch, CView x, const Sequence&, const Draws&, bool keep, Saved&) const;
  // d: the gradient of the stream after the block, then of that before it. Overwrites what forward saved.
  void backward(Ctx&, View d, const Sequence&, const Draws&, Saved&, Grad) const;
  // The same as forward for the next tokens of a cached sequence; nothing is kept.
  void decode(Ctx&, View stream, View branch, bool add, const Sequence&, KvCache&) const;
};

}  // namespace rw
