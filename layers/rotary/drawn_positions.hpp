// Positions that are drawn anew for every sequence of a training, so that a short one trains long distances
// (spec/positions.md 6). In use positions are consecutive.
//
//   random   T distinct ones of 0 .. range - 1, ascending          Ruoss et al. 2023, arXiv 2305.16843
//   pose     two chunks of consecutive ones; the first begins at 0 and has n tokens, n uniform in 1 .. ⌈T/2⌉; what
//            follows is set off by u, uniform in 0 .. range - T     Zhu et al. 2023, arXiv 2309.10400, C = 2, v = 0
#pragma once
#include <cstdint>
#include <span>

#include "core/base/philox.hpp"

namespace rw {

enum class PositionDraw { none, random, pose };

// Fills `positions`, strictly ascending in 0 .. range - 1, as a pure function of (seed, step, sample). Error if range <
// positions.size(). With range = positions.size() they are 0, 1, 2, ...
void draw_positions(std::span<int32_t> positions, PositionDraw, int64_t range, const DrawKey&);

}  // namespace rw
