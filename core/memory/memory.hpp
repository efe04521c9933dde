// Owned memory on a device.
#pragma once
#include "core/tensor/view.hpp"

namespace rw {

// Bytes at an address that kMemoryAlign divides, all zero at first. On the CPU large blocks ask for huge pages, which
// are made when they are first touched. Throws UserError with Exit::memory if there is not enough.
class Memory {
 public:
  Memory() = default;
  Memory(Device, size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(large_, other.large_);
    std::swap(device_, other.device_);
    return *this;
  }
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  bool large_ = false;  // mapped, not from the heap
  Device device_;
};

inline constexpr size_t kMemoryAlign = 256;  // a cache line, a vector load and a CUDA sector all divide it

// One tensor that owns its memory; starts as zeros.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device device, Shape shape, DType dtype);
  View view() const { return view_; }
  operator View() const { return view_; }
  operator CView() const { return view_; }

 private:
  Memory memory_;
  View view_;
};

}  // namespace rw
