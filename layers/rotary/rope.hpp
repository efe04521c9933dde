// Rotary position embedding: turns each pair (a, b) of each head by the angle of its row's position.
//
//   y[a] = x[a] · cos - x[b] · sin        cos = cos_table[position[r]][c], sin likewise
//   y[b] = x[a] · sin + x[b] · cos        pair c is (2c, 2c + 1) in layout interleaved, (c, c + d/2) in layout half
//
// Backward is the turn by the negative angle: rope(..., inverse = true) with dx, dy in place of y, x.
//
// Shapes   x, y [..., H·d]; cos, sin [P, d/2]; position i32, rows elements, in [0, P). d = 2 · cos.width(), and it
//          divides the width of x.
// DTypes   f64, f32, one for all but position.
// Aliasing y may be x; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or a position is outside the table.
// Source   Su et al., RoFormer, 2021, arXiv 2104.09864; spec/positions.md 1.2.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

enum class RopeLayout { interleaved, half };

void rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, RopeLayout, bool inverse);

using Rope = Twin<decltype(rope)>;
namespace cpu {
Rope rope;
}
namespace fast {
Rope rope;
}

}  // namespace rw
