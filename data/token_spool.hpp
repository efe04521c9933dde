// Encoded documents on their way to token files: the ids lie in a file without a name, so nothing is left behind and
// memory does not grow with them.
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "core/file/file.hpp"

namespace rw {

class TokenSpool {
 public:
  // In `folder`, which has to exist. wide: u32 ids, else u16.
  TokenSpool(const std::filesystem::path& folder, bool wide);

  void append(std::span<const int32_t> ids);
  void flush();
  uint64_t size() const { return size_; }  // ids
  bool wide() const { return wide_; }
  void read(uint64_t at, std::span<int32_t> to);  // what was flushed

 private:
  File file_;
  bool wide_;
  uint64_t size_ = 0, written_ = 0;  // ids, bytes
  std::vector<std::byte> buffer_;
};

}  // namespace rw
