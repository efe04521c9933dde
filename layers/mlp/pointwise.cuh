// What the CUDA twins of this folder share.
#pragma once
#include "core/device/vocabulary.cuh"

namespace rw {

// Kernels that compute each element from those at its place. A warp takes 32 vectors of a row; the 8 warps of a block
// take neighbouring rows, and go on to further rows where the grid ends.
inline constexpr unsigned kPointLanes = 32, kPointRows = 8, kMostPointBlocks = 1024;

template <auto kernel, class... A>
void launch_pointwise(Ctx& ctx, int64_t rows, int64_t width, int n, const A&... arguments) {
  const int64_t columns = kPointLanes * n, blocks = (rows + kPointRows - 1) / kPointRows;
  launch<kernel>(ctx,
                 dim3(static_cast<unsigned>((width + columns - 1) / columns),
                      static_cast<unsigned>(std::min<int64_t>(blocks, kMostPointBlocks))),
                 dim3(kPointLanes, kPointRows), 0, arguments..., rows, static_cast<int>(width));
}

// f(row, column) for each vector of N elements that is this thread's.
template <int N, class F>
__device__ void each_point(int64_t rows, int width, F f) {
  const int c = static_cast<int>(blockIdx.x * kPointLanes + threadIdx.x) * N;
  if (c >= width) return;
  for (int64_t r = blockIdx.y * kPointRows + threadIdx.y; r < rows; r += gridDim.y * kPointRows) f(r, c);
}

struct Sigmoid {
  float value, rest;
};
// σ(z) = 1 / (1 + e^-z) and 1 - σ(z), neither by a difference, and without an overflow.
__device__ inline Sigmoid sigmoid(float z) {
  const float e = expf(-fabsf(z)), larger = 1 / (1 + e), smaller = e * larger;
  return z < 0 ? Sigmoid{smaller, larger} : Sigmoid{larger, smaller};
}

}  // namespace rw
