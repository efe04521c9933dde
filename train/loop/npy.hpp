// Arrays that numpy.load reads, format version 1.0.
// Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once
#include <filesystem>
#include <span>

namespace rw {

// One dimension of little-endian f32. Throws UserError(Exit::write).
void write_npy(const std::filesystem::path& file, std::span<const float> values);

}  // namespace rw
