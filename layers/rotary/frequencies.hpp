// Which angles rotary embedding turns by: θ[c] = base^(-2c / d), c = 0 .. d/2 - 1, in radians per position, and tables
// of cos(p · θ[c]) and sin(p · θ[c]), computed in f64 and rounded once.
#pragma once
#include <vector>

#include "core/tensor/view.hpp"

namespace rw {

// d: the rotated width, even and positive. base > 1. Error if otherwise, NaN included.
std::vector<double> rope_frequencies(double base, int64_t d);

// cos, sin [positions, θ.size()], f64 or f32, host memory: row p is position p. Error if a shape, dtype, device or
// alias is otherwise.
void rope_table(View cos, View sin, const std::vector<double>& theta);

// The smallest base at which attention can still tell a similar token from a random one at every distance below
// `context`:  inf { b > 1 : Σ_c cos(r · b^(-2c/d)) ≥ 0 for all r = 0 .. context - 1 }, by the grid of the source:
// starting from B = 1000 · context, for k = 1 .. 5 the first such value among B i / 10^k, i = 1 .. 10^k, is the new B.
// A larger base can fail again, so this is no bisection. UserError if not even the first grid has such a base. Source:
// Men et al., Base of RoPE Bounds Context Length, 2024, arXiv 2405.14591; spec/positions.md 7.1.
double rope_base_bound(int64_t context, int64_t d);

}  // namespace rw
