// y = x · wᵀ + bias, and its gradients:
//
//   dx = dy · w        dw (+)= dyᵀ · x        dbias (+)= Σ_rows dy
//
// Shapes x [..., in], y [..., out], w [out, in], bias [out] or none. The weight may be several projections of one
// input, one under the other; `parts` name them in files. DTypes as in core/math/gemm.hpp, dw and dbias of the
// accumulator dtype. Errors rw::Error as there.
#pragma once
#include "core/math/gemm.hpp"

namespace rw {

struct Linear {
  struct Saved {
    CView x;
  };

  Param weight;
  std::vector<Param> bias;  // none or one

  // parts: the names without ".weight" and ".bias", and how many outputs each has.
  Linear(std::vector<Param::Part> parts, int64_t in, bool with_bias, double init_std);

  template <class F>
  void each(F&& f) {
    f(weight);
    for (Param& b : bias) f(b);
  }

  void forward(Ctx&, View y, CView x, Saved&) const;
  // dx may be empty: not wanted.
  void backward(Ctx&, View dx, CView dy, const Saved&, Grad) const;
};

}  // namespace rw
