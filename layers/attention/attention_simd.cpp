// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/attention/attention_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <atomic>

#include "layers/attention/attention_walk-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// The rows of a key tile that one product serves: [begin, end), by one branch. Scores and their gradients of rows that
// only one branch serves lie in the first of two buffers; where both serve, those of the far one lie in the second.
struct Part {
  size_t branch, begin, end;
  bool second;
};

// f(part) for all parts that are not empty.
template <class F>
HWY_INLINE void for_parts(const KeyTile& keys, size_t count, F&& f) {
  const Part parts[] = {{0, keys.row, keys.near_end, false},
                        {1, keys.far_from, keys.near_end, true},
                        {1, std::max(keys.near_end, keys.far_from), count, false}};
  for (const Part& part : parts)
    if (part.begin < part.end) f(part);
}

// In the lanes that both branches serve: f(sight, address of an element in the first buffer, in the second, key).
template <class F>
HWY_INLINE void for_border(const KeyTile& keys, const Sights& sights, float* first, float* second, F&& f) {
  for (size_t r = keys.far_from; r < keys.near_end; r += kLanes) {
    const Sight sight(sights, r);
    for (size_t j = 0; j < zu(keys.count); ++j)
      f(sight, first + j * kRow + r, second + j * kRow + r, keys.begin + static_cast<int64_t>(j));
  }
}

// Queries transposed, times scale and factor.
HWY_INLINE void queries_to_lanes(float* to, const RowTile& rows, size_t branch, float* factors) {
  const AttentionCall& call = rows.call;
  const size_t count = zu(rows.count), width = zu(call.width);
  rows_to_lanes(
      to, [&](size_t r) HWY_ATTR { return rows.of(call.q[branch], r, call.width); }, count, width, call.scale);
  if (!call.factor) return;
  for (size_t r = 0; r < kRow; ++r) factors[r] = r < count ? rows.factor(r) : 0.0f;
  scale_lanes(to, factors, 0, count, width);
}

void forward_run(const AttentionCall& call, int64_t item, float* scratch) {
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width), branches = zu(call.branches);
  Space space{scratch};
  const RunOfTiles run(call, item, call.forward_runs(), space);
  float *q[2]{}, *s[2]{};
  for (size_t branch = 0; branch < branches; ++branch)
    q[branch] = space.take(width * kRow), s[branch] = space.take(zu(kKeyTile) * kRow);
  float* o = space.take(run.v_stride * kRow);
  float *top = space.take(kRow), *sum = space.take(kRow), *shrink = space.take(kRow), *factors = space.take(kRow);
  const Sights sights(space.take(Sights::kSize));

  for (int64_t tile = run.tile; tile < run.end_tile; ++tile) {
    const RowTile rows(call, run.pair, tile);
    const size_t count = zu(rows.count);
    for (size_t branch = 0; branch < branches; ++branch) queries_to_lanes(q[branch], rows, branch, factors);
    sights.fill(rows);
    std::fill_n(top, kRow, kHidden), std::fill_n(sum, kRow, 0.0f), std::fill_n(o, run.v_stride * kRow, 0.0f);

    for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
      const size_t columns = count - keys.row, key_count = zu(keys.count);
      const Left by_value{run.value(keys.begin), 1, run.v_stride};
      for_parts(keys, count, [&](const Part& part) HWY_ATTR {
        product(s[part.second] + part.begin, kRow, {run.key(part.branch, keys.begin), run.k_stride, 1},
                {q[part.branch] + part.begin, kRow}, key_count, part.end - part.begin, width, false);
      });
      for_border(keys, sights, s[0], s[1], [&](const Sight& sight, float* near, const float* far, int64_t j) HWY_ATTR {
        const auto is_near = sight.is_near(j, call.sight.near);
        hn::StoreU(hn::IfThenElse(is_near, hn::LoadU(d, near), hn::LoadU(d, far)), d, near);
      });

      bool shrinks = false;
      for (size_t r = keys.row; r < count; r += kLanes) {
        if (keys.masked) {
          const Sight sight(sights, r);
          for (size_t j = 0; j < key_count; ++j) {
            float* at = s[0] + j * kRow + r;
            const auto seen = sight.sees(keys.begin + static_cast<int64_t>(j));
            hn::StoreU(hn::IfThenElse(seen, hn::LoadU(d, at), hn::Set(d, kHidden)), d, at);
          }
        }
        const Vector before = hn::LoadU(d, top + r);
        Vector now = before, added = hn::Zero(d);
        for (size_t j = 0; j < key_count; ++j) now = hn::Max(now, hn::LoadU(d, s[0] + j * kRow + r));
        for (size_t j = 0; j < key_count; ++j) {
          const Vector p = exp_of(hn::Sub(hn::LoadU(d, s[0] + j * kRow + r), now));
          hn::StoreU(p, d, s[0] + j * kRow + r);
          added = hn::Add(added, p);
        }
        const Vector factor = exp_of(hn::Sub(before, now));
        hn::StoreU(now, d, top + r), hn::StoreU(factor, d, shrink + r);
        hn::StoreU(hn::MulAdd(hn::LoadU(d, sum + r), factor, added), d, sum + r);
        shrinks |= !hn::AllTrue(d, hn::Eq(before, now));
      }
      if (shrinks) scale_lanes(o, shrink, keys.row, count, value_width);
      product(o + keys.row, kRow, by_value, {s[0] + keys.row, kRow}, value_width, columns, key_count, true);
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
  RunSums(const AttentionCall& call, int64_t run) : dk{call.dk[0], call.dk[1]}, dv(call.dv) {
    if (run == 0) return;
    float* at = call.run_sums_at + (run - 1) * call.run_sums();
    for (int64_t branch = 0; branch < call.branches; ++branch) {
      dk[branch] = {at, call.groups * call.width};
      at += call.batch * call.keys * dk[branch].stride;
    }
    dv = {at, call.groups * call.value_width};
  }
  Rows<float> dk[2], dv;
};

