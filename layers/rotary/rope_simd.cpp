// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/rotary/rope_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "core/tensor/indices.hpp"
#include "layers/rotary/rope_row.hpp"

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

// y = v, or y += v
template <class D>
HWY_INLINE void put(D d, hn::Vec<D> v, float* y, bool add) {
  hn::StoreU(add ? hn::Add(hn::LoadU(d, y), v) : v, d, y);
}

HWY_INLINE void rest_of_head(const RowOfHeads& row, float* y, const float* x) {
  if (y == x) return;
  const size_t turned = 2 * row.pairs;
  for_columns(row.width - turned,
              [&](auto d, size_t c) HWY_ATTR { put(d, hn::LoadU(d, x + turned + c), y + turned + c, row.add); });
}

void half_row(const RowOfHeads& row) {
  const size_t pairs = row.pairs;
  float* y = row.y;
  const float* x = row.x;
  for (size_t head = 0; head < row.heads; ++head, x += row.width, y += row.width) {
    for_columns(pairs, [&](auto d, size_t c) HWY_ATTR {
      auto a = hn::LoadU(d, x + c), b = hn::LoadU(d, x + pairs + c);
      turn(d, a, b, row.cos + c, row.sin + c, row.sign);
      put(d, a, y + c, row.add), put(d, b, y + pairs + c, row.add);
    });
    rest_of_head(row, y, x);
  }
}

void interleaved_row(const RowOfHeads& row) {
  float* y = row.y;
  const float* x = row.x;
  for (size_t head = 0; head < row.heads; ++head, x += row.width, y += row.width) {
    for_columns(row.pairs, [&](auto d, size_t c) HWY_ATTR {
      auto a = hn::Zero(d), b = a;
      hn::LoadInterleaved2(d, x + 2 * c, a, b);
      turn(d, a, b, row.cos + c, row.sin + c, row.sign);
      if (row.add) {
        auto before_a = hn::Zero(d), before_b = before_a;
        hn::LoadInterleaved2(d, y + 2 * c, before_a, before_b);
        a = hn::Add(before_a, a), b = hn::Add(before_b, b);
      }
      hn::StoreInterleaved2(a, b, d, y + 2 * c);
    });
    rest_of_head(row, y, x);
  }
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

void fast::rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
  const auto turn_row =
      opt.layout == RopeLayout::half ? &HWY_DYNAMIC_DISPATCH(half_row) : &HWY_DYNAMIC_DISPATCH(interleaved_row);
  const auto vy = y.as<float>();
  const auto vx = x.as<float>(), vcos = cos.as<float>(), vsin = sin.as<float>();
  const Indices at(position);
  const auto pairs = static_cast<size_t>(cos.empty() ? 0 : cos.width()), width = static_cast<size_t>(opt.head_width);
  const size_t heads = static_cast<size_t>(x.width()) / width;
  parallel_for(x.rows(), [=](int64_t r) {
    turn_row({vy[r], vx[r], pairs ? vcos[at[r]] : nullptr, pairs ? vsin[at[r]] : nullptr, pairs, width, heads,
              opt.inverse ? -1.0f : 1.0f, opt.add});
  });
}

}  // namespace rw
#endif  // HWY_ONCE
