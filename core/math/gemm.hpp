// Matrix product, the three forms that a linear layer needs.
//
//   gemm_nt   c = a · bᵀ + bias      a [m, k], b [n, k], c [m, n]      forward:          y = x · wᵀ + bias
//   gemm_nn   c = a · b              a [m, k], b [k, n], c [m, n]      data gradient:    dx = dy · w
//   gemm_tn   c = aᵀ · b             a [k, m], b [k, n], c [m, n]      weight gradient:  dw = dyᵀ · x
//
// Shapes   matrices: all dimensions but the last are rows. bias [n], or empty for none.
// DTypes   a and b f64, f32, or on a GPU bf16; c and bias the same, or without bias c of the accumulator dtype, in
//          which sums are. f64 is plain; f32 is oneDNN (plain with ctx.plain), on a GPU cuBLASLt without TF32.
// Store    overwrite sets c, accumulate adds to it. Grad::skip is an error here.
// Aliasing c overlaps nothing else. Rows may be strided.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or the library refuses. On a GPU UserError if
//          cuBLASLt, opened when the first product is asked for, is not found, or 32 MiB of workspace are not there.
// Bits     the same for the same build, machine kind, number of threads and shapes.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void gemm_nt(Ctx&, View c, CView a, CView b, CView bias, Grad store);
void gemm_nn(Ctx&, View c, CView a, CView b, Grad store);
void gemm_tn(Ctx&, View c, CView a, CView b, Grad store);

inline constexpr size_t kGemmWorkspace = 32 << 20;  // bytes of a GPU that all its products share

using GemmNt = Twin<decltype(gemm_nt)>;
using GemmNn = Twin<decltype(gemm_nn)>;
using GemmTn = Twin<decltype(gemm_tn)>;
namespace cpu {
GemmNt gemm_nt;
GemmNn gemm_nn;
GemmTn gemm_tn;
}  // namespace cpu
namespace fast {
GemmNt gemm_nt;
GemmNn gemm_nn;
GemmTn gemm_tn;
}  // namespace fast
namespace cuda {
[[gnu::weak]] GemmNt gemm_nt;
[[gnu::weak]] GemmNn gemm_nn;
[[gnu::weak]] GemmTn gemm_tn;
}  // namespace cuda

}  // namespace rw
