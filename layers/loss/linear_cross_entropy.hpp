// The head of a language model: logits = x · wᵀ, and the cross-entropy of each row with its target. Rows are taken in
// chunks, so that the logits of all rows never exist at once, and the gradient is formed while a chunk's logits are at
// hand.
//
//   nll[r] = ln Σ_v e^(z[r][v]) - z[r][target[r]],  z = x · wᵀ        0 where target[r] is kIgnore
//
// Gradient of  scale · Σ_r nll[r],  with p = softmax(z) and rows that are ignored left out:
//
//   dz = scale · (p - onehot(target)),   dx = dz · w,   dw (+)= dzᵀ · x
//
// Shapes   x, dx [..., C]; w, dw [V, C]; target i32, nll: rows elements, without gaps. dw may be empty with Grad::skip.
// DTypes   f64, f32, bf16 on a GPU, one for x, w, dx and z; nll and dw of the accumulator dtype.
// Aliasing dx may be x; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or a target is neither kIgnore nor in [0, V): the
//          message has the row and the target, and nothing has been written. On a GPU such a target makes its row of
//          nll and of dz NaN, and so its row of dx and all of dw.
// Not finite  a logit of NaN or +infinity makes its row's nll NaN, one of -infinity counts as probability 0.
// Memory   loss_chunk_rows rows of logits in ctx.scratch: as many as fit logit_bytes, at least kLossRows, the rows
//          spread evenly over the chunks. Every chunk reads w twice, and reads and writes dw: with V = 50,304, C = 768
//          and 512 rows, 16 MiB costs 1.18 times the time of 64 MiB, 128 MiB gains nothing.
#pragma once
#include "core/base/ignore.hpp"
#include "core/math/gemm.hpp"

namespace rw {

inline constexpr int64_t kLossBytes = 64 << 20;
inline constexpr int64_t kLossRows = 32;

int64_t loss_chunk_rows(int64_t rows, int64_t vocab, DType, int64_t logit_bytes = kLossBytes);

void linear_cross_entropy(Ctx&, View nll, CView x, CView w, CView target, int64_t logit_bytes = kLossBytes);
void linear_cross_entropy_with_gradient(Ctx&, View nll, View dx, View dw, CView x, CView w, CView target, double scale,
                                        Grad, int64_t logit_bytes = kLossBytes);

// One chunk, in place: z [rows, V] becomes dz where `gradient`, and is left as it pleases otherwise. The targets have
// been checked, but on a GPU.
void softmax_cross_entropy(Ctx&, View nll, View z, CView target, double scale, bool gradient);

using SoftmaxCrossEntropy = Twin<decltype(softmax_cross_entropy)>;
namespace cpu {
SoftmaxCrossEntropy softmax_cross_entropy;
}
namespace fast {
SoftmaxCrossEntropy softmax_cross_entropy;
}
namespace cuda {
[[gnu::weak]] SoftmaxCrossEntropy softmax_cross_entropy;
}

}  // namespace rw
