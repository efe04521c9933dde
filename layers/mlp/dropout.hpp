// y = mask · x / (1 - p), mask 0 with probability p, else 1. Nothing is saved: the mask is drawn again in backward.
//
//   dx = mask · dy / (1 - p)
//
// The draw of element c of row t of sample b of x [B, T, C]: word e % 4 of philox({e / 4, key.sample + b, key.step,
// key.site}, philox_key(key.seed)), e = t · C + c; the element is kept if uniform(word) > p.
//
// Shapes   x, y [B, T, C]. DTypes f64, f32, bf16 on a GPU, one for both. p in [0, 1).
// Aliasing y may be x. backward is forward with dx, dy in place of y, x.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or p is outside [0, 1), or T · C ≥ 2^34.
// Source   Srivastava et al., Dropout, 2014, JMLR 15.
#pragma once
#include "core/base/philox.hpp"
#include "core/dispatch.hpp"

namespace rw {

void dropout(Ctx&, View y, CView x, double p, DrawKey key);

// uniform(word) > p exactly if word >> 8 ≥ ⌊2²⁴ p⌋.
constexpr uint32_t dropout_threshold(double p) { return static_cast<uint32_t>(p * 0x1p24); }

using Dropout = Twin<decltype(dropout)>;
namespace cpu {
Dropout dropout;
}
namespace fast {
Dropout dropout;
}
namespace cuda {
[[gnu::weak]] Dropout dropout;
}

}  // namespace rw
