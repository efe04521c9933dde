#include "layers/mlp/gelu.hpp"
#include "layers/mlp/pointwise.cuh"

namespace rw {
namespace {

// The tanh form by (1 + tanh s) / 2 = σ(2s), 2s = x · (a + b x²).
constexpr float kA = 1.5957691216057308f, kB = 0.07135481627159546f;  // 2 √(2/π), 0.044715 a
constexpr float kDensity = 0.3989422804014327f;                       // 1 / √(2π)
constexpr float kRootHalf = 0.7071067811865476f;

__device__ inline float normal_cdf(float x) { return erfcf(-x * kRootHalf) / 2; }  // Φ; 1 + erf would lose digits
__device__ inline Sigmoid half_one_plus_tanh(float x) { return sigmoid(x * fmaf(kB, x * x, kA)); }

template <class T, int N>
__global__ void gelu_forward_kernel(Rows<T> y, Rows<const T> x, GeluForm form, int64_t rows, int width) {
  each_point<N>(rows, width, [=](int64_t r, int c) {
    const auto v = load<N>(x[r] + c);
    Vec<T, N> out;
    for (int i = 0; i < N; ++i)
      out.set(i, v[i] * (form == GeluForm::exact ? normal_cdf(v[i]) : half_one_plus_tanh(v[i]).value));
    store(y[r] + c, out);
  });
}

__device__ inline float gelu_slope(float x, GeluForm form) {  // dy / dx
  if (form == GeluForm::exact) return fmaf(x, kDensity * expf(-x * x / 2), normal_cdf(x));
  const auto [sigma, rest] = half_one_plus_tanh(x);
  return sigma * fmaf(rest, x * fmaf(3 * kB, x * x, kA), 1.0f);
}

template <class T, int N>
__global__ void gelu_backward_kernel(Rows<T> dx, Rows<const T> dy, Rows<const T> x, GeluForm form, int64_t rows,
                                     int width) {
  each_point<N>(rows, width, [=](int64_t r, int c) {
    const auto dout = load<N>(dy[r] + c), v = load<N>(x[r] + c);
    Vec<T, N> out;
    for (int i = 0; i < N; ++i) out.set(i, dout[i] * gelu_slope(v[i], form));
    store(dx[r] + c, out);
  });
}

}  // namespace

void cuda::gelu_forward(Ctx& ctx, View y, CView x, GeluForm form) {
  const auto start = [&]<class T, int N>() {
    launch_pointwise<gelu_forward_kernel<T, N>>(ctx, x.rows(), x.width(), N, y.as<T>(), x.as<T>(), form);
  };
  visit_vector(start, y, x);
}

void cuda::gelu_backward(Ctx& ctx, View dx, CView dy, CView x, GeluForm form) {
  const auto start = [&]<class T, int N>() {
    launch_pointwise<gelu_backward_kernel<T, N>>(ctx, x.rows(), x.width(), N, dx.as<T>(), dy.as<T>(), x.as<T>(), form);
  };
  visit_vector(start, dx, dy, x);
}

}  // namespace rw
