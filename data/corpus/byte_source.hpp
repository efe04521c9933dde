// The bytes of a file, in order and in bounded memory; gzip and Zstandard (known by their first bytes) are unpacked.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace rw {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills `to` as far as there are bytes; less only at the end. Throws UserError(Exit::data) if the file cannot be read
  // or its compressed data are cut off or damaged.
  virtual size_t read(std::span<char> to) = 0;
};

// Throws UserError(Exit::data) if there is no such file, or if it is a folder or empty.
std::unique_ptr<ByteSource> open_bytes(const std::filesystem::path& file);

}  // namespace rw
