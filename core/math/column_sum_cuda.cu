#include "core/math/add_parts.cuh"
#include "core/math/column_sum.hpp"
#include "core/math/row_parts.hpp"

namespace rw {
namespace {

// Block: 32 vectors of columns by 8 lanes, for one part of the rows; lane l adds rows l, l + 8, ... of the part and the
// lanes are added in order.
template <class T, int N>
__global__ void column_sum_kernel(Rows<float> partial, Rows<const T> x, int64_t rows, int width) {
  __shared__ float of_lane[kPartLanes][N][kPartColumns];
  const unsigned column = threadIdx.x, lane = threadIdx.y;
  const int c = static_cast<int>(blockIdx.x * kPartColumns + column) * N;
  const auto [begin, end] = row_part(rows, gridDim.y, blockIdx.y);
  float s[N] = {};
  if (c < width)
    for (int64_t r = begin + lane; r < end; r += kPartLanes) {
      const auto v = load<N>(x[r] + c);
      for (int i = 0; i < N; ++i) s[i] += v[i];
    }
  for (int i = 0; i < N; ++i) of_lane[lane][i][column] = s[i];
  __syncthreads();
  if (lane > 0 || c >= width) return;
  Vec<float, N> total{};
  for (int l = 0; l < kPartLanes; ++l)
    for (int i = 0; i < N; ++i) total.at[i] += of_lane[l][i][column];
  store(partial[blockIdx.y] + c, total);
}

}  // namespace

void cuda::column_sum(Ctx& ctx, View sum, CView x, Grad store, View partial) {
  const auto start = [&]<class T, int N>() {
    const int64_t columns = kPartColumns * N;
    const dim3 grid(static_cast<unsigned>((x.width() + columns - 1) / columns), static_cast<unsigned>(partial.rows()));
    launch<column_sum_kernel<T, N>>(ctx, grid, dim3(kPartColumns, kPartLanes), 0, partial.as<float>(), x.as<T>(),
                                    x.rows(), static_cast<int>(x.width()));
  };
  visit_vector(start, x, partial);
  add_parts(ctx, sum, partial, store);
}

}  // namespace rw
