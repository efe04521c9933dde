// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/attention/attention_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <atomic>
#include <numbers>
#include <utility>

#include "layers/attention/attention_tiles-inl.hpp"
#include "layers/attention/attention_tiles.hpp"

#ifndef RW_LAYERS_ATTENTION_SIMD_CPP
#define RW_LAYERS_ATTENTION_SIMD_CPP
namespace rw {
namespace {

// The tensors of a call; those that a direction lacks are null.
struct AttentionCall : AttentionTiles {
  AttentionCall(CView q_, CView k_, CView v_, const AttentionOpt& opt)
      : AttentionTiles(q_, k_, v_, opt),
        q(q_.as<float>()),
        k(k_.as<float>()),
        v(v_.as<float>()),
        first_key(opt.first_key.as<int32_t>().data),
        scale(static_cast<float>(opt.scale)) {}

  Rows<const float> q, k, v;
  const int32_t* first_key;
  float scale;
  Rows<float> o{}, lse{};                     // forward
  Rows<float> dq{}, dk{}, dv{};               // backward
  Rows<const float> do_{}, in_o{}, in_lse{};  // backward
  float* run_sums_at = nullptr;
};

}  // namespace
}  // namespace rw
#endif

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

constexpr size_t kRow = static_cast<size_t>(kRowTile);  // the stride of what has rows in its lanes
constexpr float kLog2e = 1.44269504088896341f;
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
        begin(tile * kRowTile),
        count(std::min(kRowTile, call.rows() - begin)) {}

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

HWY_INLINE size_t block_rows(int64_t n) { return (zu(n) + kBlockRows - 1) / kBlockRows * kBlockRows; }

// Keys or values of a tile, and zero rows up to whole blocks.
HWY_INLINE void copy_keys(float* to, const RowTile& rows, const KeyTile& keys, Rows<const float> from, int64_t width) {
  const size_t stride = zu(padded(width));
  copy_rows(to, stride, zu(keys.count), zu(width), 1.0f,
            [&](size_t j) HWY_ATTR { return rows.key(from, keys.begin + static_cast<int64_t>(j), width); });
  std::fill(to + zu(keys.count) * stride, to + block_rows(keys.count) * stride, 0.0f);
}

void forward_tile(const AttentionCall& call, int64_t item, float* scratch) {
  const RowTile rows(call, item / call.row_tiles(), call.row_tiles() - 1 - item % call.row_tiles());
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width), count = zu(rows.count);
  const size_t k_stride = zu(padded(call.width)), v_stride = zu(padded(call.value_width));
  const auto take = [&](size_t n) HWY_ATTR { return std::exchange(scratch, scratch + n); };
  float *q = take(width * kRow), *s = take(zu(kKeyTile) * kRow), *o = take(v_stride * kRow);
  float *top = take(kRow), *sum = take(kRow), *shrink = take(kRow), *first = take(kRow), *last = take(kRow);
  float *k = take(zu(kKeyTile) * k_stride), *v = take(zu(kKeyTile) * v_stride);

  transpose_in(q, kRow, count, width, call.scale * kLog2e,
               [&](size_t r) HWY_ATTR { return rows.of(call.q, r, call.width); });
  fill_sight(rows, first, last);
  std::fill_n(top, kRow, kHidden), std::fill_n(sum, kRow, 0.0f), std::fill_n(o, v_stride * kRow, 0.0f);

  for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
    const size_t columns = count - keys.row, key_count = zu(keys.count);
    copy_keys(k, rows, keys, call.k, call.width), copy_keys(v, rows, keys, call.v, call.value_width);
    product(s + keys.row, kRow, {k, k_stride, 1}, {q + keys.row, kRow}, key_count, columns, width, false);

    bool shrinks = false;
    for (size_t r = keys.row; r < count; r += kLanes) {
      if (keys.masked) {
        const Sight sight(first + r, last + r);
        for (size_t j = 0; j < key_count; ++j) {
          float* at = s + j * kRow + r;
          const auto seen = sight.sees(keys.begin + static_cast<int64_t>(j));
          hn::StoreU(hn::IfThenElse(seen, hn::LoadU(d, at), hn::Set(d, kHidden)), d, at);
        }
      }
      const Vector before = hn::LoadU(d, top + r);
      Vector now = before, added = hn::Zero(d);
      for (size_t j = 0; j < key_count; ++j) now = hn::Max(now, hn::LoadU(d, s + j * kRow + r));
      for (size_t j = 0; j < key_count; ++j) {
        const Vector p = exp2_of(hn::Sub(hn::LoadU(d, s + j * kRow + r), now));
        hn::StoreU(p, d, s + j * kRow + r);
        added = hn::Add(added, p);
      }
      const Vector factor = exp2_of(hn::Sub(before, now));
      hn::StoreU(now, d, top + r), hn::StoreU(factor, d, shrink + r);
      hn::StoreU(hn::MulAdd(hn::LoadU(d, sum + r), factor, added), d, sum + r);
      shrinks |= !hn::AllTrue(d, hn::Eq(before, now));
    }
    if (shrinks)
      for (size_t c = 0; c < value_width; ++c)
        for (size_t r = keys.row; r < count; r += kLanes)
          hn::StoreU(hn::Mul(hn::LoadU(d, o + c * kRow + r), hn::LoadU(d, shrink + r)), d, o + c * kRow + r);
    product(o + keys.row, kRow, {v, 1, v_stride}, {s + keys.row, kRow}, value_width, columns, key_count, true);
  });

  for (size_t r = 0; r < count; ++r) {
    float* out = rows.of(call.o, r, call.value_width);
    const float inverse = 1 / sum[r];
    for (size_t c = 0; c < value_width; ++c) out[c] = o[c * kRow + r] * inverse;
    *rows.of(call.lse, r, 1) = std::fma(top[r], std::numbers::ln2_v<float>, std::log(sum[r]));
  }
}

