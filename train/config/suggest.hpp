// "did you mean": the known word nearest to an unknown one.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace rw {

// Fewest insertions, deletions, replacements and swaps of neighbours that turn a into b, no part being edited twice
// (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, the first one of equals; empty if none is within a third of the word's length (at least 1).
// Letter case and '-' against '_' count for nothing.
std::string nearest(std::string_view word, std::span<const std::string_view> known);

// "did you mean 'WORD'?", or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace rw
