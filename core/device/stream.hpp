// The queue that ops are put on, and marks in it. On the CPU an op is finished when its call returns: there is no
// queue, and waiting does nothing.
#pragma once
#include <functional>
#include <memory>

#include "core/tensor/view.hpp"

namespace rw {

struct Stream {
  void* native = nullptr;  // cudaStream_t on a CUDA device
};

// Something of CUDA's, with the device that it is of; null on the CPU.
struct DestroyOnDevice {
  void (*destroy)(int device, void*) = nullptr;
  int device = 0;
  void operator()(void* native) const { destroy(device, native); }
};
using DeviceObject = std::unique_ptr<void, DestroyOnDevice>;

class OwnStream {
 public:
  OwnStream() = default;
  explicit OwnStream(Device);
  Stream get() const { return {stream_.get()}; }

 private:
  DeviceObject stream_;
};

// A mark in a stream.
class Event {
 public:
  Event() = default;
  explicit Event(Device);
  void record(Stream) const;
  void hold_back(Stream) const;  // until what was before the mark is done
  void synchronize() const;      // the host waits for the same

 private:
  int device() const { return event_.get_deleter().device; }

  DeviceObject event_;
};

// Runs work as one CUDA graph, which costs the device less than kernels one by one. The work is called each time; it
// puts the same kernels and copies on the stream, with other numbers and addresses if need be, waits for nothing and
// allocates nothing.
class Recording {
 public:
  Recording() = default;
  explicit Recording(Device device) : device_(device) {}
  void run(Stream, const std::function<void()>& work);

 private:
  Device device_;
  DeviceObject graph_;
};

}  // namespace rw
