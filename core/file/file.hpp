// Files by descriptor: every return code is looked at, short and interrupted calls go on, and a failure is a UserError
// that names the file and the reason.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "core/base/user_error.hpp"

namespace rw {

// "cannot write FILE", with the text of errno and what to do about it (disk full, no permission, size limit).
UserError write_error(const std::filesystem::path& file, int error_number);

class File {
 public:
  static File open(const std::filesystem::path& file);    // to read; UserError(Exit::data)
  static File create(const std::filesystem::path& file);  // new or emptied, to read and write; UserError(Exit::write)
  static File modify(const std::filesystem::path& file);  // there already, to read and write; UserError(Exit::write)
  File(File&& other) noexcept : path_(std::move(other.path_)), descriptor_(other.descriptor_) {
    other.descriptor_ = -1;
  }
  File& operator=(File&&) = delete;
  ~File();

  uint64_t size() const;
  void read(uint64_t offset,
            std::span<std::byte> to) const;  // all of it; UserError(Exit::data), (corrupt) past the end
  void write(uint64_t offset, std::span<const std::byte> from);  // all of it; UserError(Exit::write)
  void sync();                                                   // to the disk; UserError(Exit::write)
  void drop_cache() const;  // so that the next read comes from the disk, where the file system can do that
  int descriptor() const { return descriptor_; }

 private:
  File(std::filesystem::path path, int flags, Exit on_error);

  std::filesystem::path path_;
  int descriptor_;
};

// The whole of a small file. UserError: Exit::data, also if it has more than `limit` bytes.
std::string read_text(const std::filesystem::path& file, uint64_t limit);

}  // namespace rw
