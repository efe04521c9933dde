#include "layers/mlp/pointwise.cuh"
#include "layers/mlp/swiglu.hpp"

namespace rw {
namespace {

template <class T, int N>
__global__ void swiglu_forward_kernel(Rows<T> y, Rows<const T> g, Rows<const T> u, int64_t rows, int width) {
  each_point<N>(rows, width, [=](int64_t r, int c) {
    const auto gate = load<N>(g[r] + c), up = load<N>(u[r] + c);
    Vec<T, N> out;
    for (int i = 0; i < N; ++i) out.set(i, gate[i] * sigmoid(gate[i]).value * up[i]);
    store(y[r] + c, out);
  });
}

template <class T, int N>
__global__ void swiglu_backward_kernel(Rows<T> dg, Rows<T> du, Rows<const T> dy, Rows<const T> g, Rows<const T> u,
                                       int64_t rows, int width) {
  each_point<N>(rows, width, [=](int64_t r, int c) {
    const auto dout = load<N>(dy[r] + c), gate = load<N>(g[r] + c), up = load<N>(u[r] + c);
    Vec<T, N> dgate, dup;
    for (int i = 0; i < N; ++i) {
      const auto [sigma, rest] = sigmoid(gate[i]);
      dgate.set(i, dout[i] * up[i] * sigma * (1 + gate[i] * rest));
      dup.set(i, dout[i] * (gate[i] * sigma));
    }
    store(dg[r] + c, dgate);
    store(du[r] + c, dup);
  });
}

}  // namespace

void cuda::swiglu_forward(Ctx& ctx, View y, CView g, CView u) {
  const auto start = [&]<class T, int N>() {
    launch_pointwise<swiglu_forward_kernel<T, N>>(ctx, g.rows(), g.width(), N, y.as<T>(), g.as<T>(), u.as<T>());
  };
  visit_vector(start, y, g, u);
}

void cuda::swiglu_backward(Ctx& ctx, View dg, View du, CView dy, CView g, CView u) {
  const auto start = [&]<class T, int N>() {
    launch_pointwise<swiglu_backward_kernel<T, N>>(ctx, g.rows(), g.width(), N, dg.as<T>(), du.as<T>(), dy.as<T>(),
                                                   g.as<T>(), u.as<T>());
  };
  visit_vector(start, dg, du, dy, g, u);
}

}  // namespace rw
