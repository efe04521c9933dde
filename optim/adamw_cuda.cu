#include "core/device/vocabulary.cuh"
#include "optim/adamw_numbers.hpp"

namespace rw {
namespace {

// Every product that is added to something says fmaf: the bits must not depend on N, which a cut into ranges decides.
template <int N>
__device__ void adamw_at(float* p, bf16* low, float* m, float* v, const float* g, float factor, const AdamWNumbers& k) {
  auto value = load<N>(p), first = load<N>(m), second = load<N>(v);
  const auto given = load<N>(g);
  for (int i = 0; i < N; ++i) {
    const float gradient = factor * given[i];
    first.set(i, fmaf(k.beta1, first[i], k.rest1 * gradient));
    second.set(i, fmaf(k.beta2, second[i], k.rest2 * (gradient * gradient)));
    const float divisor = fmaf(sqrtf(second[i]), k.inverse_root, k.eps);
    value.set(i, fmaf(k.keep, value[i], -(k.lr * first[i] / divisor)));
  }
  store(p, value), store(m, first), store(v, second);
  if (!low) return;
  Vec<bf16, N> rounded;
  for (int i = 0; i < N; ++i) rounded.set(i, value[i]);
  store(low, rounded);
}

// One pass, N elements a thread: 16 bytes read and 12 or 14 written for each.
template <int N>
__global__ void adamw_kernel(float* p, bf16* low, float* m, float* v, const float* g, const float* clip, int64_t n,
                             AdamWNumbers k) {
  const float factor = clip[0];
  if (std::isnan(factor)) return;
  int64_t i = first_of_grid() * N;
  if (i + N <= n)
    adamw_at<N>(p + i, low ? low + i : low, m + i, v + i, g + i, factor, k);
  else
    for (; i < n; ++i) adamw_at<1>(p + i, low ? low + i : low, m + i, v + i, g + i, factor, k);
}

}  // namespace

void cuda::adamw(Ctx& ctx, View p, View low, View m, View v, CView g, CView clip, const AdamWOpt& opt) {
  const auto start = [&]<int N>() {
    launch<adamw_kernel<N>>(ctx, grid_over((p.width() + N - 1) / N), dim3(kGridThreads), 0, p.as<float>().data,
                            low.as<bf16>().data, m.as<float>().data, v.as<float>().data, g.as<float>().data,
                            clip.as<float>().data, p.width(), adamw_numbers(opt));
  };
  const bool vectors = rows_aligned(16, begin_of(p), begin_of(m), begin_of(v), begin_of(g)) &&
                       (low.empty() || rows_aligned(8, begin_of(low)));
  if (vectors)
    start.template operator()<4>();
  else
    start.template operator()<1>();
}

}  // namespace rw
