// AdamW on one range of the flat buffers, with the clip factor read where it lies, so that no host waits for it.
//
//   g' = clip[0] · g
//   m = β1 · m + (1 - β1) · g',   v = β2 · v + (1 - β2) · g'²
//   p = p - lr · weight_decay · p - lr · (m / (1 - β1^t)) / (√(v / (1 - β2^t)) + eps)        t = step, from 1
//
//   low = p, rounded             what a model in bf16 computes with, made in the same pass; p is its master copy
//
// Shapes   p, m, v, g [n]; clip [1]; low [n], or empty: none.
// DTypes   f64, f32, one for all but low, which is bf16, on a GPU. Nothing overlaps. One pass over memory.
// Bits     the same for every number of threads and every cut into ranges.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or step < 1, a β outside [0, 1), lr or
//          weight_decay negative, or eps not positive. A clip of NaN says that the step went wrong: nothing is written.
// Source   Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2017, arXiv 1711.05101; the order of
//          operations is PyTorch's.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

struct AdamWOpt {
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  int64_t step = 0;
};

void adamw(Ctx&, View p, View low, View m, View v, CView g, CView clip, const AdamWOpt&);

using AdamW = Twin<decltype(adamw)>;
namespace cpu {
AdamW adamw;
}
namespace fast {
AdamW adamw;
}
namespace cuda {
[[gnu::weak]] AdamW adamw;
}

}  // namespace rw
