#include "train/loop/npy.hpp"

#include <string>

#include "core/file/atomic.hpp"

namespace rw {

void write_npy(const std::filesystem::path& file, std::span<const float> values, std::span<const uint64_t> shape) {
  std::string sizes;
  for (uint64_t dim : shape) sizes += std::to_string(dim) + ",";
  if (shape.empty()) sizes = std::to_string(values.size()) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + "), }";
  constexpr size_t kBefore = 10, kAlign = 64;  // magic, version and length; the whole header is a multiple of 64 bytes
  header.append(kAlign - (kBefore + header.size() + 1) % kAlign, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY\x01";
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  write_text(file, bytes);
}

}  // namespace rw
