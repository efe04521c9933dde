// How the fast twin cuts attention into tiles, and what scratch that takes.
//
// A row is a pair (query, head of the group), row = query · (H / G) + head: the heads of a group share their keys, so
// their rows lie in one tile. Scores are held transposed, [key][row], with rows in the lanes of vectors: maxima and
// sums over keys need no horizontal step, and keys and values are read one number at a time, in their own layout.
#pragma once
#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "layers/attention/attention_sizes.hpp"

namespace rw {

inline constexpr int64_t kRowTile = 192;  // at most, and the stride of what has rows in its lanes
inline constexpr int64_t kKeyTile = 64;
inline constexpr int64_t kLaneGroup = 16;  // a multiple of every vector's lanes; rows are cut here along the diagonal
inline constexpr int64_t kFewRows = 6;     // up to here a row at a time is faster than a tile: decoding

constexpr int64_t padded(int64_t n) { return (n + kLaneGroup - 1) / kLaneGroup * kLaneGroup; }

struct AttentionTiles : AttentionSizes {
  AttentionTiles(CView q, CView k, CView v, const AttentionOpt& opt)
      : AttentionSizes(q, k, v, opt), sight(keys, opt), branches(opt.q_far.empty() ? 1 : 2) {}

  AttentionSight sight;
  int64_t branches;  // 2 with a far one

  int64_t pairs() const { return batch * groups; }  // (sample, group)
  int64_t rows() const { return queries * heads_per_group(); }
  int64_t row_tile() const { return rows() < 512 ? kRowTile / 2 : kRowTile; }
  int64_t row_tiles() const { return (rows() + row_tile() - 1) / row_tile(); }
  bool few_rows() const { return rows() <= kFewRows; }

  // The row tiles of a pair are cut into runs of about equal work. A run is one piece of parallel work: it copies the
  // keys and values that it sees, once, and backward sums dk and dv over its tiles, in order; the runs' sums are then
  // added, in order. The number of runs depends on the shapes only, and so do the bits.
  int64_t forward_runs() const { return std::clamp<int64_t>((32 + pairs() - 1) / pairs(), 1, (row_tiles() + 1) / 2); }
  int64_t backward_runs() const { return std::clamp<int64_t>((16 + pairs() - 1) / pairs(), 1, (row_tiles() + 3) / 4); }
  // The first tile of a run. Up to tile t, work is about t · (2 · before + t), `before` being the prefix in tiles.
  int64_t run_begin(int64_t run, int64_t runs) const {
    const auto tiles = static_cast<double>(row_tiles()), share = static_cast<double>(run) / static_cast<double>(runs);
    const double before = static_cast<double>(prefix() * heads_per_group()) / static_cast<double>(row_tile());
    const double begin = std::sqrt(before * before + share * tiles * (2 * before + tiles)) - before;
    return std::min(row_tiles(), static_cast<int64_t>(std::lround(begin)));
  }

  // f32 elements that one thread works in. attention_simd.cpp takes them apart.
  int64_t copies() const { return (keys + kLaneGroup) * (branches * padded(width) + padded(value_width)); }  // of k, v
  int64_t forward_part() const {
    if (few_rows()) return rows() * padded(keys);
    return kRowTile * (branches * (width + kKeyTile) + padded(value_width) + 8) + copies();
  }
  int64_t backward_part() const {
    const int64_t transposed = branches * width + value_width,
                  straight = branches * padded(width) + padded(value_width);
    const int64_t tiles = (1 + branches) * kKeyTile, dq = branches * padded(width);
    return kRowTile * (transposed + straight + tiles + dq + 8) + 2 * copies();
  }
  int64_t forward_items() const { return few_rows() ? pairs() : pairs() * forward_runs(); }
  int64_t backward_items() const { return pairs() * backward_runs(); }
  int64_t forward_parts() const { return std::min<int64_t>(threads(), forward_items()); }
  int64_t backward_parts() const { return std::min<int64_t>(threads(), backward_items()); }
  int64_t run_sums() const { return batch * keys * groups * (branches * width + value_width); }  // dk, dv of a run

  int64_t forward_scratch() const { return forward_parts() * forward_part(); }
  int64_t backward_scratch() const { return backward_parts() * backward_part() + (backward_runs() - 1) * run_sums(); }
};

// The tensors of a call; those that a direction lacks are null.
struct AttentionCall : AttentionTiles {
  AttentionCall(CView q_, CView k_, CView v_, const AttentionOpt& opt)
      : AttentionTiles(q_, k_, v_, opt),
        q{q_.as<float>(), opt.q_far.as<float>()},
        k{k_.as<float>(), opt.k_far.as<float>()},
        v(v_.as<float>()),
        factor(opt.factor.as<float>().data),
        scale(static_cast<float>(opt.scale)) {}

  Rows<const float> q[2], k[2], v;  // near, far
  const float* factor;
  float scale;
  Rows<float> o{}, lse{};                     // forward
  Rows<float> dq[2]{}, dk[2]{}, dv{};         // backward
  Rows<const float> do_{}, in_o{}, in_lse{};  // backward
  float* run_sums_at = nullptr;
};

}  // namespace rw
