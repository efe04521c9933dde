#include "core/math/add_parts.cuh"
#include "core/math/row_parts.hpp"
#include "layers/norm/rms_norm.hpp"

namespace rw {
namespace {

// One team for each row and group. A thread reads in the second loop what it read, or wrote, itself in the first.
template <class T, int N>
__global__ void rms_norm_forward_kernel(Rows<T> y, Rows<T> h, Rows<float> rstd, Rows<const T> x, Rows<const T> branch,
                                        const T* weight, int64_t rows, int groups, int width, float eps) {
  const int64_t item = row_of_team(), r = item / groups, group = item % groups;
  if (r >= rows) return;
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  const T* in = x[r] + group * width;
  float squares = 0;
  for (int c = first; c < width; c += step) {
    auto v = load<N>(in + c);
    if (branch.data) {
      const auto added = load<N>(branch[r] + group * width + c);
      for (int i = 0; i < N; ++i) v.set(i, v[i] + added[i]);
      store(h[r] + group * width + c, v);
    }
    for (int i = 0; i < N; ++i) squares += v[i] * v[i];
  }
  const float s = rsqrtf(team_sum(squares) / static_cast<float>(width) + eps);
  if (threadIdx.x == 0) rstd[r][group] = s;
  if (branch.data) in = h[r] + group * width;
  for (int c = first; c < width; c += step) {
    const auto v = load<N>(in + c), w = load<N>(weight + c);
    Vec<T, N> out;
    for (int i = 0; i < N; ++i) out.set(i, w[i] * (v[i] * s));
    store(y[r] + group * width + c, out);
  }
}

// One block for each part of the rows; its teams take turns. A thread owns the same columns in every row that its team
// takes, and their sums in shared memory [teams, N, width / N], where neighbours use neighbouring banks.
template <class T, int N>
__global__ void rms_norm_backward_kernel(Rows<T> dx, Rows<float> partial, Rows<const T> dy, Rows<const T> dh,
                                         Rows<const T> h, Rows<const float> rstd, const T* weight, int64_t rows,
                                         int groups, int width) {
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  const int team = static_cast<int>(threadIdx.y), teams = static_cast<int>(blockDim.y);
  const bool wanted = partial.data != nullptr;  // not with Grad::skip
  float* const all_sums = dynamic_shared<float>();
  const auto sum = [=](int t, int c, int i) -> float& { return all_sums[t * width + i * (width / N) + c / N]; };
  if (wanted)
    for (int c = first; c < width; c += step)
      for (int i = 0; i < N; ++i) sum(team, c, i) = 0;

  const int64_t begin = rows * blockIdx.x / gridDim.x, end = rows * (blockIdx.x + 1) / gridDim.x;
  for (int64_t item = begin * groups + team; item < end * groups; item += teams) {
    const int64_t r = item / groups, group = item % groups, at = group * width;
    float dot = 0;  // Σ_c g · h, g = weight · dy
    for (int c = first; c < width; c += step) {
      const auto w = load<N>(weight + c), d = load<N>(dy[r] + at + c), v = load<N>(h[r] + at + c);
      for (int i = 0; i < N; ++i) dot += w[i] * d[i] * v[i];
    }
    const float s = rstd[r][group], projection = s * team_sum(dot) / static_cast<float>(width);
    for (int c = first; c < width; c += step) {
      const auto w = load<N>(weight + c), d = load<N>(dy[r] + at + c), v = load<N>(h[r] + at + c);
      Vec<T, N> after{}, out;
      if (dh.data) after = load<N>(dh[r] + at + c);
      for (int i = 0; i < N; ++i) {
        const float n = v[i] * s;
        out.set(i, after[i] + s * (w[i] * d[i] - n * projection));
        if (wanted) sum(team, c, i) += d[i] * n;
      }
      store(dx[r] + at + c, out);
    }
  }
  if (!wanted) return;
  __syncthreads();
  if (team > 0) return;
  for (int c = first; c < width; c += step)
    for (int i = 0; i < N; ++i) {
      float total = 0;
      for (int t = 0; t < teams; ++t) total += sum(t, c, i);
      partial[blockIdx.x][c + i] = total;
    }
}

}  // namespace

void cuda::rms_norm_forward(Ctx& ctx, View y, View h, View rstd, CView x, CView branch, CView weight, double eps) {
  const int64_t width = weight.width(), groups = x.width() / width;
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(width, N);
    launch<rms_norm_forward_kernel<T, N>>(ctx, grid_of_teams(x.rows() * groups, block), block, 0, y.as<T>(), h.as<T>(),
                                          rstd.as<float>(), x.as<T>(), branch.as<T>(), weight.as<T>().data, x.rows(),
                                          static_cast<int>(groups), static_cast<int>(width), static_cast<float>(eps));
  };
  visit_vector(start, y, h, x, branch, weight);
}

void cuda::rms_norm_backward(Ctx& ctx, View dx, View dweight, CView dy, CView dh, CView h, CView rstd, CView weight,
                             Grad mode, View partial) {
  const bool wanted = mode != Grad::skip;
  const int64_t width = weight.width(), groups = h.width() / width;
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(width, N);
    const size_t shared = wanted ? static_cast<size_t>(width) * block.y * sizeof(float) : 0;
    launch<rms_norm_backward_kernel<T, N>>(ctx, dim3(static_cast<unsigned>(row_parts(h.rows()))), block, shared,
                                           dx.as<T>(), partial.as<float>(), dy.as<T>(), dh.as<T>(), h.as<T>(),
                                           rstd.as<float>(), weight.as<T>().data, h.rows(), static_cast<int>(groups),
                                           static_cast<int>(width));
  };
  visit_vector(start, dx, dy, dh, h, weight);
  if (wanted) add_parts(ctx, dweight, partial, mode);
}

}  // namespace rw
