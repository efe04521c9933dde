// core/device/cuda.hpp for the emulator: one device, whose memory is the host's.
#include <cstdlib>
#include <cstring>

#include "core/device/cuda.hpp"
#include "core/memory/memory.hpp"

namespace rw {

int cuda::device_count() { return 1; }

std::byte* cuda::allocate(int, size_t bytes) {
  const size_t rounded = (bytes + kMemoryAlign - 1) / kMemoryAlign * kMemoryAlign;
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(kMemoryAlign, rounded));
  if (memory) std::memset(memory, 0, rounded);
  return memory;
}

void cuda::release(int, std::byte* memory) { std::free(memory); }

}  // namespace rw
