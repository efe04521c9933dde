// The positions of a model in words, and as a fingerprint: the proof of what is in effect.
#pragma once
#include <string>
#include <vector>

#include "layers/transformer/config.hpp"

namespace rw {

// "rope, yarn × 8 from 512 (m 1.2079), base 10000 · leaky, window 128, far step 0.0625 · log n trained"
std::string position_text(const ModelConfig&);

// 16 hexadecimal digits of all that positions do to attention in inference: the frequencies and their factor for texts
// of the trained length N and of 4 N, each layer's border, window and sinks, the positions of the far branch, the
// factors of queries, norms without gain, and the layout of pairs. Numbers count to 9 digits, so that another library
// of elementary functions gives the same. Equal configurations that are written differently have equal fingerprints.
std::string position_fingerprint(const ModelConfig&);

// What is legal and against the advice of a source, for texts of `length`: position_warnings, and a base whose usable
// length (base_bound.hpp) is below it. One line each.
std::vector<std::string> position_advice(const ModelConfig&, int64_t length);

}  // namespace rw
