// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/mlp/swiglu_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/mlp/activation-inl.hpp"
#include "layers/mlp/swiglu.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

void forward_row(float* y, const float* g, const float* u, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto gate = hn::LoadU(d, g + c);
    auto rest = gate;
    hn::StoreU(hn::Mul(hn::Mul(gate, sigmoid(d, gate, rest)), hn::LoadU(d, u + c)), d, y + c);
  });
}

void backward_row(float* dg, float* du, const float* dy, const float* g, const float* u, size_t width) {
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto dout = hn::LoadU(d, dy + c), gate = hn::LoadU(d, g + c), up = hn::LoadU(d, u + c);
    auto rest = gate;
    const auto sigma = sigmoid(d, gate, rest);
    const auto slope = hn::Mul(sigma, hn::MulAdd(gate, rest, hn::Set(d, 1.0f)));
    hn::StoreU(hn::Mul(hn::Mul(dout, up), slope), d, dg + c);
    hn::StoreU(hn::Mul(dout, hn::Mul(gate, sigma)), d, du + c);
  });
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {
HWY_EXPORT(forward_row);
HWY_EXPORT(backward_row);
}  // namespace

void fast::swiglu_forward(Ctx&, View y, CView g, CView u) {
  const auto row = &HWY_DYNAMIC_DISPATCH(forward_row);
  const auto vy = y.as<float>();
  const auto vg = g.as<float>(), vu = u.as<float>();
  parallel_for(g.rows(), [=, width = static_cast<size_t>(g.width())](int64_t r) { row(vy[r], vg[r], vu[r], width); });
}

void fast::swiglu_backward(Ctx&, View dg, View du, CView dy, CView g, CView u) {
  const auto row = &HWY_DYNAMIC_DISPATCH(backward_row);
  const auto vdg = dg.as<float>(), vdu = du.as<float>();
  const auto vdy = dy.as<float>(), vg = g.as<float>(), vu = u.as<float>();
  parallel_for(g.rows(), [=, width = static_cast<size_t>(g.width())](int64_t r) {
    row(vdg[r], vdu[r], vdy[r], vg[r], vu[r], width);
  });
}

}  // namespace rw
#endif  // HWY_ONCE