// dk and dv of all keys of a pair, where the run's sums go: the first run's into the outputs themselves.
struct RunSums {
  RunSums(const AttentionCall& call, int64_t run) : dk(call.dk), dv(call.dv) {
    if (run == 0) return;
    float* at = call.run_sums_at + (run - 1) * call.run_sums();
    dk = {at, call.groups * call.width};
    dv = {at + call.batch * call.keys * dk.stride, call.groups * call.value_width};
  }
  Rows<float> dk, dv;
};

void backward_run(const AttentionCall& call, int64_t item, float* scratch) {
  const int64_t pair = item / call.runs(), run = item % call.runs();
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width);
  const size_t k_stride = zu(padded(call.width)), v_stride = zu(padded(call.value_width));
  const auto take = [&](size_t n) HWY_ATTR { return std::exchange(scratch, scratch + n); };
  float *qt = take(width * kRow), *dot = take(value_width * kRow);  // transposed
  float *q = take(kRow * k_stride), *do_ = take(kRow * v_stride);
  float *p = take(zu(kKeyTile) * kRow), *ds = take(zu(kKeyTile) * kRow), *dq = take(k_stride * kRow);
  float *lse = take(kRow), *projection = take(kRow), *first = take(kRow), *last = take(kRow);
  float *k = take(zu(kKeyTile) * k_stride), *v = take(zu(kKeyTile) * v_stride);
  float *dk = take(zu(kKeyTile) * k_stride), *dv = take(zu(kKeyTile) * v_stride);

  const RunSums sums(call, run);
  const RowTile any(call, pair, 0);
  for (int64_t j = 0; j < call.keys; ++j) {
    std::fill_n(any.key(sums.dk, j, call.width), width, 0.0f);
    std::fill_n(any.key(sums.dv, j, call.value_width), value_width, 0.0f);
  }
  for (int64_t tile = call.run_begin(run); tile < call.run_begin(run + 1); ++tile) {
    const RowTile rows(call, pair, tile);
    const size_t count = zu(rows.count);
    const auto query = [&](size_t r) HWY_ATTR { return rows.of(call.q, r, call.width); };
    const auto of_out = [&](size_t r) HWY_ATTR { return rows.of(call.do_, r, call.value_width); };
    transpose_in(qt, kRow, count, width, call.scale * kLog2e, query);
    transpose_in(dot, kRow, count, value_width, 1.0f, of_out);
    copy_rows(q, k_stride, count, width, call.scale, query);
    copy_rows(do_, v_stride, count, value_width, 1.0f, of_out);
    fill_sight(rows, first, last);
    std::fill_n(lse, kRow, 0.0f), std::fill_n(projection, kRow, 0.0f), std::fill_n(dq, k_stride * kRow, 0.0f);
    for (size_t r = 0; r < count; ++r) {
      lse[r] = *rows.of(call.in_lse, r, 1) * kLog2e;
      RowSum total;
      const float *a = do_ + r * v_stride, *b = rows.of(call.in_o, r, call.value_width);
      for_columns(value_width, [&](auto dc, size_t c)
                                   HWY_ATTR { total.add(dc, hn::Mul(hn::LoadU(dc, a + c), hn::LoadU(dc, b + c))); });
      projection[r] = total.total();
    }

    for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
      const size_t columns = count - keys.row, key_count = zu(keys.count);
      copy_keys(k, rows, keys, call.k, call.width), copy_keys(v, rows, keys, call.v, call.value_width);
      product(p + keys.row, kRow, {k, k_stride, 1}, {qt + keys.row, kRow}, key_count, columns, width, false);
      product(ds + keys.row, kRow, {v, v_stride, 1}, {dot + keys.row, kRow}, key_count, columns, value_width, false);
      for (size_t r = keys.row; r < count; r += kLanes) {
        const Sight sight(first + r, last + r);
        const Vector of_lse = hn::LoadU(d, lse + r), of_projection = hn::LoadU(d, projection + r);
        for (size_t j = 0; j < key_count; ++j) {
          float *at = p + j * kRow + r, *d_at = ds + j * kRow + r;
          Vector share = exp2_of(hn::Sub(hn::LoadU(d, at), of_lse));
          if (keys.masked) share = hn::IfThenElseZero(sight.sees(keys.begin + static_cast<int64_t>(j)), share);
          hn::StoreU(share, d, at);
          hn::StoreU(hn::Mul(share, hn::Sub(hn::LoadU(d, d_at), of_projection)), d, d_at);
        }
      }
      product(dv, v_stride, {p + keys.row, kRow, 1}, {do_ + keys.row * v_stride, v_stride}, key_count, value_width,
              columns, false);
      product(dk, k_stride, {ds + keys.row, kRow, 1}, {q + keys.row * k_stride, k_stride}, key_count, width, columns,
              false);
      product(dq + keys.row, kRow, {k, 1, k_stride}, {ds + keys.row, kRow}, width, columns, key_count, true);
      for (size_t j = 0; j < key_count; ++j) {
        const auto add = [&](float* to, const float* from, size_t n) HWY_ATTR {
          for_columns(n, [&](auto dc, size_t c) HWY_ATTR {
            hn::StoreU(hn::Add(hn::LoadU(dc, to + c), hn::LoadU(dc, from + c)), dc, to + c);
          });
        };
        const int64_t key = keys.begin + static_cast<int64_t>(j);
        add(rows.key(sums.dk, key, call.width), dk + j * k_stride, width);
        add(rows.key(sums.dv, key, call.value_width), dv + j * v_stride, value_width);
      }
    });
    for (size_t r = 0; r < count; ++r) {
      float* out = rows.of(call.dq, r, call.width);
      for (size_t c = 0; c < width; ++c) out[c] = dq[c * kRow + r] * call.scale;
    }
  }
}

