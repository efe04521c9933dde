// y[r] = table[id[r]], or y[r] += table[id[r]] with Grad::accumulate (learned positions on top of tokens).
//
//   dtable[i] (+)= Σ_{r: id[r] = i} dy[r]       on a CPU rows in ascending order: the same bits for every number of
//                                               threads; on a GPU in an order that only the ids decide
//
// Shapes   y, dy [..., C]; id i32 [rows] in any shape of that many elements; table, dtable [N, C].
//          With Grad::overwrite the whole of dtable is set, zeros where no id points; with Grad::accumulate rows
//          where no id points are not touched.
// DTypes   f64, f32, bf16 on a GPU, one for all but id and dtable, which is of the accumulator dtype.
// Aliasing nothing overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, store is skip, or an id is outside [0, N): the
//          message has the row and the id. On a GPU such an id makes its row of y NaN, and backward leaves its row of
//          dy out.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void embedding_forward(Ctx&, View y, CView id, CView table, Grad store);
void embedding_backward(Ctx&, View dtable, CView dy, CView id, Grad store);

// What backward on a GPU sorts rows by their ids with, and adds up its runs of equal ids. Elsewhere empty.
struct EmbeddingScratch {
  static constexpr int64_t kTile = 1024;   // rows that a block sorts
  static constexpr int64_t kDigits = 256;  // of an id; the sort takes one after the other, the lowest first
  static constexpr int64_t kSpan = 32;     // sorted rows that a team adds up
  View tokens;                             // i32 [2, rows, 2]: pairs (id, row), before and after a digit is sorted
  View counts;                             // i32 [tiles + 1, kDigits]; the last row begins with the number of pairs
  View partial;                            // [spans, C]: the sum of a run that began in an earlier span
};

using EmbeddingForward = Twin<decltype(embedding_forward)>;
using EmbeddingBackward = Twin<decltype(embedding_backward), EmbeddingScratch>;
namespace cpu {
EmbeddingForward embedding_forward;
EmbeddingBackward embedding_backward;
}  // namespace cpu
namespace cuda {
[[gnu::weak]] EmbeddingForward embedding_forward;
[[gnu::weak]] EmbeddingBackward embedding_backward;
}  // namespace cuda

}  // namespace rw
