// The arithmetic of a tile: products of small matrices in cache, and the exponential. Included once for each
// instruction set.
#if defined(RW_LAYERS_ATTENTION_TILES_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef RW_LAYERS_ATTENTION_TILES_INL_HPP
#undef RW_LAYERS_ATTENTION_TILES_INL_HPP
#else
#define RW_LAYERS_ATTENTION_TILES_INL_HPP
#endif
#include <hwy/cache_control.h>

#include "core/math/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

using Vector = hn::Vec<Full>;
constexpr size_t kLanes = HWY_LANES(float);
constexpr size_t kBlockRows = kLanes == 16 ? 8 : 4;  // with three vectors a row: 24 or 12 sums in registers

// The left matrix of a product: element (i, k) at data[i · of_row + k · of_depth].
struct Left {
  const float* data;
  size_t of_row, of_depth;
};
struct Right {
  const float* data;
  size_t stride;
};

// c[i][x] = Σ_k a(i, k) · b[k][x], or += with `add`: M rows, N vectors.
template <size_t M, size_t N>
HWY_NOINLINE void block(float* HWY_RESTRICT c, size_t c_stride, Left a, Right b, size_t depth, bool add) {
  const Full d;
  Vector sum[M][N];
#pragma GCC unroll 8
  for (size_t i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (size_t x = 0; x < N; ++x) sum[i][x] = hn::Zero(d);
  const float *HWY_RESTRICT left = a.data, *HWY_RESTRICT right = b.data;
  for (size_t k = 0; k < depth; ++k, left += a.of_depth, right += b.stride) {
    Vector of_b[N];
#pragma GCC unroll 4
    for (size_t x = 0; x < N; ++x) of_b[x] = hn::LoadU(d, right + x * kLanes);
#pragma GCC unroll 8
    for (size_t i = 0; i < M; ++i) {
      const Vector of_a = hn::Set(d, left[i * a.of_row]);
#pragma GCC unroll 4
      for (size_t x = 0; x < N; ++x) sum[i][x] = hn::MulAdd(of_a, of_b[x], sum[i][x]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (size_t x = 0; x < N; ++x) {
      float* to = c + i * c_stride + x * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, to), sum[i][x]) : sum[i][x], d, to);  // last, for shorter sums
    }
}

// The same for any number of rows and of columns, both rounded up: rows to kBlockRows, columns to kLanes.
HWY_INLINE void product(float* c, size_t c_stride, Left a, Right b, size_t rows, size_t columns, size_t depth,
                        bool add) {
  for (size_t x = 0; x < columns;) {
    const size_t left = (columns - x + kLanes - 1) / kLanes, n = left == 4 ? 2 : left < 3 ? left : 3;
    for (size_t i = 0; i < rows; i += kBlockRows) {
      float* to = c + i * c_stride + x;
      const Left from{a.data + i * a.of_row, a.of_row, a.of_depth};
      const Right by{b.data + x, b.stride};
      if (n == 3)
        block<kBlockRows, 3>(to, c_stride, from, by, depth, add);
      else if (n == 2)
        block<kBlockRows, 2>(to, c_stride, from, by, depth, add);
      else
        block<kBlockRows, 1>(to, c_stride, from, by, depth, add);
    }
    x += n * kLanes;
  }
}

// e^x for x ≤ 0, with a relative error below 1e-7; e^0 = 1; 0 where x < -86; NaN for NaN.
HWY_INLINE Vector exp_of(Vector x) {
  const Full d;
  const hn::RebindToUnsigned<Full> du;
  const Vector low = hn::Set(d, -86.0f), shift = hn::Set(d, 0x1.8p23f);
  const auto is_low = hn::Lt(x, low);
  x = hn::IfThenElse(is_low, low, x);
  const Vector shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shift);  // x / ln 2 rounded to n, in the low bits
  const Vector n = hn::Sub(shifted, shift);
  Vector f = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);  // x - n ln 2, ln 2 in two parts
  f = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), f);
  Vector p = hn::Set(d, 0.0013933641603216529f);  // (e^f - 1) / f for |f| ≤ ln 2 / 2
  p = hn::MulAdd(p, f, hn::Set(d, 0.008369148708879948f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.04166646674275398f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.16666504740715027f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  const auto bits = hn::Add(hn::BitCast(du, p), hn::ShiftLeft<23>(hn::BitCast(du, shifted)));
  return hn::IfThenZeroElse(is_low, hn::BitCast(d, bits));
}

// to[x][0..3] = factor · from[0..3][x] for x = 0 .. 3.
HWY_INLINE void transpose_4x4(float* const (&to)[4], const float* const (&from)[4], float factor) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t x = 0; x < 4; ++x)
    for (size_t r = 0; r < 4; ++r) to[x][r] = factor * from[r][x];
