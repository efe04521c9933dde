#include "core/device/vocabulary.cuh"
#include "optim/clip.hpp"
#include "optim/clip_finish.hpp"

namespace rw {
namespace {

// One block of threads for each kClipBlock elements. A thread takes four neighbours at a time and has a sum for each,
// whatever N. A square of a float is exact in double.
template <int N>
__global__ void clip_partial_kernel(double* partial, const float* g, int64_t n) {
  constexpr int kSums = 4;
  const int64_t begin = blockIdx.x * kClipBlock, end = n - begin < kClipBlock ? n : begin + kClipBlock;
  double sums[kSums] = {};
  const auto add = [&](int j, float v) { sums[j] += static_cast<double>(v) * static_cast<double>(v); };
  for (int64_t i = begin + threadIdx.x * kSums; i < end; i += blockDim.x * kSums)
    if (i + kSums <= end) {
      for (int j = 0; j < kSums; j += N) {
        const auto v = load<N>(g + i + j);
        for (int k = 0; k < N; ++k) add(j + k, v[k]);
      }
    } else {
      for (int j = 0; j < kSums; ++j)
        if (i + j < end) add(j, g[i + j]);
    }
  const double sum = block_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void clip_finish_kernel(float* norm, float* clip, const double* partial, int64_t blocks, double limit) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += blockDim.x) sum += partial[i];
  const auto length = static_cast<float>(sqrt(block_sum(sum)));
  if (threadIdx.x == 0) norm[0] = length, clip[0] = clip_of(length, limit);
}

}  // namespace

void cuda::clip_factor(Ctx& ctx, View norm, View clip, CView g, double limit, View partial) {
  const int64_t blocks = partial.width();
  double* const sums = partial.as<double>().data;
  const auto start = [&]<class T, int N>() {
    launch<clip_partial_kernel<N>>(ctx, dim3(static_cast<unsigned>(blocks)), dim3(kGridThreads), 0, sums,
                                   g.as<float>().data, g.width());
  };
  visit_vector_of<float>(start, begin_of(g));
  launch<clip_finish_kernel>(ctx, dim3(1), dim3(kGridThreads), 0, norm.as<float>().data, clip.as<float>().data, sums,
                             blocks, limit);
}

}  // namespace rw
