// LayerNorm, optionally with the residual add before it.
//
//   h    = x + branch                                       without a branch h is x
//   mean = mean_c h,  rstd = (mean_c (h - mean)² + eps)^(-1/2)
//   n    = (h - mean) · rstd,  y = weight · n + bias        bias may be empty: none
//
// Vector-Jacobian product, from dy (of y) and dh (of h; empty: zero), with g = weight · dy:
//
//   dx      = dh + rstd · (g - mean_c g - n · mean_c(g · n))
//   dweight (+)= Σ_rows dy · n,   dbias (+)= Σ_rows dy      a fixed order of additions
//
// Shapes   x, branch, h, y, dy, dh, dx [..., C]; weight, bias, dweight, dbias [C]; mean, rstd [rows]. branch, dh, bias,
//          dbias may be empty; h is empty exactly when branch is, dbias when the layer has no bias.
// DTypes   f64, f32, bf16 on a GPU, one for all but mean, rstd, dweight and dbias, of the accumulator dtype.
// Aliasing h may be x itself, dx may be dh or dy; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or eps is not positive. With Grad::skip, dweight
//          and dbias are not looked at.
// Source   Ba, Kiros and Hinton, Layer Normalization, 2016, arXiv 1607.06450.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void layer_norm_forward(Ctx&, View y, View h, View mean, View rstd, CView x, CView branch, CView weight, CView bias,
                        double eps);
void layer_norm_backward(Ctx&, View dx, View dweight, View dbias, CView dy, CView dh, CView h, CView mean, CView rstd,
                         CView weight, Grad);

// partial: [row_parts, C] for dweight, under it as much for dbias if there is one; empty with skip.
using LayerNormForward = Twin<decltype(layer_norm_forward)>;
using LayerNormBackward = Twin<decltype(layer_norm_backward), View /* partial */>;
namespace cpu {
LayerNormForward layer_norm_forward;
LayerNormBackward layer_norm_backward;
}  // namespace cpu
namespace fast {
LayerNormForward layer_norm_forward;
LayerNormBackward layer_norm_backward;
}  // namespace fast
namespace cuda {
[[gnu::weak]] LayerNormForward layer_norm_forward;
[[gnu::weak]] LayerNormBackward layer_norm_backward;
}  // namespace cuda

}  // namespace rw