// Few rows: a row of scores for each, no tiles.
void forward_few(const AttentionCall& call, int64_t pair, float* scratch) {
  const Full d;
  const RowTile rows(call, pair, 0);
  const size_t stride = zu(padded(call.keys)), value_width = zu(call.value_width), width = zu(call.width);
  const float factor = call.scale * kLog2e;
  for (int64_t j = rows.first(0); j <= rows.last(zu(rows.count) - 1); ++j) {
    const float* key = rows.key(call.k, j, call.width);
    for (size_t r = 0; r < zu(rows.count); ++r) {
      const float* query = rows.of(call.q, r, call.width);
      RowSum total;
      for_columns(width, [&](auto dc, size_t c)
                             HWY_ATTR { total.add(dc, hn::Mul(hn::LoadU(dc, query + c), hn::LoadU(dc, key + c))); });
      scratch[r * stride + zu(j)] = factor * total.total();
    }
  }
  for (size_t r = 0; r < zu(rows.count); ++r) {
    const size_t begin = zu(rows.first(r)), count = zu(rows.last(r)) + 1 - begin;
    float* s = scratch + r * stride + begin;
    float top = kHidden;
    for (size_t j = 0; j < count; ++j) top = top > s[j] ? top : s[j];  // a NaN wins
    std::fill(s + count, scratch + (r + 1) * stride, 0.0f);
    RowSum sum;
    for_columns(count, [&](auto dc, size_t j) HWY_ATTR {
      if constexpr (std::is_same_v<decltype(dc), Full>) {
        const Vector p = exp2_of(hn::Sub(hn::LoadU(d, s + j), hn::Set(d, top)));
        sum.add(d, p), hn::StoreU(p, d, s + j);
      } else {
        s[j] = hn::GetLane(exp2_of(hn::Set(d, s[j] - top)));
        sum.add(dc, hn::Load(dc, s + j));
      }
    });
    const float total = sum.total();
    float* out = rows.of(call.o, r, call.value_width);
    const float* values = rows.key(call.v, static_cast<int64_t>(begin), call.value_width);
    const size_t v_stride = zu(call.v.stride);
    size_t c = 0;
    for (; c + 4 * kLanes <= value_width; c += 4 * kLanes)
      block<1, 4>(out + c, 0, {s, 0, 1}, {values + c, v_stride}, count, false);
    for (; c + kLanes <= value_width; c += kLanes)
      block<1, 1>(out + c, 0, {s, 0, 1}, {values + c, v_stride}, count, false);
    for (; c < value_width; ++c) {
      out[c] = 0;
      for (size_t j = 0; j < count; ++j) out[c] += s[j] * values[j * v_stride + c];
    }
    for (c = 0; c < value_width; ++c) out[c] /= total;
    *rows.of(call.lse, r, 1) = std::fma(top, std::numbers::ln2_v<float>, std::log(total));
  }
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(forward_tile);
HWY_EXPORT(forward_few);
HWY_EXPORT(backward_run);

// Calls work(call, item, part's scratch) for every item, each part taking the next one when it is free.
template <class Work>
void share(const AttentionCall& call, Work work, int64_t items, int64_t parts, float* scratch, int64_t part_size) {
  std::atomic<int64_t> next{0};
  parallel_for(parts, [&](int64_t part) {
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;)
      work(call, item, scratch + part * part_size);
  });
}

}  // namespace

