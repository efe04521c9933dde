// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "optim/adamw_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "optim/adamw_numbers.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// One pass: 16 bytes read and 12 written for each element.
void adamw_block(float* HWY_RESTRICT p, float* HWY_RESTRICT m, float* HWY_RESTRICT v, const float* HWY_RESTRICT g,
                 size_t n, float factor, const AdamWNumbers& k) {
  for_columns(n, [&](auto d, size_t i) HWY_ATTR {
    const auto gradient = hn::Mul(hn::Set(d, factor), hn::LoadU(d, g + i));
    const auto first = hn::MulAdd(hn::Set(d, k.beta1), hn::LoadU(d, m + i), hn::Mul(hn::Set(d, k.rest1), gradient));
    const auto second =
        hn::MulAdd(hn::Set(d, k.beta2), hn::LoadU(d, v + i), hn::Mul(hn::Set(d, k.rest2), hn::Mul(gradient, gradient)));
    const auto divisor = hn::MulAdd(hn::Sqrt(second), hn::Set(d, k.inverse_root), hn::Set(d, k.eps));
    const auto move = hn::Div(hn::Mul(hn::Set(d, k.lr), first), divisor);
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    hn::StoreU(hn::MulSub(hn::Set(d, k.keep), hn::LoadU(d, p + i), move), d, p + i);
  });
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(adamw_block);

}  // namespace

void fast::adamw(Ctx&, View p, View, View m, View v, CView g, CView clip, const AdamWOpt& opt) {
  const float factor = clip.as<float>().data[0];
  if (std::isnan(factor)) return;
  const AdamWNumbers numbers = adamw_numbers(opt);
  const auto block = &HWY_DYNAMIC_DISPATCH(adamw_block);
  constexpr int64_t kBlock = 1 << 14;  // elements
  parallel_for((p.width() + kBlock - 1) / kBlock, [=, n = p.width()](int64_t i) {
    const int64_t at = i * kBlock;
    block(p.as<float>().data + at, m.as<float>().data + at, v.as<float>().data + at, g.as<float>().data + at,
          static_cast<size_t>(std::min(kBlock, n - at)), factor, numbers);
  });
}

}  // namespace rw
#endif  // HWY_ONCE
