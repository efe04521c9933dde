#include <cuda_runtime.h>

#include "core/device/cuda.hpp"

namespace rw {

int cuda::device_count() {
  int count = 0;  // which an error leaves as it is
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::byte* cuda::allocate(int device, size_t bytes) {
  void* memory = nullptr;
  if (cudaSetDevice(device) != cudaSuccess || cudaMalloc(&memory, bytes) != cudaSuccess) return nullptr;
  if (cudaMemset(memory, 0, bytes) != cudaSuccess) {
    cudaFree(memory);
    return nullptr;
  }
  return static_cast<std::byte*>(memory);
}

void cuda::release(int device, std::byte* memory) {
  cudaSetDevice(device);
  cudaFree(memory);
}

}  // namespace rw
