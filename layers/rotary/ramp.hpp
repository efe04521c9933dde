// The rules of frequencies.hpp that leave fast pairs as they are, divide slow ones by s, and blend those between.
#pragma once
#include "layers/rotary/frequencies.hpp"

namespace rw {

constexpr bool has_ramp(RopeRule rule) {
  return rule == RopeRule::by_parts || rule == RopeRule::yarn || rule == RopeRule::llama3;
}

// θ from plain's R; d is twice its size.
std::vector<double> by_parts(const RopeConfig&, std::vector<double> plain, int64_t trained);  // of has_ramp
std::vector<double> by_parts_legacy(const RopeConfig&, std::vector<double> plain, const std::vector<double>& ntk_aware,
                                    int64_t trained);

// The part of rope_problem that is about ramps.
std::string ramp_problem(const RopeConfig&, int64_t d, int64_t trained);

}  // namespace rw
