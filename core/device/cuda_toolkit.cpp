#include <cuda_runtime.h>

#include <string>

#include "core/base/check.hpp"
#include "core/device/cuda.hpp"

namespace rw {
namespace {

void check(cudaError_t status, const char* what, int device) {
  if (status == cudaSuccess) return;
  throw Error(std::string(what) + " on cuda:" + std::to_string(device) + ": " + cudaGetErrorString(status));
}

void choose(int device) { check(cudaSetDevice(device), "cudaSetDevice", device); }

cudaStream_t native(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

std::string cuda::problem() {
  int version = 0, count = 0;
  cudaDriverGetVersion(&version);
  if (version == 0) return "no NVIDIA driver is loaded";
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    const auto dotted = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
    return "the driver is for CUDA " + dotted(version) + ", this build needs " + dotted(CUDART_VERSION);
  }
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return count > 0 ? "" : "the driver has no device";
}

cuda::DeviceInfo cuda::device_info(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties", device);
  DeviceInfo info{.name = properties.name, .major = properties.major, .minor = properties.minor};
  choose(device);
  check(cudaMemGetInfo(&info.free, &info.memory), "cudaMemGetInfo", device);
  return info;
}

int cuda::device_count() {
  int count = 0;  // which an error leaves as it is
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::byte* cuda::allocate(int device, size_t bytes) {
  choose(device);
  void* memory = nullptr;
  if (cudaMalloc(&memory, bytes) != cudaSuccess) {
    cudaGetLastError();  // or the next launch would report it
    return nullptr;
  }
  check(cudaMemset(memory, 0, bytes), "cudaMemset", device);
  check(cudaDeviceSynchronize(), "cudaMemset", device);  // other streams do not wait for it
  return static_cast<std::byte*>(memory);
}

void cuda::release(int device, std::byte* memory) {
  cudaSetDevice(device);
  cudaFree(memory);
}

std::byte* cuda::allocate_pinned(size_t bytes) {
  void* memory = nullptr;
  if (cudaMallocHost(&memory, bytes) == cudaSuccess) return static_cast<std::byte*>(memory);
  cudaGetLastError();
  return nullptr;
}

void cuda::release_pinned(std::byte* memory) { cudaFreeHost(memory); }

void* cuda::create_stream(int device) {
  choose(device);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate", device);
  return stream;
}

void cuda::destroy_stream(int device, void* stream) {
  cudaSetDevice(device);
  cudaStreamDestroy(native(stream));
}

void cuda::synchronize(int device, void* stream) {
  check(cudaStreamSynchronize(native(stream)), "cudaStreamSynchronize", device);
}

void* cuda::create_event(int device) {
  choose(device);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate", device);
  return event;
}

void cuda::destroy_event(int device, void* event) {
  cudaSetDevice(device);
  cudaEventDestroy(static_cast<cudaEvent_t>(event));
}

void cuda::record_event(int device, void* stream, void* event) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(event), native(stream)), "cudaEventRecord", device);
}

void cuda::wait_for_event(int device, void* stream, void* event) {
  check(cudaStreamWaitEvent(native(stream), static_cast<cudaEvent_t>(event)), "cudaStreamWaitEvent", device);
}

void cuda::synchronize_event(int device, void* event) {
  check(cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "cudaEventSynchronize", device);
}

void cuda::begin_recording(int device, void* stream) {
  choose(device);
  // Other threads may allocate meanwhile.
  check(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture", device);
}

void* cuda::end_recording(int device, void* stream, void* graph) {
  cudaGraph_t recorded = nullptr;
  check(cudaStreamEndCapture(native(stream), &recorded), "cudaStreamEndCapture", device);
  auto runnable = static_cast<cudaGraphExec_t>(graph);
  cudaGraphExecUpdateResultInfo info{};
  if (runnable && cudaGraphExecUpdate(runnable, recorded, &info) != cudaSuccess) {
    cudaGetLastError();
    cudaGraphExecDestroy(runnable);
    runnable = nullptr;
  }
  const cudaError_t made = runnable ? cudaSuccess : cudaGraphInstantiate(&runnable, recorded, 0);
  cudaGraphDestroy(recorded);
  check(made, "cudaGraphInstantiate", device);
  check(cudaGraphLaunch(runnable, native(stream)), "cudaGraphLaunch", device);
  return runnable;
}

void cuda::discard_recording(int, void* stream) {
  cudaGraph_t recorded = nullptr;
  if (cudaStreamEndCapture(native(stream), &recorded) == cudaSuccess) cudaGraphDestroy(recorded);
  cudaGetLastError();
}

void cuda::destroy_graph(int device, void* graph) {
  cudaSetDevice(device);
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

void cuda::copy(int device, void* stream, const CopyRows& c) {
  const bool dense = c.rows == 1 || (c.to_stride == c.width && c.from_stride == c.width);
  if (dense)  // strides of copies in two dimensions are below 2 GB
    check(cudaMemcpyAsync(c.to, c.from, c.width * c.rows, cudaMemcpyDefault, native(stream)), "cudaMemcpyAsync",
          device);
  else
    check(
        cudaMemcpy2DAsync(c.to, c.to_stride, c.from, c.from_stride, c.width, c.rows, cudaMemcpyDefault, native(stream)),
        "cudaMemcpy2DAsync", device);
}

void cuda::fill_zero(int device, void* stream, std::byte* memory, size_t bytes) {
  check(cudaMemsetAsync(memory, 0, bytes, native(stream)), "cudaMemsetAsync", device);
}

}  // namespace rw
