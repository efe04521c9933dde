// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/attention/attention_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <atomic>

#include "layers/attention/attention_walk-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

void forward_run(const AttentionCall& call, int64_t item, float* scratch) {
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width);
  Space space{scratch};
  const RunOfTiles run(call, item, call.forward_runs(), space);
  float *q = space.take(width * kRow), *s = space.take(zu(kKeyTile) * kRow), *o = space.take(run.v_stride * kRow);
  float *top = space.take(kRow), *sum = space.take(kRow), *shrink = space.take(kRow);
  float *first = space.take(kRow), *last = space.take(kRow);

  for (int64_t tile = run.tile; tile < run.end_tile; ++tile) {
    const RowTile rows(call, run.pair, tile);
    const size_t count = zu(rows.count);
    rows_to_lanes(
        q, [&](size_t r) HWY_ATTR { return rows.of(call.q, r, call.width); }, count, width, call.scale);
    fill_sight(rows, first, last);
    std::fill_n(top, kRow, kHidden), std::fill_n(sum, kRow, 0.0f), std::fill_n(o, run.v_stride * kRow, 0.0f);

    for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
      const size_t columns = count - keys.row, key_count = zu(keys.count);
      const Left by_key{run.key(keys.begin), run.k_stride, 1}, by_value{run.value(keys.begin), 1, run.v_stride};
      product(s + keys.row, kRow, by_key, {q + keys.row, kRow}, key_count, columns, width, false);

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
          const Vector p = exp_of(hn::Sub(hn::LoadU(d, s + j * kRow + r), now));
          hn::StoreU(p, d, s + j * kRow + r);
          added = hn::Add(added, p);
        }
        const Vector factor = exp_of(hn::Sub(before, now));
        hn::StoreU(now, d, top + r), hn::StoreU(factor, d, shrink + r);
        hn::StoreU(hn::MulAdd(hn::LoadU(d, sum + r), factor, added), d, sum + r);
        shrinks |= !hn::AllTrue(d, hn::Eq(before, now));
      }
      if (shrinks) scale_lanes(o, shrink, keys.row, count, value_width);
      product(o + keys.row, kRow, by_value, {s + keys.row, kRow}, value_width, columns, key_count, true);
    });

    for (size_t r = 0; r < count; r += kLanes)
      hn::StoreU(hn::Div(hn::Set(d, 1.0f), hn::LoadU(d, sum + r)), d, shrink + r);
    scale_lanes(o, shrink, 0, count, value_width);
    lanes_to_rows([&](size_t r) HWY_ATTR { return rows.of(call.o, r, call.value_width); }, o, count, value_width, 1.0f);
    for (size_t r = 0; r < count; ++r) *rows.of(call.lse, r, 1) = top[r] + std::log(sum[r]);
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
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width);
  Space space{scratch};
  const RunOfTiles run(call, item, call.backward_runs(), space);
  const size_t k_stride = run.k_stride, v_stride = run.v_stride;
  float* dk = space.take((zu(call.keys) + zu(kLaneGroup)) * k_stride);
  float* dv = space.take((zu(call.keys) + zu(kLaneGroup)) * v_stride);
  float *qt = space.take(width * kRow), *dot = space.take(value_width * kRow);  // transposed
  float *q = space.take(kRow * k_stride), *do_ = space.take(kRow * v_stride);
  float *p = space.take(zu(kKeyTile) * kRow), *ds = space.take(zu(kKeyTile) * kRow), *dq = space.take(k_stride * kRow);
  float *lse = space.take(kRow), *projection = space.take(kRow), *first = space.take(kRow), *last = space.take(kRow);

  std::fill_n(dk, zu(run.end - run.begin) * k_stride, 0.0f), std::fill_n(dv, zu(run.end - run.begin) * v_stride, 0.0f);
  for (int64_t tile = run.tile; tile < run.end_tile; ++tile) {
    const RowTile rows(call, run.pair, tile);
    const size_t count = zu(rows.count);
    const auto query = [&](size_t r) HWY_ATTR { return rows.of(call.q, r, call.width); };
    const auto of_out = [&](size_t r) HWY_ATTR { return rows.of(call.do_, r, call.value_width); };
    copy_rows(q, k_stride, count, width, query), copy_rows(do_, v_stride, count, value_width, of_out);
    rows_to_lanes(
        qt, [&](size_t r) HWY_ATTR { return q + r * k_stride; }, count, width, call.scale);
    rows_to_lanes(
        dot, [&](size_t r) HWY_ATTR { return do_ + r * v_stride; }, count, value_width, 1.0f);
    fill_sight(rows, first, last);
    std::fill_n(lse, kRow, 0.0f), std::fill_n(projection, kRow, 0.0f), std::fill_n(dq, k_stride * kRow, 0.0f);
    for (size_t r = 0; r < count; ++r) {
      lse[r] = *rows.of(call.in_lse, r, 1);
      projection[r] = dot_of(do_ + r * v_stride, rows.of(call.in_o, r, call.value_width), value_width);
    }

    for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
      const size_t columns = count - keys.row, key_count = zu(keys.count), offset = zu(keys.begin - run.begin);
      const float *k = run.key(keys.begin), *v = run.value(keys.begin);
      product(p + keys.row, kRow, {k, k_stride, 1}, {qt + keys.row, kRow}, key_count, columns, width, false);
      product(ds + keys.row, kRow, {v, v_stride, 1}, {dot + keys.row, kRow}, key_count, columns, value_width, false);
      for (size_t r = keys.row; r < count; r += kLanes) {
        const Sight sight(first + r, last + r);
        const Vector of_lse = hn::LoadU(d, lse + r), of_projection = hn::LoadU(d, projection + r);
        for (size_t j = 0; j < key_count; ++j) {
          float *at = p + j * kRow + r, *d_at = ds + j * kRow + r;
          Vector share = exp_of(hn::Sub(hn::LoadU(d, at), of_lse));
          if (keys.masked) share = hn::IfThenElseZero(sight.sees(keys.begin + static_cast<int64_t>(j)), share);
          hn::StoreU(share, d, at);
          hn::StoreU(hn::Mul(share, hn::Sub(hn::LoadU(d, d_at), of_projection)), d, d_at);
        }
        for (size_t j = key_count; j % kBlockRows != 0; ++j)  // blocks add rows of the next keys, too
          hn::StoreU(hn::Zero(d), d, p + j * kRow + r), hn::StoreU(hn::Zero(d), d, ds + j * kRow + r);
      }
      product(dv + offset * v_stride, v_stride, {p + keys.row, kRow, 1}, {do_ + keys.row * v_stride, v_stride},
              key_count, value_width, columns, true);
      product(dk + offset * k_stride, k_stride, {ds + keys.row, kRow, 1}, {q + keys.row * k_stride, k_stride},
              key_count, width, columns, true);
      product(dq + keys.row, kRow, {k, 1, k_stride}, {ds + keys.row, kRow}, width, columns, key_count, true);
    });
    lanes_to_rows([&](size_t r) HWY_ATTR { return rows.of(call.dq, r, call.width); }, dq, count, width, call.scale);
  }

  const RunSums sums(call, run.run);
  const RowTile any(call, run.pair, 0);
  for (int64_t j = 0; j < call.keys; ++j) {
    const auto put = [&](float* out, const float* sum, size_t n, float factor) HWY_ATTR {
      if (j < run.begin || j >= run.end) return void(std::fill_n(out, n, 0.0f));
      for_columns(n, [&](auto dc, size_t c)
                         HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(dc, sum + c), hn::Set(dc, factor)), dc, out + c); });
    };
    put(any.key(sums.dk, j, call.width), dk + (j - run.begin) * static_cast<int64_t>(k_stride), width, call.scale);
    put(any.key(sums.dv, j, call.value_width), dv + (j - run.begin) * static_cast<int64_t>(v_stride), value_width,
        1.0f);
  }
}