void fast::attention_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt, View scratch) {
  AttentionCall call(q, k, v, opt);
  call.o = o.as<float>(), call.lse = lse.as<float>();
  const auto work = call.few_rows() ? &HWY_DYNAMIC_DISPATCH(forward_few) : &HWY_DYNAMIC_DISPATCH(forward_tile);
  share(call, work, call.forward_items(), call.forward_parts(), scratch.as<float>().data, call.forward_part());
}

void fast::attention_backward(Ctx&, View dq, View dk, View dv, CView do_, CView o, CView lse, CView q, CView k, CView v,
                              const AttentionOpt& opt, View scratch) {
  AttentionCall call(q, k, v, opt);
  call.dq = dq.as<float>(), call.dk = dk.as<float>(), call.dv = dv.as<float>();
  call.do_ = do_.as<float>(), call.in_o = o.as<float>(), call.in_lse = lse.as<float>();
  float* parts = scratch.as<float>().data;
  call.run_sums_at = parts + call.backward_parts() * call.backward_part();
  share(call, &HWY_DYNAMIC_DISPATCH(backward_run), call.backward_items(), call.backward_parts(), parts,
        call.backward_part());
  if (call.runs() == 1) return;
  parallel_for(call.batch * call.keys, [&](int64_t row) {
    for (int64_t run = 1; run < call.runs(); ++run) {
      const float* dk_run = call.run_sums_at + (run - 1) * call.run_sums() + row * k.width();
      const float* dv_run =
          call.run_sums_at + (run - 1) * call.run_sums() + call.batch * call.keys * k.width() + row * v.width();
      for (int64_t c = 0; c < k.width(); ++c) call.dk[row][c] += dk_run[c];
      for (int64_t c = 0; c < v.width(); ++c) call.dv[row][c] += dv_run[c];
    }
  });
}

}  // namespace rw
#endif  // HWY_ONCE
