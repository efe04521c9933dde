// The queue that ops are put on, and marks in it. On the CPU an op is finished when its call returns: there is no
// queue, and waiting does nothing.
#pragma once
#include <functional>
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

// A mark in a stream.
class Event {
 public:
  Event() = default;
  explicit Event(Device);
  ~Event();
  Event(Event&& other) noexcept { *this = std::move(other); }
  Event& operator=(Event&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(event_, other.event_);
    return *this;
  }
  void record(Stream) const;
  void hold_back(Stream) const;  // until what was before the mark is done
  void synchronize() const;      // the host waits for the same

 private:
  Device device_;
  void* event_ = nullptr;
};

// Runs work as one CUDA graph, which costs the device less than kernels one by one. The work is called each time; it
// puts the same kernels and copies on the stream, with other numbers and addresses if need be, waits for nothing and
// allocates nothing.
class Recording {
 public:
  Recording() = default;
  explicit Recording(Device device) : device_(device) {}
  ~Recording();
  Recording(Recording&& other) noexcept { *this = std::move(other); }
  Recording& operator=(Recording&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(graph_, other.graph_);
    return *this;
  }
  void run(Stream, const std::function<void()>& work);

 private:
  Device device_;
  void* graph_ = nullptr;
};

}  // namespace rw
