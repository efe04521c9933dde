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

Event::Event(Device device) : device_(device) {
  if (device.kind == Device::cuda) event_ = cuda::create_event(device.index);
}

Event::~Event() {
  if (event_) cuda::destroy_event(device_.index, event_);
}

void Event::record(Stream stream) const {
  if (event_) cuda::record_event(device_.index, stream.native, event_);
}

void Event::hold_back(Stream stream) const {
  if (event_) cuda::wait_for_event(device_.index, stream.native, event_);
}

void Event::synchronize() const {
  if (event_) cuda::synchronize_event(device_.index, event_);
}

Recording::~Recording() {
  if (graph_) cuda::destroy_graph(device_.index, graph_);
}

void Recording::run(Stream stream, const std::function<void()>& work) {
  if (device_.kind == Device::cpu) return work();
  cuda::begin_recording(device_.index, stream.native);
  try {
    work();
  } catch (...) {
    cuda::discard_recording(device_.index, stream.native);
    throw;
  }
  graph_ = cuda::end_recording(device_.index, stream.native, graph_);
}

}  // namespace rw