void backward_run(const AttentionCall& call, int64_t item, float* scratch) {
  const Full d;
  const size_t width = zu(call.width), value_width = zu(call.value_width), branches = zu(call.branches);
  Space space{scratch};
  const RunOfTiles run(call, item, call.backward_runs(), space);
  const size_t k_stride = run.k_stride, v_stride = run.v_stride, key_rows = zu(run.end - run.begin);
  float *dk[2]{}, *qt[2]{}, *q[2]{}, *dq[2]{}, *ds[2]{};
  for (size_t branch = 0; branch < branches; ++branch) {
    dk[branch] = space.take(run.room * k_stride);
    qt[branch] = space.take(width * kRow);  // transposed
    q[branch] = space.take(kRow * k_stride), dq[branch] = space.take(k_stride * kRow);
    ds[branch] = space.take(zu(kKeyTile) * kRow);
    std::fill_n(dk[branch], key_rows * k_stride, 0.0f);
  }
  float *dv = space.take(run.room * v_stride), *dot = space.take(value_width * kRow);
  float *do_ = space.take(kRow * v_stride), *p = space.take(zu(kKeyTile) * kRow);
  float *lse = space.take(kRow), *projection = space.take(kRow), *factors = space.take(kRow);
  const Sights sights(space.take(Sights::kSize));
  std::fill_n(dv, key_rows * v_stride, 0.0f);

  for (int64_t tile = run.tile; tile < run.end_tile; ++tile) {
    const RowTile rows(call, run.pair, tile);
    const size_t count = zu(rows.count);
    for (size_t branch = 0; branch < branches; ++branch) {
      copy_rows(q[branch], k_stride, count, width,
                [&](size_t r) HWY_ATTR { return rows.of(call.q[branch], r, call.width); });
      queries_to_lanes(qt[branch], rows, branch, factors);
      if (call.factor)
        for (size_t r = 0; r < count; ++r)
          for (size_t c = 0; c < width; ++c) q[branch][r * k_stride + c] *= factors[r];
      std::fill_n(dq[branch], k_stride * kRow, 0.0f);
    }
    copy_rows(do_, v_stride, count, value_width,
              [&](size_t r) HWY_ATTR { return rows.of(call.do_, r, call.value_width); });
    rows_to_lanes(
        dot, [&](size_t r) HWY_ATTR { return do_ + r * v_stride; }, count, value_width, 1.0f);
    sights.fill(rows);
    std::fill_n(lse, kRow, 0.0f), std::fill_n(projection, kRow, 0.0f);
    for (size_t r = 0; r < count; ++r) {
      lse[r] = *rows.of(call.in_lse, r, 1);
      projection[r] = dot_of(do_ + r * v_stride, rows.of(call.in_o, r, call.value_width), value_width);
    }

    for_key_tiles(rows, [&](const KeyTile& keys) HWY_ATTR {
      const size_t columns = count - keys.row, key_count = zu(keys.count), offset = zu(keys.begin - run.begin);
      float* const scores[] = {p, ds[1]};
      for_parts(keys, count, [&](const Part& part) HWY_ATTR {
        product(scores[part.second] + part.begin, kRow, {run.key(part.branch, keys.begin), k_stride, 1},
                {qt[part.branch] + part.begin, kRow}, key_count, part.end - part.begin, width, false);
      });
      for_border(keys, sights, p, ds[1], [&](const Sight& sight, float* near, const float* far, int64_t j) HWY_ATTR {
        const auto is_near = sight.is_near(j, call.sight.near);
        hn::StoreU(hn::IfThenElse(is_near, hn::LoadU(d, near), hn::LoadU(d, far)), d, near);
      });
      product(ds[0] + keys.row, kRow, {run.value(keys.begin), v_stride, 1}, {dot + keys.row, kRow}, key_count, columns,
              value_width, false);
      for (size_t r = keys.row; r < count; r += kLanes) {
        const Sight sight(sights, r);
        const Vector of_lse = hn::LoadU(d, lse + r), of_projection = hn::LoadU(d, projection + r);
        for (size_t j = 0; j < key_count; ++j) {
          float *at = p + j * kRow + r, *d_at = ds[0] + j * kRow + r;
          Vector share = exp_of(hn::Sub(hn::LoadU(d, at), of_lse));
          if (keys.masked) share = hn::IfThenElseZero(sight.sees(keys.begin + static_cast<int64_t>(j)), share);
          hn::StoreU(share, d, at);
          hn::StoreU(hn::Mul(share, hn::Sub(hn::LoadU(d, d_at), of_projection)), d, d_at);
        }
        for (size_t j = key_count; j % kBlockRows != 0; ++j)  // blocks add rows of the next keys, too
          for (float* tile_of : {p, ds[0], ds[1]})
            if (tile_of) hn::StoreU(hn::Zero(d), d, tile_of + j * kRow + r);
      }
      for_border(keys, sights, ds[0], ds[1], [&](const Sight& sight, float* near, float* far, int64_t j) HWY_ATTR {
        const auto is_near = sight.is_near(j, call.sight.near);
        const Vector all = hn::LoadU(d, near);
        hn::StoreU(hn::IfThenElseZero(is_near, all), d, near), hn::StoreU(hn::IfThenZeroElse(is_near, all), d, far);
      });
      product(dv + offset * v_stride, v_stride, {p + keys.row, kRow, 1}, {do_ + keys.row * v_stride, v_stride},
              key_count, value_width, columns, true);
      for_parts(keys, count, [&](const Part& part) HWY_ATTR {
        const float* of_part = ds[part.second] + part.begin;
        const size_t lanes = part.end - part.begin;
        product(dk[part.branch] + offset * k_stride, k_stride, {of_part, kRow, 1},
                {q[part.branch] + part.begin * k_stride, k_stride}, key_count, width, lanes, true);
        product(dq[part.branch] + part.begin, kRow, {run.key(part.branch, keys.begin), 1, k_stride}, {of_part, kRow},
                width, lanes, key_count, true);
      });
    });
    for (size_t branch = 0; branch < branches; ++branch) {
      if (call.factor) scale_lanes(dq[branch], factors, 0, count, width);
      lanes_to_rows([&](size_t r) HWY_ATTR { return rows.of(call.dq[branch], r, call.width); }, dq[branch], count,
                    width, call.scale);
    }
  }

  const RunSums sums(call, run.run);
  const RowTile any(call, run.pair, 0);
  for (int64_t j = 0; j < call.keys; ++j) {
    const auto put = [&](float* out, const float* sum, size_t n, float factor) HWY_ATTR {
      if (j < run.begin || j >= run.end) return void(std::fill_n(out, n, 0.0f));
      for_columns(n, [&](auto dc, size_t c)
                         HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(dc, sum + c), hn::Set(dc, factor)), dc, out + c); });
    };
    for (size_t branch = 0; branch < branches; ++branch)
      put(any.key(sums.dk[branch], j, call.width), dk[branch] + (j - run.begin) * static_cast<int64_t>(k_stride), width,
          call.scale);
    put(any.key(sums.dv, j, call.value_width), dv + (j - run.begin) * static_cast<int64_t>(v_stride), value_width,
        1.0f);
  }
}

