// Arrays that numpy.load reads, format version 1.0.
// Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

namespace rw {

// Little-endian f32, row-major; an empty shape: one dimension. Throws UserError(Exit::write).
void write_npy(const std::filesystem::path& file, std::span<const float> values, std::span<const uint64_t> shape = {});

}  // namespace rw
