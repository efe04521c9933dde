// add_parts.hpp on the device.
#pragma once
#include "core/device/vocabulary.cuh"

namespace rw {

inline constexpr int kPartColumns = 32, kPartLanes = 8;

// Block: 32 columns by 8 lanes; lane l adds parts l, l + 8, ... and the lanes are added in order.
static __global__ void add_parts_kernel(float* sum, Rows<const float> partial, int parts, int width, bool accumulate) {
  __shared__ float of_lane[kPartLanes][kPartColumns];
  const unsigned column = threadIdx.x, lane = threadIdx.y;
  const int c = static_cast<int>(blockIdx.x * kPartColumns + column);
  float s = 0;
  if (c < width)
    for (int p = static_cast<int>(lane); p < parts; p += kPartLanes) s += partial[p][c];
  of_lane[lane][column] = s;
  __syncthreads();
  if (lane > 0 || c >= width) return;
  float total = accumulate ? sum[c] : 0.0f;
  for (int l = 0; l < kPartLanes; ++l) total += of_lane[l][column];
  sum[c] = total;
}

// sum[c] = Σ_p partial[p][c], or sum[c] += the same, as `mode` says. partial is f32 [parts, width].
inline void add_parts(Ctx& ctx, View sum, CView partial, Grad mode) {
  const int64_t width = partial.width();
  launch<add_parts_kernel>(ctx, dim3(static_cast<unsigned>((width + kPartColumns - 1) / kPartColumns)),
                           dim3(kPartColumns, kPartLanes), 0, sum.as<float>().data, CView(partial).as<float>(),
                           static_cast<int>(partial.rows()), static_cast<int>(width), mode == Grad::accumulate);
}

}  // namespace rw
