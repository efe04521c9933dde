// Which angles rotary embedding turns by: θ[c] = base^(-2c / d), c = 0 .. d/2 - 1, in radians per position, and tables
// of cos(p · θ[c]) and sin(p · θ[c]), computed in f64 and rounded once.
#pragma once
#include <vector>

#include "core/tensor/view.hpp"

namespace rw {

// d: the rotated width, even. base > 1 (NaN and less are errors).
std::vector<double> rope_frequencies(double base, int64_t d);

// cos, sin [positions, θ.size()], f64 or f32, host memory: row p is position p.
void rope_table(View cos, View sin, const std::vector<double>& theta);

// The smallest base at which attention can still tell a similar token from a random one at every distance below
// `context`:  inf { b : Σ_c cos(r · b^(-2c/d)) ≥ 0 for all r = 0 .. context - 1 }, found on the b grid of the source.
// Source: Men et al., Base of RoPE Bounds Context Length, 2024, arXiv 2405.14591; spec/positions.md 7.1.
double rope_base_bound(int64_t context, int64_t d);

}  // namespace rw
