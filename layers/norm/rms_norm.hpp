// RMSNorm, optionally with the residual add before it, in one pass over memory. Rows are tokens, C is the normed width;
// a row may hold G groups of C columns, each normed by itself with the same weight (QK-norm: one group per head).
//
//   h    = x + branch                                       the new residual stream; without a branch h is x
//   rstd = (mean_c h² + eps)^(-1/2)                         one per row and group
//   y    = weight · h · rstd
//
// Vector-Jacobian product, from dy (of y) and dh (of h, from the layers after this one; empty: zero), g = weight · dy:
//
//   dx      = dh + rstd · g - h · rstd³ · mean_c(g · h)     the gradient of x and, equally, of branch
//   dweight (+)= Σ_rows,groups dy · h · rstd                a fixed order of additions: the same bits in every run
//
// Shapes   x, branch, h, y, dy, dh, dx [..., G·C]; weight, dweight [C]; rstd [rows, G]. branch and dh may be
//          empty; h is empty exactly when branch is.
// DTypes   f64, f32, bf16 on a GPU, one for all but rstd and dweight, of the accumulator dtype.
// Aliasing y may be x without a branch; h may be x itself, dx may be dh or dy; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or eps is not positive. With Grad::skip, dweight
//          is not looked at.
// Traffic  with a branch 4 tensors of [rows, G·C] forward and 4 backward; without 2 and 3.
// Source   Zhang and Sennrich, Root Mean Square Layer Normalization, 2019, arXiv 1910.07467.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void rms_norm_forward(Ctx&, View y, View h, View rstd, CView x, CView branch, CView weight, double eps);
// h: what forward normed, that is its h, or its x where it had no branch.
void rms_norm_backward(Ctx&, View dx, View dweight, CView dy, CView dh, CView h, CView rstd, CView weight, Grad);

using RmsNormForward = Twin<decltype(rms_norm_forward)>;
using RmsNormBackward = Twin<decltype(rms_norm_backward), View /* partial [row_parts, C], empty with skip */>;
namespace cpu {
RmsNormForward rms_norm_forward;
RmsNormBackward rms_norm_backward;
}  // namespace cpu
namespace fast {
RmsNormForward rms_norm_forward;
RmsNormBackward rms_norm_backward;
}  // namespace fast
namespace cuda {
[[gnu::weak]] RmsNormForward rms_norm_forward;
[[gnu::weak]] RmsNormBackward rms_norm_backward;
}  // namespace cuda

}  // namespace rw
