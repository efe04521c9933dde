#include "core/memory/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/base/user_error.hpp"
#include "core/device/cuda.hpp"

namespace rw {

namespace {

constexpr size_t kHuge = size_t{2} << 20;

size_t rounded_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// From the system, at a multiple of kHuge: zeros, and no page is touched before it is used. Null without enough.
std::byte* map_zeros(size_t bytes) {
  const size_t mapped = bytes + kHuge;
  void* const memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(memory);
  const size_t before = rounded_up(reinterpret_cast<uintptr_t>(begin), kHuge) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, kHuge - before);
  ::madvise(begin + before, bytes, MADV_HUGEPAGE);  // a wish, not a need
  return begin + before;
}

[[noreturn]] void throw_no_memory(size_t bytes, const std::string& whose) {
  throw UserError(Exit::memory, "cannot allocate " + std::to_string(bytes >> 20) + " MiB",
                  whose + " has not enough free memory; a smaller --micro-batch, or --recompute block, needs less");
}

}  // namespace

Memory::Memory(Device device, size_t bytes) : bytes_(bytes), device_(device) {
  if (bytes == 0) return;
  if (device.kind == Device::cuda) {
    RW_CHECK(cuda::allocate != nullptr);
    data_ = cuda::allocate(device.index, bytes);
    if (!data_) throw_no_memory(bytes, "the device");
    return;
  }
  large_ = bytes >= 2 * kHuge;
  const size_t rounded = rounded_up(bytes, large_ ? kHuge : kMemoryAlign);
  if (rounded >= bytes)
    data_ = large_ ? map_zeros(rounded) : static_cast<std::byte*>(std::aligned_alloc(kMemoryAlign, rounded));
  if (!data_) throw_no_memory(bytes, "the machine");
  if (!large_) std::memset(data_, 0, rounded);
}

Memory::~Memory() {
  if (device_.kind == Device::cuda && data_)
    cuda::release(device_.index, data_);
  else if (large_ && data_)
    ::munmap(data_, rounded_up(bytes_, kHuge));
  else
    std::free(data_);
}

Buffer::Buffer(Device device, Shape shape, DType dtype)
    : memory_(device, static_cast<size_t>(shape.elements()) * size_of(dtype)),
      view_{memory_.data(), shape, dtype, device, shape.width()} {}

}  // namespace rw
