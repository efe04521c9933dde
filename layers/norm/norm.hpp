// The norm at a junction of the residual stream, of either kind: adds a branch to the stream and norms the sum for the
// next sub-layer. An RMSNorm whose rows are wider than its weight norms groups of columns (QK-norm). Shapes, dtypes and
// aliasing as in rms_norm.hpp and layer_norm.hpp.
#pragma once
#include "core/ctx.hpp"

namespace rw {

enum class NormKind { rms, layer };

struct Norm {
  // What backward needs. h is the caller's (forward's h, or x where there was no branch) and must hold the same values
  // until then; the statistics lie in ctx.saved.
  struct Saved {
    CView h, mean, rstd;
  };

  NormKind kind;
  double eps;
  Param weight;             // [C], starts at one, does not decay
  std::vector<Param> bias;  // LayerNorm with a bias: one [C], starts at zero, does not decay

  Norm(NormKind, std::string name, int64_t width, bool with_bias, double eps);  // name without ".weight"

  template <class F>
  void each(F&& f) {
    f(weight);
    for (Param& b : bias) f(b);
  }

  void forward(Ctx&, View y, View h, CView x, CView branch, Saved&) const;
  void backward(Ctx&, View dx, CView dy, CView dh, const Saved&, Grad) const;
  // y again, from what was saved, to the same bits: for recomputation.
  void again(Ctx&, View y, const Saved&) const;
};

}  // namespace rw
