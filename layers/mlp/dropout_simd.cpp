// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/mlp/dropout_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/base/parallel.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/mlp/dropout.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

using Words = hn::ScalableTag<uint32_t>;
using Word = hn::Vec<Words>;
constexpr size_t kMostLanes = hn::MaxLanes(Words());

HWY_INLINE void multiply(Word v, uint32_t by, Word& low, Word& high) {  // the two words of each product
  const Words d;
#if HWY_TARGET == HWY_SCALAR
  const uint64_t product = uint64_t{by} * hn::GetLane(v);
  low = hn::Set(d, static_cast<uint32_t>(product));
  high = hn::Set(d, static_cast<uint32_t>(product >> 32));
#else
  const hn::RepartitionToWide<Words> wide;
  const auto odd_lanes = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, v)));
  const auto even = hn::MulEven(v, hn::Set(d, by)), odd = hn::MulEven(odd_lanes, hn::Set(d, by));
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
  high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
#endif
}

// words[4 i + j] = word j of philox({block + i, c1, c2, c3}, k), i = 0 .. lanes - 1.
HWY_INLINE void draw(uint32_t* words, uint32_t block, uint32_t c1, uint32_t c2, uint32_t c3, PhiloxKey k) {
  const Words d;
  auto w0 = hn::Iota(d, block), w1 = hn::Set(d, c1), w2 = hn::Set(d, c2), w3 = hn::Set(d, c3);
  for (int round = 0; round < 10; ++round) {
    auto a_low = w0, a_high = w0, b_low = w0, b_high = w0;
    multiply(w0, 0xD2511F53u, a_low, a_high);
    multiply(w2, 0xCD9E8D57u, b_low, b_high);
    w0 = hn::Xor(hn::Xor(b_high, w1), hn::Set(d, k[0]));
    w2 = hn::Xor(hn::Xor(a_high, w3), hn::Set(d, k[1]));
    w1 = b_low, w3 = a_low;
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  hn::StoreInterleaved4(w0, w1, w2, w3, d, words);
}

// Row of a sample whose elements begin at `first`. Kept are the words with word >> 8 ≥ threshold.
void dropout_row(float* y, const float* x, size_t width, size_t first, DrawKey key, uint32_t threshold, float scale) {
  const Words d;
  const hn::RebindToSigned<Words> di;
  const hn::RebindToFloat<Words> df;
  const size_t lanes = hn::Lanes(d), end = first + width;
  HWY_ALIGN uint32_t words[4 * kMostLanes];
  for (size_t block = first / 4; 4 * block < end; block += lanes) {
    draw(words, static_cast<uint32_t>(block), key.sample, key.step, key.site, philox_key(key.seed));
    const size_t stop = HWY_MIN(end, 4 * (block + lanes));
    size_t e = HWY_MAX(first, 4 * block);
    for (; e + lanes <= stop; e += lanes) {
      const auto bits = hn::BitCast(di, hn::ShiftRight<8>(hn::LoadU(d, words + (e - 4 * block))));
      const auto kept = hn::RebindMask(df, hn::Gt(bits, hn::Set(di, static_cast<int32_t>(threshold) - 1)));
      const auto scaled = hn::Mul(hn::LoadU(df, x + (e - first)), hn::Set(df, scale));
      hn::StoreU(hn::IfThenElseZero(kept, scaled), df, y + (e - first));
    }
    for (; e < stop; ++e) y[e - first] = words[e - 4 * block] >> 8 >= threshold ? x[e - first] * scale : 0.0f;
  }
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {
HWY_EXPORT(dropout_row);
}  // namespace

void fast::dropout(Ctx&, View y, CView x, double p, DrawKey key) {
  const auto row = &HWY_DYNAMIC_DISPATCH(dropout_row);
  const auto vy = y.as<float>();
  const auto vx = x.as<float>();
  const auto length = x.shape.dim[1], width = x.width();
  const auto threshold = dropout_threshold(p);
  const auto scale = static_cast<float>(1 / (1 - p));
  parallel_for(x.rows(), [=](int64_t r) {
    DrawKey of_row = key;
    of_row.sample += static_cast<uint32_t>(r / length);
    row(vy[r], vx[r], static_cast<size_t>(width), static_cast<size_t>(r % length * width), of_row, threshold, scale);
  });
}

}  // namespace rw
#endif  // HWY_ONCE
