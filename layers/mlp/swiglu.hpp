// y = silu(g) · u, silu(g) = g · σ(g), σ(g) = 1 / (1 + e^-g).
//
//   dg = dy · u · σ(g) · (1 + g · (1 - σ(g)))        du = dy · silu(g)
//
// Shapes   g, u, y, dg, du, dy [..., I], the same. DTypes f64, f32, bf16 on a GPU, one for all.
// Aliasing dg may be g and du may be u; y overlaps nothing but may be g; g and u may be column slices of one tensor.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise.
// Source   Shazeer, GLU Variants Improve Transformer, 2020, arXiv 2002.05202.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void swiglu_forward(Ctx&, View y, CView g, CView u);
void swiglu_backward(Ctx&, View dg, View du, CView dy, CView g, CView u);

using SwigluForward = Twin<decltype(swiglu_forward)>;
using SwigluBackward = Twin<decltype(swiglu_backward)>;
namespace cpu {
SwigluForward swiglu_forward;
SwigluBackward swiglu_backward;
}  // namespace cpu
namespace fast {
SwigluForward swiglu_forward;
SwigluBackward swiglu_backward;
}  // namespace fast
namespace cuda {
[[gnu::weak]] SwigluForward swiglu_forward;
[[gnu::weak]] SwigluBackward swiglu_backward;
}  // namespace cuda

}  // namespace rw
