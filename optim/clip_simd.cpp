// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "optim/clip_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "optim/clip.hpp"
#include "optim/clip_finish.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// Sixteen sums, whatever the length of a vector: sum j takes the elements j, j + 16, ... A square of a float is exact
// in double, so every instruction set gives the same bits.
double sum_of_squares(const float* g, size_t n) {
  using D = hn::CappedTag<double, 8>;
  constexpr D d;
  constexpr hn::Rebind<float, D> half;
  constexpr size_t kLanes = hn::MaxLanes(d), kVectors = 16 / kLanes;
  hn::Vec<D> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(d);
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (size_t v = 0; v < kVectors; ++v) {
      const auto x = hn::PromoteTo(d, hn::LoadU(half, g + i + v * kLanes));
      sums[v] = hn::MulAdd(x, x, sums[v]);
    }
  HWY_ALIGN double lanes[16];
  for (size_t v = 0; v < kVectors; ++v) hn::Store(sums[v], d, lanes + v * kLanes);
  for (size_t j = 0; i < n; ++i, ++j) lanes[j] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  double total = 0;
  for (double sum : lanes) total += sum;
  return total;
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(sum_of_squares);

}  // namespace

void fast::clip_factor(Ctx&, View norm, View clip, CView g, double limit, View partial) {
  const auto sum = &HWY_DYNAMIC_DISPATCH(sum_of_squares);
  const float* values = g.as<float>().data;
  double* sums = partial.as<double>().data;
  parallel_for(partial.width(), [=, n = g.width()](int64_t block) {
    const int64_t begin = block * kClipBlock;
    sums[block] = sum(values + begin, static_cast<size_t>(std::min(kClipBlock, n - begin)));
  });
  finish_clip<float>(norm, clip, partial, limit);
}

}  // namespace rw
#endif  // HWY_ONCE
