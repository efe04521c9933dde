#include "core/device/vocabulary.cuh"
#include "layers/loss/linear_cross_entropy.hpp"

namespace rw {
namespace {

// One team for each row. A thread reads and overwrites the same columns of it all along.
template <class T, int N>
__global__ void softmax_cross_entropy_kernel(float* nll, Rows<T> z, const int32_t* targets, int64_t rows, int width,
                                             float scale, bool gradient) {
  const int64_t r = row_of_team();
  if (r >= rows) return;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int target = targets[r];
  T* const row = z[r];
  if (target < 0 || target >= width) {
    const float value = target == kIgnore ? 0.0f : kNaN;
    Vec<T, N> out;
    for (int i = 0; i < N; ++i) out.set(i, value);
    if (thread == 0) nll[r] = value;
    for (int c = thread * N; gradient && c < width; c += threads * N) store(row + c, out);
    return;
  }
  float most = -std::numeric_limits<float>::max(), sum = 0;  // of what the thread has met: max z, Σ e^(z - most)
  for (int c = thread * N; c < width; c += threads * N) {
    const auto v = load<N>(row + c);
    const float before = most;
    for (int i = 0; i < N; ++i) most = fmaxf(most, v[i]);
    sum *= expf(before - most);
    for (int i = 0; i < N; ++i) sum += expf(v[i] - most);  // NaN, which fmaxf passes over, and +infinity make it NaN
  }
  const float largest = team_max(most), total = team_sum(sum * expf(most - largest));
  if (target / N % threads == thread) nll[r] = logf(total) + (largest - to_float(row[target]));
  if (!gradient) return;
  const float factor = scale / total;
  for (int c = thread * N; c < width; c += threads * N) {
    auto v = load<N>(row + c);
    for (int i = 0; i < N; ++i) v.set(i, factor * expf(v[i] - largest) - (c + i == target ? scale : 0.0f));
    store(row + c, v);
  }
}

}  // namespace

void cuda::softmax_cross_entropy(Ctx& ctx, View nll, View z, CView target, double scale, bool gradient) {
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(z.width(), N);
    launch<softmax_cross_entropy_kernel<T, N>>(ctx, grid_of_teams(z.rows(), block), block, 0, nll.as<float>().data,
                                               z.as<T>(), target.as<int32_t>().data, z.rows(),
                                               static_cast<int>(z.width()), static_cast<float>(scale), gradient);
  };
  visit_vector(start, z);
}

}  // namespace rw
