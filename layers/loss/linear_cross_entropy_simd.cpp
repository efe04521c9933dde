// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/loss/linear_cross_entropy_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <hwy/contrib/math/math-inl.h>

#include <cmath>

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/loss/linear_cross_entropy.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

float largest(const float* row, size_t width) {
  auto most = hn::Set(Full(), row[0]);
  float rest = row[0];
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    if constexpr (std::is_same_v<decltype(d), Full>)
      most = hn::Max(most, hn::LoadU(d, row + c));
    else
      rest = std::max(rest, row[c]);
  });
  return std::max(rest, hn::GetLane(hn::MaxOfLanes(Full(), most)));
}

// Returns nll of one row, whose target is `target`, and makes z its gradient where `gradient`. While a row of logits is
// in the cache: the maximum; e^(z - maximum) and its sum; the gradient from these exponentials.
float cross_entropy_row(float* z, size_t width, size_t target, float scale, bool gradient) {
  const float most = largest(z, width), of_target = z[target];
  RowSum sum;
  for_columns(width, [&](auto d, size_t c) HWY_ATTR {
    const auto x = hn::Sub(hn::LoadU(d, z + c), hn::Set(d, most));
    const auto e = hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));  // Exp makes 0 of NaN
    sum.add(d, e);
    if (gradient) hn::StoreU(e, d, z + c);
  });
  const float total = sum.total();
  if (gradient) {
    const float factor = scale / total;
    for_columns(width, [&](auto d, size_t c)
                           HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, z + c)), d, z + c); });
    z[target] -= scale;
  }
  return std::log(total) + (most - of_target);
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(cross_entropy_row);

}  // namespace

void fast::softmax_cross_entropy(Ctx&, View nll, View z, CView target, double scale, bool gradient) {
  const auto row = &HWY_DYNAMIC_DISPATCH(cross_entropy_row);
  float* losses = nll.as<float>().data;
  const int32_t* targets = target.as<int32_t>().data;
  parallel_for(z.rows(), [=, logits = z.as<float>(), width = static_cast<size_t>(z.width())](int64_t r) {
    if (targets[r] == kIgnore) {
      losses[r] = 0;
      if (gradient) std::fill_n(logits[r], width, 0.0f);
    } else {
      losses[r] = row(logits[r], width, static_cast<size_t>(targets[r]), static_cast<float>(scale), gradient);
    }
  });
}

}  // namespace rw
#endif  // HWY_ONCE
