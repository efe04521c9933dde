// Rotary position embedding: turns each pair (a, b) of each head by the angle of its row's position. Of a head's
// coordinates the first d = 2 · cos.width() are turned, the others stay.
//
//   y[a] = x[a] · cos - x[b] · sin        cos = cos_table[position[r]][c], sin likewise
//   y[b] = x[a] · sin + x[b] · cos        pair c is (2c, 2c + 1) in layout interleaved, (c, c + d/2) in layout half
//
// The tables may hold m · cos and m · sin: then the map is m times a turn. Backward, its transpose, is the same with
// the negative angle: rope(..., {.inverse = true}) with dx, dy in place of y, x.
//
// Shapes   x, y [..., H·head_width]; cos, sin [P, d/2], or empty: nothing is turned; position i32, rows elements, in
//          [0, P). d ≤ head_width, which divides the width of x.
// DTypes   f64, f32, bf16 on a GPU, one for x and y; cos and sin of the accumulator dtype.
// Aliasing y may be x, without add; nothing else overlaps.
// Errors   rw::Error if a shape, dtype, device or alias is otherwise, or a position is outside the table;
//          on a GPU such a position makes its row of y NaN.
// Source   Su et al., RoFormer, 2021, arXiv 2104.09864; spec/positions.md 1.2.
#pragma once
#include "core/dispatch.hpp"

namespace rw {

enum class RopeLayout { interleaved, half };

struct RopeOpt {
  RopeLayout layout = RopeLayout::half;
  int64_t head_width = 0;
  bool inverse = false;
  bool add = false;  // y += the result
};

void rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, const RopeOpt&);

using Rope = Twin<decltype(rope)>;
namespace cpu {
Rope rope;
}
namespace fast {
Rope rope;
}
namespace cuda {
[[gnu::weak]] Rope rope;
}

}  // namespace rw
