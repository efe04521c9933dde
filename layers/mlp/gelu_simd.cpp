// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/mlp/gelu_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/mlp/activation-inl.hpp"
#include "layers/mlp/gelu.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// The tanh form by (1 + tanh s) / 2 = σ(2s), 2s = x · (a + b x²).
constexpr float kA = 1.5957691216057308f, kB = 0.07135481627159546f;  // 2 √(2/π), 0.044715 a
constexpr float kDensity = 0.3989422804014327f;                       // 1 / √(2π)

template <class D>
HWY_INLINE hn::Vec<D> half_one_plus_tanh(D d, hn::Vec<D> x, hn::Vec<D>& rest) {
  return sigmoid(d, hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(d, kB), hn::Set(d, kA))), rest);
}

void forward_exact(float* y, const float* x, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto v = hn::LoadU(d, x + c);
    auto bell = v;
    hn::StoreU(hn::Mul(v, normal_cdf(d, v, bell)), d, y + c);
  });
}

void forward_tanh(float* y, const float* x, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto v = hn::LoadU(d, x + c);
    auto rest = v;
    hn::StoreU(hn::Mul(v, half_one_plus_tanh(d, v, rest)), d, y + c);
  });
}

void backward_exact(float* dx, const float* dy, const float* x, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto v = hn::LoadU(d, x + c);
    auto bell = v;
    const auto cdf = normal_cdf(d, v, bell);
    const auto slope = hn::MulAdd(v, hn::Mul(bell, hn::Set(d, kDensity)), cdf);
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + c), slope), d, dx + c);
  });
}

// slope = σ · (1 + (1 - σ) · x · (a + 3b x²)), σ = σ(2s)
void backward_tanh(float* dx, const float* dy, const float* x, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto v = hn::LoadU(d, x + c);
    auto rest = v;
    const auto sigma = half_one_plus_tanh(d, v, rest);
    const auto inner = hn::Mul(v, hn::MulAdd(hn::Mul(v, v), hn::Set(d, 3 * kB), hn::Set(d, kA)));
    const auto slope = hn::Mul(sigma, hn::MulAdd(rest, inner, hn::Set(d, 1.0f)));
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + c), slope), d, dx + c);
  });
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {
HWY_EXPORT(forward_exact);
HWY_EXPORT(forward_tanh);
HWY_EXPORT(backward_exact);
HWY_EXPORT(backward_tanh);
}  // namespace

void fast::gelu_forward(Ctx&, View y, CView x, GeluForm form) {
  const auto row = form == GeluForm::exact ? &HWY_DYNAMIC_DISPATCH(forward_exact) : &HWY_DYNAMIC_DISPATCH(forward_tanh);
  const auto vy = y.as<float>();
  const auto vx = x.as<float>();
  parallel_for(x.rows(), [=, width = static_cast<size_t>(x.width())](int64_t r) { row(vy[r], vx[r], width); });
}

void fast::gelu_backward(Ctx&, View dx, CView dy, CView x, GeluForm form) {
  const auto row =
      form == GeluForm::exact ? &HWY_DYNAMIC_DISPATCH(backward_exact) : &HWY_DYNAMIC_DISPATCH(backward_tanh);
  const auto vdx = dx.as<float>();
  const auto vdy = dy.as<float>(), vx = x.as<float>();
  parallel_for(x.rows(), [=, width = static_cast<size_t>(x.width())](int64_t r) { row(vdx[r], vdy[r], vx[r], width); });
}

}  // namespace rw
#endif  // HWY_ONCE
