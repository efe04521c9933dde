#include "core/math/add_parts.cuh"
#include "core/math/row_parts.hpp"
#include "layers/norm/layer_norm.hpp"

namespace rw {
namespace {

// One team for each row. A thread reads in later loops what it read, or wrote, itself in the first.
template <class T, int N>
__global__ void layer_norm_forward_kernel(Rows<T> y, Rows<T> h, float* means, float* rstds, Rows<const T> x,
                                          Rows<const T> branch, const T* weight, const T* bias, int64_t rows, int width,
                                          float eps) {
  const int64_t r = row_of_team();
  if (r >= rows) return;
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  float total = 0;
  for (int c = first; c < width; c += step) {
    auto v = load<N>(x[r] + c);
    if (branch.data) {
      const auto added = load<N>(branch[r] + c);
      for (int i = 0; i < N; ++i) v.set(i, v[i] + added[i]);
      store(h[r] + c, v);
    }
    for (int i = 0; i < N; ++i) total += v[i];
  }
  const float mean = team_sum(total) / static_cast<float>(width);
  const T* const in = branch.data ? h[r] : x[r];
  float squares = 0;
  for (int c = first; c < width; c += step) {
    const auto v = load<N>(in + c);
    for (int i = 0; i < N; ++i) squares += (v[i] - mean) * (v[i] - mean);
  }
  const float rstd = rsqrtf(team_sum(squares) / static_cast<float>(width) + eps);
  for (int c = first; c < width; c += step) {
    const auto v = load<N>(in + c), w = load<N>(weight + c);
    Vec<T, N> shift{}, out;
    if (bias) shift = load<N>(bias + c);
    for (int i = 0; i < N; ++i) out.set(i, w[i] * ((v[i] - mean) * rstd) + shift[i]);
    store(y[r] + c, out);
  }
  if (threadIdx.x == 0) means[r] = mean, rstds[r] = rstd;
}

// One block for each part of the rows; its teams take turns. A thread owns the same columns in every row that its team
// takes, and their sums in shared memory: [teams, N, width / N] for dweight, and as much for dbias.
template <class T, int N>
__global__ void layer_norm_backward_kernel(Rows<T> dx, Rows<float> partial, bool with_bias, Rows<const T> dy,
                                           Rows<const T> dh, Rows<const T> h, const float* means, const float* rstds,
                                           const T* weight, int64_t rows, int width) {
  const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
  const int team = static_cast<int>(threadIdx.y), teams = static_cast<int>(blockDim.y);
  const bool wanted = partial.data != nullptr;  // not with Grad::skip
  const int kinds = !wanted ? 0 : with_bias ? 2 : 1;
  float* const all_sums = dynamic_shared<float>();
  const auto sum = [=](int kind, int t, int c, int i) -> float& {
    return all_sums[(kind * teams + t) * width + i * (width / N) + c / N];
  };
  for (int kind = 0; kind < kinds; ++kind)
    for (int c = first; c < width; c += step)
      for (int i = 0; i < N; ++i) sum(kind, team, c, i) = 0;

  const int64_t begin = rows * blockIdx.x / gridDim.x, end = rows * (blockIdx.x + 1) / gridDim.x;
  for (int64_t r = begin + team; r < end; r += teams) {
    const float mean = means[r], rstd = rstds[r];
    float sum_g = 0, sum_gn = 0;  // g = weight · dy, n = (h - mean) · rstd
    for (int c = first; c < width; c += step) {
      const auto w = load<N>(weight + c), d = load<N>(dy[r] + c), v = load<N>(h[r] + c);
      for (int i = 0; i < N; ++i) {
        sum_g += w[i] * d[i];
        sum_gn += w[i] * d[i] * ((v[i] - mean) * rstd);
      }
    }
    const float mean_g = team_sum(sum_g) / static_cast<float>(width);
    const float mean_gn = team_sum(sum_gn) / static_cast<float>(width);
    for (int c = first; c < width; c += step) {
      const auto w = load<N>(weight + c), d = load<N>(dy[r] + c), v = load<N>(h[r] + c);
      Vec<T, N> after{}, out;
      if (dh.data) after = load<N>(dh[r] + c);
      for (int i = 0; i < N; ++i) {
        const float n = (v[i] - mean) * rstd;
        out.set(i, after[i] + rstd * (w[i] * d[i] - mean_g - n * mean_gn));
        if (wanted) sum(0, team, c, i) += d[i] * n;
        if (with_bias) sum(1, team, c, i) += d[i];
      }
      store(dx[r] + c, out);
    }
  }
  if (!wanted) return;
  __syncthreads();
  if (team > 0) return;
  for (int kind = 0; kind < kinds; ++kind)
    for (int c = first; c < width; c += step)
      for (int i = 0; i < N; ++i) {
        float total = 0;
        for (int t = 0; t < teams; ++t) total += sum(kind, t, c, i);
        partial[kind * gridDim.x + blockIdx.x][c + i] = total;
      }
}

}  // namespace

void cuda::layer_norm_forward(Ctx& ctx, View y, View h, View mean, View rstd, CView x, CView branch, CView weight,
                              CView bias, double eps) {
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(x.width(), N);
    launch<layer_norm_forward_kernel<T, N>>(ctx, grid_of_teams(x.rows(), block), block, 0, y.as<T>(), h.as<T>(),
                                            mean.as<float>().data, rstd.as<float>().data, x.as<T>(), branch.as<T>(),
                                            weight.as<T>().data, bias.as<T>().data, x.rows(),
                                            static_cast<int>(x.width()), static_cast<float>(eps));
  };
  visit_vector(start, y, h, x, branch, weight, bias);
}

void cuda::layer_norm_backward(Ctx& ctx, View dx, View dweight, View dbias, CView dy, CView dh, CView h, CView mean,
                               CView rstd, CView weight, Grad mode, View partial) {
  const bool wanted = mode != Grad::skip, with_bias = wanted && !dbias.empty();
  const int64_t parts = row_parts(h.rows());
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(h.width(), N);
    const size_t row = static_cast<size_t>(h.width()) * block.y * sizeof(float);
    launch<layer_norm_backward_kernel<T, N>>(
        ctx, dim3(static_cast<unsigned>(parts)), block, wanted ? (with_bias ? 2 * row : row) : 0, dx.as<T>(),
        partial.as<float>(), with_bias, dy.as<T>(), dh.as<T>(), h.as<T>(), mean.as<float>().data, rstd.as<float>().data,
        weight.as<T>().data, h.rows(), static_cast<int>(h.width()));
  };
  visit_vector(start, dx, dy, dh, h, weight);
  if (wanted) add_parts(ctx, dweight, rw::rows(partial, 0, parts), mode);
  if (with_bias) add_parts(ctx, dbias, rw::rows(partial, parts, parts), mode);
}

}  // namespace rw
