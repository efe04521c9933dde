#pragma once

namespace rw {

// The queue that ops are put on. On the CPU an op is finished when its call returns and there is no queue.
struct Stream {
  void* native = nullptr;  // cudaStream_t on a CUDA device
};

}  // namespace rw
