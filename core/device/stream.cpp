#include "core/device/stream.hpp"

#include "core/device/cuda.hpp"

namespace rw {

OwnStream::OwnStream(Device device) {
  if (device.kind == Device::cpu) return;
  RW_CHECK(cuda::create_stream != nullptr);
  stream_ = {cuda::create_stream(device.index), {cuda::destroy_stream, device.index}};
}

Event::Event(Device device) {
  if (device.kind == Device::cuda) event_ = {cuda::create_event(device.index), {cuda::destroy_event, device.index}};
}

void Event::record(Stream stream) const {
  if (event_) cuda::record_event(device(), stream.native, event_.get());
}

void Event::hold_back(Stream stream) const {
  if (event_) cuda::wait_for_event(device(), stream.native, event_.get());
}

void Event::synchronize() const {
  if (event_) cuda::synchronize_event(device(), event_.get());
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
  void* const graph = cuda::end_recording(device_.index, stream.native, graph_.release());
  graph_ = {graph, {cuda::destroy_graph, device_.index}};
}

}  // namespace rw