#else
  const hn::Full128<float> d;
  const hn::Full128<double> two;  // pairs of numbers
  hn::Vec<decltype(d)> row[4];
  for (size_t r = 0; r < 4; ++r) row[r] = hn::Mul(hn::Set(d, factor), hn::LoadU(d, from[r]));
  const auto low = hn::BitCast(two, hn::InterleaveLower(d, row[0], row[1]));
  const auto high = hn::BitCast(two, hn::InterleaveUpper(d, row[0], row[1]));
  const auto low2 = hn::BitCast(two, hn::InterleaveLower(d, row[2], row[3]));
  const auto high2 = hn::BitCast(two, hn::InterleaveUpper(d, row[2], row[3]));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(two, low, low2)), d, to[0]);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(two, low, low2)), d, to[1]);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(two, high, high2)), d, to[2]);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(two, high, high2)), d, to[3]);
#endif
}

// Rows of a head lie on different pages, which the hardware does not read ahead; so they are asked for this much ahead.
constexpr size_t kAhead = 8;

template <class From>
HWY_INLINE void ask_for(const From& from, size_t row, size_t rows, size_t width) {
  if (row < rows)
    for (size_t c = 0; c < width; c += 16) hwy::Prefetch(from(row) + c);  // a cache line
}

// to(c)[r] = factor · from(r)[c]
template <class To, class From>
HWY_INLINE void transpose(To&& to, From&& from, size_t rows, size_t width, float factor) {
  const size_t whole_rows = rows / 4 * 4, whole_width = width / 4 * 4;
  for (size_t r = 0; r < whole_rows; r += 4) {
    for (size_t x = 0; x < 4; ++x) ask_for(from, r + kAhead + x, rows, width);
    const float* const in[4] = {from(r), from(r + 1), from(r + 2), from(r + 3)};
    for (size_t c = 0; c < whole_width; c += 4) {
      float* const out[4] = {to(c) + r, to(c + 1) + r, to(c + 2) + r, to(c + 3) + r};
      transpose_4x4(out, {in[0] + c, in[1] + c, in[2] + c, in[3] + c}, factor);
    }
  }
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = r < whole_rows ? whole_width : 0; c < width; ++c) to(c)[r] = factor * from(r)[c];
}

// to[r][c] = from(r)[c], with zeros up to `stride`.
template <class From>
HWY_INLINE void copy_rows(float* to, size_t stride, size_t rows, size_t width, From&& from) {
  for (size_t r = 0; r < rows; ++r) {
    ask_for(from, r + kAhead, rows, width);
    const float* row = from(r);
    float* out = to + r * stride;
    for_columns(width, [&](auto d, size_t c) HWY_ATTR { hn::StoreU(hn::LoadU(d, row + c), d, out + c); });
    for (size_t c = width; c < stride; ++c) out[c] = 0;
  }
}

HWY_INLINE float dot_of(const float* a, const float* b, size_t width) {
  RowSum sum;
  for_columns(width, [&](auto d, size_t c) HWY_ATTR { sum.add(d, hn::Mul(hn::LoadU(d, a + c), hn::LoadU(d, b + c))); });
  return sum.total();
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
