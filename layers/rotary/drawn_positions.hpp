// Positions that are drawn anew for every sequence of a training, so that a short one trains long distances
// (spec/positions.md 6). In use positions are consecutive.
//
//   random   T distinct ones of 0 .. range - 1, ascending          Ruoss et al. 2023, arXiv 2305.16843
//   pose     two chunks of consecutive ones; the first begins at 0 and has n tokens, n uniform in 1 .. ⌈T/2⌉; what
//            follows is set off by u, uniform in 0 .. range - T     Zhu et al. 2023, arXiv 2309.10400, C = 2, v = 0
//   equal_mean  t · n / (T - 1), t = 0 .. T - 1: real ones up to n, which is exponentially distributed with the mean T:
//            distances of any size, and no longer ones on average    Su, Transformer upgrade 8
#pragma once
#include <cstdint>
#include <span>

#include "core/base/philox.hpp"

namespace rw {

enum class PositionDraw { none, random, pose, equal_mean };
// Drawn below a range, and whole.
constexpr bool has_range(PositionDraw kind) { return kind == PositionDraw::random || kind == PositionDraw::pose; }

// Fills `positions`, strictly ascending in 0 .. range - 1, as a pure function of (seed, step, sample). Error if range <
// positions.size(), or of equal_mean. With range = positions.size() they are 0, 1, 2, ...
void draw_positions(std::span<int32_t> positions, PositionDraw, int64_t range, const DrawKey&);
// Those of equal_mean.
void draw_equal_mean(std::span<double> positions, const DrawKey&);

}  // namespace rw
