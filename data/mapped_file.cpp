#include "data/mapped_file.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "core/file/file.hpp"

namespace rw {

MappedFile::MappedFile(const std::filesystem::path& name) {
  const File file = File::open(name);
  const auto size = static_cast<size_t>(file.size());
  if (size == 0) return;
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED) throw UserError(Exit::data, "cannot map " + name.string(), std::strerror(errno));
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace rw
