#include <cmath>
#include <numbers>

#include "core/base/parallel.hpp"
#include "layers/mlp/gelu.hpp"

namespace rw {
namespace {

constexpr double kCubic = 0.044715;
constexpr double kRoot2OverPi = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;

template <class T>
T cdf(T x) {  // Φ(x) = erfc(-x / √2) / 2, which keeps the digits that 1 + erf loses
  return std::erfc(-x * static_cast<T>(std::numbers::sqrt2 / 2)) / 2;
}

template <class T>
T tanh_of(T x) {
  return std::tanh(static_cast<T>(kRoot2OverPi) * (x + static_cast<T>(kCubic) * x * x * x));
}

template <class T>
T slope(T x, GeluForm form) {  // dy / dx
  if (form == GeluForm::exact) {
    const T density = std::exp(-x * x / 2) * static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return cdf(x) + x * density;
  }
  const T t = tanh_of(x), ds = static_cast<T>(kRoot2OverPi) * (1 + static_cast<T>(3 * kCubic) * x * x);
  return (1 + t) / 2 + x / 2 * (1 - t * t) * ds;
}

}  // namespace

void cpu::gelu_forward(Ctx&, View y, CView x, GeluForm form) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vx = x.as<T>();
    parallel_for(x.rows(), [=, width = x.width()](int64_t r) {
      for (int64_t c = 0; c < width; ++c)
        vy[r][c] = vx[r][c] * (form == GeluForm::exact ? cdf(vx[r][c]) : (1 + tanh_of(vx[r][c])) / 2);
    });
  });
}

void cpu::gelu_backward(Ctx&, View dx, CView dy, CView x, GeluForm form) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vdx = dx.as<T>();
    const auto vdy = dy.as<T>(), vx = x.as<T>();
    parallel_for(x.rows(), [=, width = x.width()](int64_t r) {
      for (int64_t c = 0; c < width; ++c) vdx[r][c] = vdy[r][c] * slope(vx[r][c], form);
    });
  });
}

}  // namespace rw