// Few rows: a row of scores for each, no tiles.
void forward_few(const AttentionCall& call, int64_t pair, float* scratch) {
  const Full d;
  const RowTile rows(call, pair, 0);
  const size_t stride = zu(padded(call.keys)), value_width = zu(call.value_width), width = zu(call.width);
  const size_t end = zu(rows.last(zu(rows.count) - 1)) + 1;
  const auto key = [&](size_t j) HWY_ATTR { return rows.key(call.k, static_cast<int64_t>(j), call.width); };
  for (size_t j = zu(rows.first(0)); j < end; ++j) {
    ask_for(key, j + kAhead, end, width);
    for (size_t r = 0; r < zu(rows.count); ++r)
      scratch[r * stride + j] = call.scale * dot_of(rows.of(call.q, r, call.width), key(j), width);
  }
  for (size_t r = 0; r < zu(rows.count); ++r) {
    const size_t begin = zu(rows.first(r)), count = zu(rows.last(r)) + 1 - begin;
    float* s = scratch + r * stride + begin;
    float top = kHidden;
    for (size_t j = 0; j < count; ++j) top = top > s[j] ? top : s[j];
    std::fill(s + count, scratch + (r + 1) * stride, 0.0f);
    RowSum sum;
    for_columns(count, [&](auto dc, size_t j) HWY_ATTR {
      if constexpr (std::is_same_v<decltype(dc), Full>) {
        const Vector p = exp_of(hn::Sub(hn::LoadU(d, s + j), hn::Set(d, top)));
        sum.add(d, p), hn::StoreU(p, d, s + j);
      } else {
        s[j] = hn::GetLane(exp_of(hn::Set(d, s[j] - top)));
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
    *rows.of(call.lse, r, 1) = top + std::log(total);
  }
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(forward_run);
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
  const auto work = call.few_rows() ? &HWY_DYNAMIC_DISPATCH(forward_few) : &HWY_DYNAMIC_DISPATCH(forward_run);
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
  if (call.backward_runs() == 1) return;
  parallel_for(call.batch * call.keys, [&](int64_t row) {
    for (int64_t run = 1; run < call.backward_runs(); ++run) {
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
