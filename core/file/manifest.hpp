// The text beside a container: what lies where in it, and the hashes. JSON; its last line is a hash of all before it,
// so that damage of the manifest shows as well.
#pragma once
#include <optional>

#include "core/file/container.hpp"

namespace rw {

struct Manifest {
  uint64_t size = 0;  // of the file
  std::string hash;   // of the file
  std::vector<ContainerEntry> entries;
};

inline constexpr size_t kMaxManifest = size_t{32} << 20;  // bytes
inline constexpr size_t kMaxEntries = 100'000;
inline constexpr size_t kMaxPath = 1024;
inline constexpr size_t kMaxRank = 8;

std::filesystem::path manifest_name(const std::filesystem::path& file);
bool is_valid_path(std::string_view path);

// The bytes of a tensor; nothing if that is more than 64 bits can say.
std::optional<uint64_t> bytes_of(FileType type, std::span<const uint64_t> shape);

std::string to_text(const Manifest& manifest);

// `name` is for messages. Throws UserError(Exit::corrupt) if the seal or anything else is wrong, and Exit::data if a
// newer version wrote it. Afterwards every entry lies inside the file, at a multiple of 4096, and every path is there
// once.
Manifest parse_manifest(const std::filesystem::path& name, std::string_view text);

}  // namespace rw
