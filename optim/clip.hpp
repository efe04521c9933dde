// The norm of all gradients together, and the factor that keeps it at most `limit`:
//
//   norm[0] = (Σ g²)^(1/2)            summed in f64, in an order that depends on n only
//   clip[0] = min(1, limit / norm)    1 with limit = 0 (no clipping); NaN if norm is not finite
//
// A NaN or an infinity anywhere in g makes norm NaN or infinite, and so clip NaN, whatever the limit: one look at norm
// tells that a step went wrong.
//
// Shapes   g [n]; norm, clip [1]. DTypes f64, f32, one for all. Nothing overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or limit is negative.
// Source   Pascanu et al., On the difficulty of training recurrent neural networks, 2012, arXiv 1211.5063.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void clip_factor(Ctx&, View norm, View clip, CView g, double limit);

inline constexpr int64_t kClipBlock = 1 << 15;  // elements summed into one partial sum

using ClipFactor = Twin<decltype(clip_factor), View /* partial f64 [n / kClipBlock, rounded up] */>;
namespace cpu {
ClipFactor clip_factor;
}
namespace fast {
ClipFactor clip_factor;
}
namespace cuda {
[[gnu::weak]] ClipFactor clip_factor;
}

}  // namespace rw
