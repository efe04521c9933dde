#include "core/memory/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/base/user_error.hpp"

namespace rw {

Memory::Memory(Device device, size_t bytes) : bytes_(bytes) {
  RW_CHECK(device.kind == Device::cpu);
  if (bytes == 0) return;
  constexpr size_t kHuge = size_t{2} << 20;
  const size_t align = bytes >= 2 * kHuge ? kHuge : kMemoryAlign;
  const size_t rounded = (bytes + align - 1) / align * align;
  data_ = static_cast<std::byte*>(rounded < bytes ? nullptr : std::aligned_alloc(align, rounded));
  if (!data_)
    throw UserError(
        Exit::memory, "cannot allocate " + std::to_string(bytes >> 20) + " MiB",
        "the machine has not enough free memory; a smaller --micro-batch, or --recompute block, needs less");
  if (align == kHuge) madvise(data_, rounded, MADV_HUGEPAGE);  // a wish, not a need
}

Memory::~Memory() { std::free(data_); }

Buffer::Buffer(Device device, Shape shape, DType dtype)
    : memory_(device, static_cast<size_t>(shape.elements()) * size_of(dtype)),
      view_{memory_.data(), shape, dtype, device, shape.width()} {
  if (memory_.data()) std::memset(memory_.data(), 0, memory_.bytes());
}

}  // namespace rw
