// What the host asks of CUDA. A build without CUDA leaves the definitions out; so, like the CUDA twins of ops, these
// functions are weak: their addresses are null where they are missing, and whoever calls them looks first. No CUDA
// library is loaded before one of them is called. Where a call fails they throw Error with CUDA's own words.
#pragma once
#include <cstddef>
#include <string>

namespace rw::cuda {

// Why no device can be used, in a few words: no driver, too old a driver, no device; empty if one can.
[[gnu::weak]] std::string problem();
[[gnu::weak]] int device_count();  // 0 if there is a problem

struct DeviceInfo {
  std::string name;             // "NVIDIA H200"
  int major = 0, minor = 0;     // compute capability
  size_t memory = 0, free = 0;  // bytes
};
[[gnu::weak]] DeviceInfo device_info(int device);

// Device memory at a multiple of kMemoryAlign, all zero; host memory that copies need not wait for. Null if there is
// not enough.
[[gnu::weak]] std::byte* allocate(int device, size_t bytes);
[[gnu::weak]] void release(int device, std::byte*);
[[gnu::weak]] std::byte* allocate_pinned(size_t bytes);
[[gnu::weak]] void release_pinned(std::byte*);

// A stream is a cudaStream_t. Streams of one device run side by side; what is put on one runs in order.
[[gnu::weak]] void* create_stream(int device);
[[gnu::weak]] void destroy_stream(int device, void* stream);
[[gnu::weak]] void synchronize(int device, void* stream);

// A mark in a stream (cudaEvent_t): the host, or another stream, waits until what was put on the stream before it is
// done.
[[gnu::weak]] void* create_event(int device);
[[gnu::weak]] void destroy_event(int device, void* event);
[[gnu::weak]] void record_event(int device, void* stream, void* event);
[[gnu::weak]] void wait_for_event(int device, void* stream, void* event);
[[gnu::weak]] void synchronize_event(int device, void* event);

// What is put on the stream after begin_recording is not run, but recorded; end_recording runs it as one CUDA graph.
// `graph` is what it returned the last time, or null, and is taken over: where the new one differs in numbers and
// addresses only, it is changed in place. discard_recording leaves the stream as it was before begin_recording.
[[gnu::weak]] void begin_recording(int device, void* stream);
[[gnu::weak]] void* end_recording(int device, void* stream, void* graph);
[[gnu::weak]] void discard_recording(int device, void* stream);
[[gnu::weak]] void destroy_graph(int device, void* graph);

// Rows of bytes, in any direction between host and device. Returns before it is done, unless the host memory is not
// pinned.
struct CopyRows {
  void* to;
  const void* from;
  size_t to_stride, from_stride, width, rows;
};
[[gnu::weak]] void copy(int device, void* stream, const CopyRows&);
[[gnu::weak]] void fill_zero(int device, void* stream, std::byte*, size_t bytes);

}  // namespace rw::cuda
