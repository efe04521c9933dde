// A file mapped into memory, read-only.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace rw {

class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);  // UserError(Exit::data)
  MappedFile(MappedFile&& other) noexcept : bytes_(other.bytes_) { other.bytes_ = {}; }
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }  // aligned to a page

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace rw