// Few rows: a row of scores for each, no tiles.
void forward_few(const AttentionCall& call, int64_t pair, float* scratch) {
  const Full d;
  const RowTile rows(call, pair, 0);
  const size_t stride = zu(padded(call.keys)), value_width = zu(call.value_width), width = zu(call.width);
  const size_t count = zu(rows.count), last_row = count - 1;
  const int64_t end = rows.last(last_row) + 1, sink_end = rows.sink_end(last_row), local = rows.local(0);
  const auto scores = [&](int64_t from, int64_t to) HWY_ATTR {
    const auto key = [&](size_t branch, int64_t j) HWY_ATTR { return rows.key(call.k[branch], j, call.width); };
    for (int64_t j = from; j < to; ++j) {
      const size_t far_from = call.branches == 2 ? rows.far_from(j) : count;
      const auto ahead = [&](size_t row) HWY_ATTR { return key(far_from == 0, static_cast<int64_t>(row)); };
      ask_for(ahead, zu(j) + kAhead, zu(to), width);
      for (size_t r = 0; r < count; ++r) {
        const bool seen = rows.first(r) <= j && j <= rows.last(r) && (j >= rows.local(r) || j < rows.sink_end(r));
        const size_t branch = r >= far_from;
        scratch[r * stride + zu(j)] =
            seen ? call.scale * rows.factor(r) * dot_of(rows.of(call.q[branch], r, call.width), key(branch, j), width)
                 : kHidden;
      }
    }
  };
  const int64_t begin_of_all = rows.begin_of_sight(0);
  if (sink_end > begin_of_all && sink_end < local) {
    scores(begin_of_all, sink_end);
    for (size_t r = 0; r < count; ++r)
      std::fill(scratch + r * stride + sink_end, scratch + r * stride + local, kHidden);
    scores(local, end);
  } else {
    scores(begin_of_all, end);
  }
  for (size_t r = 0; r < count; ++r) {
    const size_t begin = zu(rows.begin_of_sight(r)), seen = zu(rows.last(r)) + 1 - begin;
    float* s = scratch + r * stride + begin;
    float top = kHidden;
    for (size_t j = 0; j < seen; ++j) top = top > s[j] ? top : s[j];
    std::fill(s + seen, scratch + (r + 1) * stride, 0.0f);
    RowSum sum;
    for_columns(seen, [&](auto dc, size_t j) HWY_ATTR {
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
      block<1, 4>(out + c, 0, {s, 0, 1}, {values + c, v_stride}, seen, false);
    for (; c + kLanes <= value_width; c += kLanes)
      block<1, 1>(out + c, 0, {s, 0, 1}, {values + c, v_stride}, seen, false);
    for (; c < value_width; ++c) {
      out[c] = 0;
      for (size_t j = 0; j < seen; ++j) out[c] += s[j] * values[j * v_stride + c];
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

void fast::attention_backward(Ctx&, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o, CView lse,
                              CView q, CView k, CView v, const AttentionOpt& opt, View scratch) {
  AttentionCall call(q, k, v, opt);
  call.dq[0] = dq.as<float>(), call.dk[0] = dk.as<float>(), call.dv = dv.as<float>();
  call.dq[1] = dq_far.as<float>(), call.dk[1] = dk_far.as<float>();
  call.do_ = do_.as<float>(), call.in_o = o.as<float>(), call.in_lse = lse.as<float>();
  float* parts = scratch.as<float>().data;
  call.run_sums_at = parts + call.backward_parts() * call.backward_part();
  share(call, &HWY_DYNAMIC_DISPATCH(backward_run), call.backward_items(), call.backward_parts(), parts,
        call.backward_part());
  if (call.backward_runs() == 1) return;
  const int64_t rows_of_keys = call.batch * call.keys;
  parallel_for(rows_of_keys, [&](int64_t row) {
    for (int64_t run = 1; run < call.backward_runs(); ++run) {
      const float* sums = call.run_sums_at + (run - 1) * call.run_sums();
      const auto add = [&](float* to, int64_t width) {
        for (int64_t c = 0; c < width; ++c) to[c] += sums[row * width + c];
        sums += rows_of_keys * width;
      };
      for (int64_t branch = 0; branch < call.branches; ++branch) add(call.dk[branch][row], k.width());
      add(call.dv[row], v.width());
    }
  });
}

}  // namespace rw
#endif  // HWY_ONCE
