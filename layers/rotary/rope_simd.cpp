// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/rotary/rope_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "core/tensor/indices.hpp"
#include "layers/rotary/rope.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// a' = a · cos - b · sin, b' = a · sin + b · cos, with -sin in place of sin for the inverse.
template <class D>
HWY_INLINE void turn(D d, hn::Vec<D>& a, hn::Vec<D>& b, const float* cos, const float* sin, float sign) {
  const auto c = hn::LoadU(d, cos), s = hn::Mul(hn::LoadU(d, sin), hn::Set(d, sign));
  const auto turned = hn::NegMulAdd(b, s, hn::Mul(a, c));
  b = hn::MulAdd(a, s, hn::Mul(b, c));
  a = turned;
}

void half_row(float* y, const float* x, const float* cos, const float* sin, size_t pairs, size_t heads, float sign) {
  for (size_t head = 0; head < heads; ++head, x += 2 * pairs, y += 2 * pairs)
    for_columns(pairs, [&](auto d, size_t c) HWY_ATTR {
      auto a = hn::LoadU(d, x + c), b = hn::LoadU(d, x + pairs + c);
      turn(d, a, b, cos + c, sin + c, sign);
      hn::StoreU(a, d, y + c);
      hn::StoreU(b, d, y + pairs + c);
    });
}

void interleaved_row(float* y, const float* x, const float* cos, const float* sin, size_t pairs, size_t heads,
                     float sign) {
  for (size_t head = 0; head < heads; ++head, x += 2 * pairs, y += 2 * pairs)
    for_columns(pairs, [&](auto d, size_t c) HWY_ATTR {
      auto a = hn::Zero(d), b = a;
      hn::LoadInterleaved2(d, x + 2 * c, a, b);
      turn(d, a, b, cos + c, sin + c, sign);
      hn::StoreInterleaved2(a, b, d, y + 2 * c);
    });
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {
HWY_EXPORT(half_row);
HWY_EXPORT(interleaved_row);
}  // namespace

void fast::rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, RopeLayout layout, bool inverse) {
  const auto row =
      layout == RopeLayout::half ? &HWY_DYNAMIC_DISPATCH(half_row) : &HWY_DYNAMIC_DISPATCH(interleaved_row);
  const auto vy = y.as<float>();
  const auto vx = x.as<float>(), vcos = cos.as<float>(), vsin = sin.as<float>();
  const Indices at(position);
  const auto pairs = static_cast<size_t>(cos.width()), heads = static_cast<size_t>(x.width()) / (2 * pairs);
  parallel_for(x.rows(), [=, sign = inverse ? -1.0f : 1.0f](int64_t r) {
    row(vy[r], vx[r], vcos[at[r]], vsin[at[r]], pairs, heads, sign);
  });
}

}  // namespace rw
#endif  // HWY_ONCE
