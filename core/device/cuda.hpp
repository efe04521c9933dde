// What the host asks of CUDA. A build without CUDA leaves the definitions out, .cu files; so, like the CUDA twins of
// ops, these functions are weak: their addresses are null where they are missing, and whoever calls them looks first.
// No CUDA library is loaded before one of them is called.
#pragma once
#include <cstddef>

namespace rw::cuda {

[[gnu::weak]] int device_count();  // 0 also without a driver

// Device memory at a multiple of kMemoryAlign, all zero. Null if there is not enough.
[[gnu::weak]] std::byte* allocate(int device, size_t bytes);
[[gnu::weak]] void release(int device, std::byte*);

}  // namespace rw::cuda
