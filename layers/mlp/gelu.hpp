// Gaussian error linear unit, exact or in its tanh form.
//
//   exact   y = x · Φ(x),  Φ(x) = (1 + erf(x / √2)) / 2              dx = dy · (Φ(x) + x · e^(-x²/2) / √(2π))
//   tanh    y = x/2 · (1 + t),  t = tanh(s),  s = √(2/π) · (x + 0.044715 x³)
//           dx = dy · ((1 + t)/2 + x/2 · (1 - t²) · √(2/π) · (1 + 3 · 0.044715 x²))
//
// Shapes   x, y, dx, dy [..., I], the same. DTypes f64, f32, bf16 on a GPU, one for all.
// Aliasing y may be x; dx may be dy or x; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise.
// Source   Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, arXiv 1606.08415.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

enum class GeluForm { exact, tanh };

void gelu_forward(Ctx&, View y, CView x, GeluForm);
void gelu_backward(Ctx&, View dx, CView dy, CView x, GeluForm);

using GeluForward = Twin<decltype(gelu_forward)>;
using GeluBackward = Twin<decltype(gelu_backward)>;
namespace cpu {
GeluForward gelu_forward;
GeluBackward gelu_backward;
}  // namespace cpu
namespace fast {
GeluForward gelu_forward;
GeluBackward gelu_backward;
}  // namespace fast
namespace cuda {
[[gnu::weak]] GeluForward gelu_forward;
[[gnu::weak]] GeluBackward gelu_backward;
}  // namespace cuda

}  // namespace rw
