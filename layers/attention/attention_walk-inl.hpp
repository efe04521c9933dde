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
  // The keys that a row sees: from first on those that are at or after local or before sink_end, up to last.
  int64_t last(size_t r) const { return query(r) + call.prefix(); }
  int64_t first(size_t r) const { return call.sight.first(b, last(r)); }
  int64_t local(size_t r) const { return call.sight.local(b, last(r)); }
  int64_t sink_end(size_t r) const { return call.sight.sink_end(b, last(r)); }
  int64_t begin_of_sight(size_t r) const { return call.sight.sinks > 0 ? first(r) : local(r); }
  float factor(size_t r) const { return call.factor ? call.factor[b * call.queries + query(r)] : 1.0f; }
  // The first row, if there is one in the tile, from which on key j is far.
  size_t far_from(int64_t j) const {
    const int64_t row = (j + call.sight.near - call.prefix()) * call.heads_per_group() - begin;
    return zu(std::clamp<int64_t>(row, 0, count));
  }

  const AttentionCall& call;
  int64_t b, g, begin, count;
};

// Some keys, and the rows of the tile that see any of them: those from `row` on. Rows below near_end may be near to
// some of the keys, rows from far_from on are far from some; what lies between are lane groups of which both is true.
struct KeyTile {
  int64_t begin, count;
  size_t row;
  bool masked;  // not every one of those rows sees every key
  size_t far_from, near_end;
};

// All key tiles of a row tile, in ascending order. None lies above the diagonal, before the first visible key, or
// between the sinks and what is local. Along the diagonal, rows that see nothing more are left out, a lane group at a
// time. Along the border of near and far, tiles are short, so that few lane groups need both products.
template <class F>
HWY_INLINE void for_key_tiles(const RowTile& rows, F&& f) {
  constexpr int64_t kBorderTile = 16;
  const size_t end_row = zu(rows.count), last_row = end_row - 1;
  const bool far = rows.call.branches == 2;
  const int64_t near = rows.call.sight.near;
  const int64_t border = far ? rows.last(0) - near + 1 : 0, border_end = far ? rows.last(last_row) - near + 1 : 0;
  const int64_t hidden_before = rows.local(last_row), seen_by_all = rows.last(0) + 1, end = rows.last(last_row) + 1;
  const auto group_end = [&](size_t row)
                             HWY_ATTR { return rows.last(std::min(row + zu(kLaneGroup), end_row) - 1) + 1; };
  const auto tile = [&](int64_t j, int64_t stop, size_t row, bool masked) HWY_ATTR {
    KeyTile keys{j, stop - j, row, masked, end_row, end_row};
    if (far && j < border_end) {
      const auto groups = [](size_t r) HWY_ATTR { return r / zu(kLaneGroup) * zu(kLaneGroup); };
      keys.far_from = std::max(row, groups(rows.far_from(j)));
      keys.near_end = std::max(row, std::min(end_row, groups(rows.far_from(stop - 1) + zu(kLaneGroup) - 1)));
    }
    f(keys);
  };
  const auto cut = [&](int64_t j, int64_t stop) HWY_ATTR {  // where a tile from j on must end at the latest
    if (j < border) return std::min(stop, border);
    return j < border_end ? std::min(stop, j + kBorderTile) : stop;
  };

  int64_t j = rows.begin_of_sight(0);
  const int64_t sink_end = rows.sink_end(last_row);
  if (sink_end > j && sink_end < rows.local(0)) {
    while (j < sink_end) {
      const int64_t stop = cut(j, std::min(j + kKeyTile, sink_end));
      tile(j, stop, 0, j < rows.first(last_row) || stop > rows.sink_end(0));
      j = stop;
    }
    j = rows.local(0);
  }
  size_t row = 0;
  while (j < end) {
    int64_t stop = cut(j, std::min(j + kKeyTile, seen_by_all));
    if (std::min(j + kKeyTile, seen_by_all) - j < kLaneGroup) {
      while (group_end(row) <= j) row += zu(kLaneGroup);
      size_t reach = row;
      while (group_end(reach) - j < kLaneGroup && reach + zu(kLaneGroup) < end_row) reach += zu(kLaneGroup);
      stop = cut(j, std::min(j + kKeyTile, group_end(reach)));
    }
    tile(j, stop, row, stop > seen_by_all || j < hidden_before);
    j = stop;
  }
}

// What the lanes of a tile's rows see.
struct Sights {
  explicit Sights(float* space) : first(space), last(first + kRow), local(last + kRow), sink_end(local + kRow) {}

  void fill(const RowTile& rows) const {
    for (size_t r = 0; r < kRow; ++r) {
      const size_t real = std::min(r, zu(rows.count) - 1);
      first[r] = static_cast<float>(rows.first(real)), last[r] = static_cast<float>(rows.last(real));
      local[r] = static_cast<float>(rows.local(real)), sink_end[r] = static_cast<float>(rows.sink_end(real));
    }
  }

  static constexpr size_t kSize = 4 * kRow;
  float *first, *last, *local, *sink_end;
};

// The lanes of a vector of rows that see a key.
struct Sight {
  HWY_INLINE Sight(const Sights& all, size_t r)
      : first_(hn::LoadU(Full(), all.first + r)),
        last_(hn::LoadU(Full(), all.last + r)),
        local_(hn::LoadU(Full(), all.local + r)),
        sink_end_(hn::LoadU(Full(), all.sink_end + r)) {}
  HWY_INLINE hn::Mask<Full> sees(int64_t key) const {
    const Vector j = hn::Set(Full(), static_cast<float>(key));
    return hn::And(hn::And(hn::Le(first_, j), hn::Le(j, last_)), hn::Or(hn::Le(local_, j), hn::Lt(j, sink_end_)));
  }
  HWY_INLINE hn::Mask<Full> is_near(int64_t key, int64_t near) const {
    return hn::Lt(hn::Sub(last_, hn::Set(Full(), static_cast<float>(key))), hn::Set(Full(), static_cast<float>(near)));
  }
  Vector first_, last_, local_, sink_end_;
};

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
        room(zu(call.keys) + zu(kLaneGroup)) {
    for (int64_t branch = 0; branch < call.branches; ++branch) k[branch] = space.take(room * k_stride);
    v = space.take(room * v_stride);
    if (tile == end_tile) return;
    const RowTile first(call, pair, tile), last(call, pair, end_tile - 1);
    begin = first.begin_of_sight(0), end = last.last(zu(last.count) - 1) + 1;
    const auto copy = [&](float* to, size_t stride, Rows<const float> from, int64_t width) HWY_ATTR {
      copy_rows(to, stride, zu(end - begin), zu(width),
                [&](size_t j) HWY_ATTR { return first.key(from, begin + static_cast<int64_t>(j), width); });
      std::fill_n(to + zu(end - begin) * stride, kBlockRows * stride, 0.0f);  // blocks read on
    };
    for (int64_t branch = 0; branch < call.branches; ++branch) copy(k[branch], k_stride, call.k[branch], call.width);
    copy(v, v_stride, call.v, call.value_width);
  }
  const float* key(size_t branch, int64_t j) const { return k[branch] + zu(j - begin) * k_stride; }
  const float* value(int64_t j) const { return v + zu(j - begin) * v_stride; }

  int64_t pair, run, tile, end_tile;
  size_t k_stride, v_stride, room;
  float *k[2]{}, *v;
  int64_t begin = 0, end = 0;  // keys
};

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
