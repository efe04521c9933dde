#include "core/device/stream.hpp"

#include "core/device/cuda.hpp"

namespace rw {

OwnStream::OwnStream(Device device) : device_(device) {
  if (device.kind == Device::cpu) return;
  RW_CHECK(cuda::create_stream != nullptr);
  stream_.native = cuda::create_stream(device.index);
}

OwnStream::~OwnStream() {
  if (stream_.native) cuda::destroy_stream(device_.index, stream_.native);
}

}  // namespace rw
