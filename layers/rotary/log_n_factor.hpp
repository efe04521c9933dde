// The factor of log n scaling for queries at given positions (from 0), with N the trained length:
//
//   factor[r] = ln max(position[r] + 1, least) / ln N         least = N: 1 up to N, beyond it growing
//
// Shapes   factor, position i32 [...], as many elements, rows may be strided; N ≥ 2, least ≥ 1.
// DTypes   factor f64 or f32, rounded once from f64. Nothing overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or a position is negative; on a GPU a negative
// one
//          counts as 0.
// Source   Su, kexue.fm/archives/8823; spec/positions.md 5.1.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

void log_n_factor(Ctx&, View factor, CView position, int64_t least, int64_t trained);

using LogNFactor = Twin<decltype(log_n_factor)>;
namespace cpu {
LogNFactor log_n_factor;
}
namespace cuda {
[[gnu::weak]] LogNFactor log_n_factor;
}

}  // namespace rw
