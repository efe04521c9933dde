#include "layers/mlp/dropout.hpp"
#include "layers/mlp/pointwise.cuh"

namespace rw {
namespace {

// words[i] without an address, so that the words stay in registers.
__device__ inline uint32_t word(const PhiloxCounter& words, int64_t i) {
  const uint64_t low = uint64_t{words[1]} << 32 | words[0], high = uint64_t{words[3]} << 32 | words[2];
  return static_cast<uint32_t>((i < 2 ? low : high) >> i % 2 * 32);
}

// Vectors begin at elements that are multiples of 4: each 4 of theirs are one counter's words.
template <class T, int N>
__global__ void dropout_kernel(Rows<T> y, Rows<const T> x, int64_t length, DrawKey key, uint32_t threshold, float scale,
                               int64_t rows, int width) {
  static_assert(N % 4 == 0 || N == 1);
  each_point<N>(rows, width, [=](int64_t r, int c) {
    const auto sample = key.sample + static_cast<uint32_t>(r / length);
    const int64_t e = r % length * width + c;  // element of the sample
    const auto in = load<N>(x[r] + c);
    Vec<T, N> out;
    PhiloxCounter words;
    for (int i = 0; i < N; ++i) {
      if (i % 4 == 0)
        words = philox({static_cast<uint32_t>((e + i) / 4), sample, key.step, key.site}, philox_key(key.seed));
      out.set(i, word(words, N == 1 ? e % 4 : i % 4) >> 8 >= threshold ? in[i] * scale : 0.0f);
    }
    store(y[r] + c, out);
  });
}

}  // namespace

void cuda::dropout(Ctx& ctx, View y, CView x, double p, DrawKey key) {
  const auto start = [&]<class T, int N>() {
    launch_pointwise<dropout_kernel<T, N>>(ctx, x.rows(), x.width(), N, y.as<T>(), x.as<T>(), x.shape.dim[1], key,
                                           dropout_threshold(p), static_cast<float>(1 / (1 - p)));
  };
  visit_vector(start, y, x);
}

}  // namespace rw
