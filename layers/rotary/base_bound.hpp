// Which base suits a context: how far attention can tell a similar token from a random one. With i.i.d. components of
// variance σ² their mean difference in attention, at distance r, is 2σ² · f(r),
//
//   f(r) = Σ_c cos(r · base^(-2c / d)),  c = 0 .. d/2 - 1     d: the rotated width; coordinates that are not rotated
//                                                             add 1 for each two of them
//
// Source   Men et al., Base of RoPE Bounds Context Length, 2024, arXiv 2405.14591; Su, Transformer upgrade 18;
//          spec/positions.md 7.1.
#pragma once
#include <cstdint>
#include <vector>

namespace rw {

// f(r) for the frequencies θ; `still` coordinates are not rotated.
double rope_similarity(const std::vector<double>& theta, int64_t distance, int64_t still = 0);

// The first distance r ≥ 0 at which f is negative, or `most` if there is none below it: the usable length of θ.
int64_t rope_usable_length(const std::vector<double>& theta, int64_t most, int64_t still = 0);

// The smallest base at which f(r) ≥ 0 for all r = 0 .. context - 1 with a rotated width d and `still` coordinates that
// are not rotated, by the grid of the source: starting from B = 1000 ·
// context, for k = 1 .. 5 the first such value among B i / 10^k, i = 1 .. 10^k, is the new B. A larger base can fail
// again, so this is no bisection. UserError if not even the first grid has such a base. With still ≥ d every base above
// 1 will do, and what comes back means nothing.
double rope_base_bound(int64_t context, int64_t d, int64_t still = 0);

}  // namespace rw
