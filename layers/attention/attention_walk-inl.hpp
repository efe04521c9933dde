// Which rows see which keys, tile by tile, and what of them is copied. Included once for each instruction set.
#if defined(RW_LAYERS_ATTENTION_WALK_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef RW_LAYERS_ATTENTION_WALK_INL_HPP
#undef RW_LAYERS_ATTENTION_WALK_INL_HPP
#else
#define RW_LAYERS_ATTENTION_WALK_INL_HPP
#endif
#include <utility>

#include "layers/attention/attention_tiles-inl.hpp"
#include "layers/attention/attention_tiles.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

constexpr size_t kRow = static_cast<size_t>(kRowTile);  // the stride of what has rows in its lanes
constexpr float kHidden = -1e30f;  // the score of a key that is not visible: finite, so that differences are

template <class T>
constexpr size_t zu(T n) {
  return static_cast<size_t>(n);
}

// The rows of one tile, and where their tensors are.
struct RowTile {
  RowTile(const AttentionCall& call_, int64_t pair, int64_t tile)
      : call(call_),
        b(pair / call.groups),
        g(pair % call.groups),
        begin(tile * call.row_tile()),
        count(std::min(call.row_tile(), call.rows() - begin)) {}

  int64_t query(size_t r) const { return (begin + static_cast<int64_t>(r)) / call.heads_per_group(); }
  int64_t head(size_t r) const {
    return g * call.heads_per_group() + (begin + static_cast<int64_t>(r)) % call.heads_per_group();
  }
  template <class T>
  T* of(Rows<T> matrix, size_t r, int64_t width) const {
    return matrix[b * call.queries + query(r)] + head(r) * width;
  }
  template <class T>
  T* key(Rows<T> matrix, int64_t j, int64_t width) const {
    return matrix[b * call.keys + j] + g * width;
  }
  int64_t first(size_t r) const { return first_visible(call, call.first_key, b, query(r)); }
  int64_t last(size_t r) const { return query(r) + call.prefix(); }

  const AttentionCall& call;
  int64_t b, g, begin, count;
};

// Some keys, and the rows of the tile that see any of them: those from `row` on.
struct KeyTile {
  int64_t begin, count;
  size_t row;
  bool masked;  // not every one of those rows sees every key
};

// All key tiles of a row tile, in ascending order. None lies above the diagonal or before the first visible key. Along
// the diagonal, rows that see nothing more are left out, a lane group at a time.
template <class F>
HWY_INLINE void for_key_tiles(const RowTile& rows, F&& f) {
  const size_t end_row = zu(rows.count);
  const int64_t hidden_before = rows.first(end_row - 1), seen_by_all = rows.last(0) + 1;
  const int64_t end = rows.last(end_row - 1) + 1;
  const auto group_end = [&](size_t row)
                             HWY_ATTR { return rows.last(std::min(row + zu(kLaneGroup), end_row) - 1) + 1; };
  size_t row = 0;
  for (int64_t j = rows.first(0); j < end;) {
    int64_t stop = std::min(j + kKeyTile, seen_by_all);
    if (stop - j < kLaneGroup) {
      while (group_end(row) <= j) row += zu(kLaneGroup);
      size_t reach = row;
      while (group_end(reach) - j < kLaneGroup && reach + zu(kLaneGroup) < end_row) reach += zu(kLaneGroup);
      stop = std::min(j + kKeyTile, group_end(reach));
    }
    f(KeyTile{j, stop - j, row, stop > seen_by_all || j < hidden_before});
    j = stop;
  }
}

// The lanes of a row that see a key.
struct Sight {
  HWY_INLINE Sight(const float* first, const float* last)
      : first_(hn::LoadU(Full(), first)), last_(hn::LoadU(Full(), last)) {}
  HWY_INLINE hn::Mask<Full> sees(int64_t key) const {
    const Vector j = hn::Set(Full(), static_cast<float>(key));
    return hn::And(hn::Le(first_, j), hn::Le(j, last_));
  }
  Vector first_, last_;
};

HWY_INLINE void fill_sight(const RowTile& rows, float* first, float* last) {
  for (size_t r = 0; r < kRow; ++r) {
    const size_t real = std::min(r, zu(rows.count) - 1);
    first[r] = static_cast<float>(rows.first(real)), last[r] = static_cast<float>(rows.last(real));
  }
}

// to[c][r] = factor · row(r)[c], and zeros up to whole lanes.
template <class Row>
HWY_INLINE void rows_to_lanes(float* to, const Row& row, size_t count, size_t width, float factor) {
  transpose([&](size_t c) HWY_ATTR { return to + c * kRow; }, row, count, width, factor);
  for (size_t c = 0; c < width && count % kLanes != 0; ++c)
    std::fill(to + c * kRow + count, to + c * kRow + zu(padded(static_cast<int64_t>(count))), 0.0f);
}

// row(r)[c] = factor · from[c][r]
template <class Row>
HWY_INLINE void lanes_to_rows(const Row& row, const float* from, size_t count, size_t width, float factor) {
  transpose(
      row, [&](size_t c) HWY_ATTR { return from + c * kRow; }, width, count, factor);
}

// o[c][r] *= factor[r] for the rows from `begin` on.
HWY_INLINE void scale_lanes(float* o, const float* factor, size_t begin, size_t end, size_t width) {
  const Full d;
  for (size_t c = 0; c < width; ++c)
    for (size_t r = begin; r < end; r += kLanes)
      hn::StoreU(hn::Mul(hn::LoadU(d, o + c * kRow + r), hn::LoadU(d, factor + r)), d, o + c * kRow + r);
}

// Scratch is taken from the front.
struct Space {
  float* take(size_t n) { return std::exchange(at, at + n); }
  float* at;
};

// A run of row tiles, and the keys that any of its rows sees, copied: to be read in order, whatever the strides.
struct RunOfTiles {
  RunOfTiles(const AttentionCall& call, int64_t item, int64_t runs, Space& space)
      : pair(item / runs),
        run(item % runs),
        tile(call.run_begin(run, runs)),
        end_tile(call.run_begin(run + 1, runs)),
        k_stride(zu(padded(call.width))),
        v_stride(zu(padded(call.value_width))),
        k(space.take((zu(call.keys) + zu(kLaneGroup)) * k_stride)),
        v(space.take((zu(call.keys) + zu(kLaneGroup)) * v_stride)) {
    if (tile == end_tile) return;
    const RowTile first(call, pair, tile), last(call, pair, end_tile - 1);
    begin = first.first(0), end = last.last(zu(last.count) - 1) + 1;
    const auto copy = [&](float* to, size_t stride, Rows<const float> from, int64_t width) HWY_ATTR {
      copy_rows(to, stride, zu(end - begin), zu(width),
                [&](size_t j) HWY_ATTR { return first.key(from, begin + static_cast<int64_t>(j), width); });
      std::fill_n(to + zu(end - begin) * stride, kBlockRows * stride, 0.0f);  // blocks read on
    };
    copy(k, k_stride, call.k, call.width), copy(v, v_stride, call.v, call.value_width);
  }
  const float* key(int64_t j) const { return k + zu(j - begin) * k_stride; }
  const float* value(int64_t j) const { return v + zu(j - begin) * v_stride; }

  int64_t pair, run, tile, end_tile;
  size_t k_stride, v_stride;
  float *k, *v;
  int64_t begin = 0, end = 0;  // keys
};

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
