// y[r] = table[id[r]], or y[r] += table[id[r]] with Grad::accumulate (learned positions on top of tokens).
//
//   dtable[i] (+)= Σ_{r: id[r] = i} dy[r]       rows in ascending order: the same bits for every number of threads
//
// Shapes   y, dy [..., C]; id i32 [rows] in any shape of that many elements; table, dtable [N, C].
//          With Grad::overwrite the whole of dtable is set, zeros where no id points; with Grad::accumulate rows
//          where no id points are not touched.
// DTypes   f64, f32, one for all but id.
// Aliasing nothing overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, store is skip, or an id is outside [0, N): the
//          message has the row and the id.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void embedding_forward(Ctx&, View y, CView id, CView table, Grad store);
void embedding_backward(Ctx&, View dtable, CView dy, CView id, Grad store);

using EmbeddingForward = Twin<decltype(embedding_forward)>;
using EmbeddingBackward = Twin<decltype(embedding_backward)>;
namespace cpu {
EmbeddingForward embedding_forward;
EmbeddingBackward embedding_backward;
}  // namespace cpu

}  // namespace rw
