// core/device/cuda.hpp for the emulator: one device, whose memory is the host's, and whose work is done when it is
// asked for.
#include <cstdlib>
#include <cstring>

#include "core/device/cuda.hpp"
#include "core/memory/memory.hpp"

namespace rw {
namespace {

int the_stream, the_event, the_graph;

std::byte* zeros(size_t bytes) {
  const size_t rounded = (bytes + kMemoryAlign - 1) / kMemoryAlign * kMemoryAlign;
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(kMemoryAlign, rounded));
  if (memory) std::memset(memory, 0, rounded);
  return memory;
}

}  // namespace

std::string cuda::problem() { return {}; }
int cuda::device_count() { return 1; }
cuda::DeviceInfo cuda::device_info(int) {
  return {.name = "emulator", .major = 9, .minor = 0, .memory = size_t{1} << 30, .free = size_t{1} << 30};
}
std::byte* cuda::allocate(int, size_t bytes) { return zeros(bytes); }
void cuda::release(int, std::byte* memory) { std::free(memory); }
std::byte* cuda::allocate_pinned(size_t bytes) { return zeros(bytes); }
void cuda::release_pinned(std::byte* memory) { std::free(memory); }
void* cuda::create_stream(int) { return &the_stream; }
void cuda::destroy_stream(int, void*) {}
void cuda::synchronize(int, void*) {}
void cuda::fill_zero(int, void*, std::byte* memory, size_t bytes) { std::memset(memory, 0, bytes); }

void* cuda::create_event(int) { return &the_event; }
void cuda::destroy_event(int, void*) {}
void cuda::record_event(int, void*, void*) {}
void cuda::wait_for_event(int, void*, void*) {}
void cuda::synchronize_event(int, void*) {}

void cuda::begin_recording(int, void*) {}
void* cuda::end_recording(int, void*, void*) { return &the_graph; }
void cuda::discard_recording(int, void*) {}
void cuda::destroy_graph(int, void*) {}

void cuda::copy(int, void*, const CopyRows& c) {
  for (size_t r = 0; r < c.rows; ++r)
    std::memmove(static_cast<std::byte*>(c.to) + r * c.to_stride,
                 static_cast<const std::byte*>(c.from) + r * c.from_stride, c.width);
}

}  // namespace rw
