// The words that kernels share: vectors of N elements, sums over a warp and over a block, and the shapes of launches.
#pragma once
#include <limits>

#include "core/device/gpu.cuh"

namespace rw {

__device__ inline float to_float(float v) { return v; }
template <class T>
__device__ T from_float(float v) {
  if constexpr (std::is_same_v<T, float>)
    return v;
  else
    return to_bf16(v);
}

// N elements, neighbours in memory, that move 16 bytes at a time, or all at once where they are fewer.
template <class T, int N>
struct alignas(std::min<size_t>(sizeof(T) * N, 16)) Vec {
  T at[N];
  __device__ float operator[](int i) const { return to_float(at[i]); }
  __device__ void set(int i, float v) { at[i] = from_float<T>(v); }
};
template <int N, class T>
__device__ Vec<T, N> load(const T* p) {
  return *as_aligned<const Vec<T, N>>(p);
}
template <class T, int N>
__device__ void store(T* p, const Vec<T, N>& v) {
  *as_aligned<Vec<T, N>>(p) = v;
}

// Whether every row of every view can be moved in vectors of `bytes`: widths, strides and addresses are multiples. An
// empty view can.
template <class... V>
bool rows_aligned(size_t bytes, const V&... views) {
  const auto aligned = [bytes](CView v) {
    const auto multiple = [&](int64_t elements) {
      return static_cast<size_t>(elements) * size_of(v.dtype) % bytes == 0;
    };
    return v.empty() ||
           (multiple(v.width()) && multiple(v.row_stride) && reinterpret_cast<uintptr_t>(v.data) % bytes == 0);
  };
  return (aligned(views) && ...);
}

// The address alone, for rows_aligned: a kernel that takes the last elements of a flat view one by one asks no more.
inline CView begin_of(CView v) {
  v.shape = {0};
  v.row_stride = 0;
  return v;
}

// Calls f.operator()<T, N>(): vectors of 16 bytes if every row of `views` allows them, else single elements.
template <class T, class F, class... V>
void visit_vector_of(F&& f, const V&... views) {
  if (rows_aligned(16, views...))
    f.template operator()<T, 16 / sizeof(T)>();
  else
    f.template operator()<T, 1>();
}
// With the dtype of the first view, f32 or bf16.
template <class F, class... V>
void visit_vector(F&& f, CView first, const V&... others) {
  visit_dtype<float, bf16>(first.dtype, [&]<class T>() { visit_vector_of<T>(f, first, others...); });
}

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

inline constexpr unsigned kAllLanes = 0xffffffffu;

// For blocks of one dimension in x, a multiple of 32 threads. Every lane, or thread, gets the result; the order of the
// additions depends on nothing but the size of the block.
template <class T>
__device__ T warp_sum(T v) {
  for (int lanes = 16; lanes > 0; lanes /= 2) v += __shfl_xor_sync(kAllLanes, v, lanes);
  return v;
}
__device__ inline float warp_max(float v) {  // NaN is not seen
  for (int lanes = 16; lanes > 0; lanes /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, lanes));
  return v;
}
template <class T, class Warp, class Join>
__device__ T block_reduce(T v, Warp of_warp, Join join) {
  __shared__ T each[32];
  v = of_warp(v);
  __syncthreads();  // the threads may still be reading the results of the call before
  if (threadIdx.x % 32 == 0) each[threadIdx.x / 32] = v;
  __syncthreads();
  T result = each[0];
  for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) result = join(result, each[warp]);
  return result;
}
template <class T>
__device__ T block_sum(T v) {
  return block_reduce(
      v, [](T x) { return warp_sum(x); }, [](T a, T b) { return a + b; });
}
__device__ inline float block_max(float v) {
  return block_reduce(
      v, [](float x) { return warp_max(x); }, [](float a, float b) { return fmaxf(a, b); });
}

// Rows that are reduced. Each is the work of a team, threads with one threadIdx.y: a warp if that takes a row in one
// step in vectors of n, and then kTeams of them to a block, else a block of up to 16 warps. Teams of one warp need no
// barrier of the block.
inline constexpr unsigned kTeams = 8;
inline dim3 row_teams(int64_t width, int n) {
  const int64_t warps = (width + 32 * n - 1) / (32 * n);
  return warps == 1 ? dim3(32, kTeams) : dim3(32 * static_cast<unsigned>(std::min<int64_t>(warps, 16)));
}
inline dim3 grid_of_teams(int64_t rows, dim3 block) {
  return dim3(static_cast<unsigned>((rows + block.y - 1) / block.y));
}
__device__ inline int64_t row_of_team() { return int64_t{blockIdx.x} * blockDim.y + threadIdx.y; }
__device__ inline float team_sum(float v) { return blockDim.x == 32 ? warp_sum(v) : block_sum(v); }
__device__ inline float team_max(float v) { return blockDim.x == 32 ? warp_max(v) : block_max(v); }

// A grid over n elements, kGridThreads threads a block and one element each, as many blocks as a grid can have; the
// kernel's loop goes on where they do not suffice.
inline constexpr int kGridThreads = 256;
inline dim3 grid_over(int64_t n) {
  return dim3(static_cast<unsigned>(std::clamp<int64_t>((n + kGridThreads - 1) / kGridThreads, 1, 0x7fffffff)));
}
__device__ inline int64_t first_of_grid() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline int64_t step_of_grid() { return int64_t{gridDim.x} * blockDim.x; }

}  // namespace rw
