// All that we let libhdf5 do: lay out an empty file, and open a finished one to see that it agrees. It never sees a
// payload, a full disk or a file of unknown origin.
#pragma once
#include "core/file/container.hpp"

namespace rw {

// Creates `file` with room for every item, contiguous and aligned to 4096 bytes; only its metadata is written. Returns
// the offset of each item (0 for one without bytes). Throws UserError(Exit::write).
std::vector<uint64_t> lay_out_hdf5(const std::filesystem::path& file, std::span<const ContainerItem> items);

// UserError(Exit::write) unless libhdf5 opens the file and finds every entry where it should be.
void check_hdf5(const std::filesystem::path& file, std::span<const ContainerEntry> entries);

std::string hdf5_version();  // of the library that was loaded: "1.10.8"

}  // namespace rw
