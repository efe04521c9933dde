// The queue that ops are put on. On the CPU an op is finished when its call returns and there is no queue.
#pragma once
#include <utility>

#include "core/tensor/view.hpp"

namespace rw {

struct Stream {
  void* native = nullptr;  // cudaStream_t on a CUDA device
};

class OwnStream {
 public:
  OwnStream() = default;
  explicit OwnStream(Device);
  ~OwnStream();
  OwnStream(OwnStream&& other) noexcept { *this = std::move(other); }
  OwnStream& operator=(OwnStream&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  Stream get() const { return stream_; }

 private:
  Device device_;
  Stream stream_;
};

}  // namespace rw
