// The MLP sub-layer of a decoder block, gated or plain.
//
//   swiglu   y = (silu(x · Wgᵀ + bg) ∘ (x · Wuᵀ + bu)) · Wdᵀ + bd        gelu, gelu_tanh   y = gelu(x · Wuᵀ + bu) · Wdᵀ
//   + bd
//
// Shapes   x, y, dx, dy [..., C]; Wg, Wu [I, C] (joined: one product); Wd [C, I].
// Errors   rw::Error as in the ops.
#pragma once
#include "layers/linear/linear.hpp"
#include "layers/transformer/config.hpp"

namespace rw {

struct Mlp {
  struct Saved {
    Linear::Saved up, down;  // down.x is empty where the activation was not kept
    View product;            // before the activation
  };

  MlpKind kind;
  int64_t hidden;
  Linear up, down;

  // prefix: the tensors' names up to "up_proj".
  Mlp(const std::string& prefix, MlpKind, int64_t width, int64_t hidden, bool with_bias, double init_std,
      double init_std_down);

  template <class F>
  void each(F&& f) {
    up.each(f);
    down.each(f);
  }

  // keep: hold the activation for backward, which else computes it again.
  void forward(Ctx&, View y, CView x, bool keep, Saved&) const;
  // Overwrites what forward saved.
  void backward(Ctx&, View dx, CView dy, const Saved&, Grad) const;

 private:
  void activate(Ctx&, View y, CView product) const;
};

}  // namespace rw
