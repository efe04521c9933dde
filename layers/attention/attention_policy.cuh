// What a pair of query and key means to the kernels of attention: whether it is seen and by which branch, for single
// queries and for tiles of any size, and how its score is scaled. Queries are named by their index among the keys, i'.
#pragma once
#include "core/device/vocabulary.cuh"
#include "layers/attention/attention_sizes.hpp"

namespace rw {

enum AttentionBranch : int { kNear, kFar };

// The keys that a query sees by one branch: of [begin, end) those at or after local, or before sink_end.
struct SeenKeys {
  int begin, end, local, sink_end;
  __device__ bool has(int j) const { return begin <= j && j < end && (j >= local || j < sink_end); }
};

// Numbers of tiles, in ascending order: those in [begin, end) that are not in [hole, hole_end).
//   for (int t = run.first(); t < run.end; t = run.next(t))
struct TileRun {
  int begin, hole, hole_end, end;
  __device__ int first() const { return after_hole(begin); }
  __device__ int next(int t) const { return after_hole(t + 1); }

 private:
  __device__ int after_hole(int t) const { return hole <= t && t < hole_end ? hole_end : t; }
};

struct Span {
  int64_t begin, end;
  __device__ int64_t last() const { return end - 1; }
};

struct AttentionPolicy {
  AttentionSight sight;
  int64_t queries;
  const float* factor;
  float scale;

  __device__ int64_t prefix() const { return sight.keys - queries; }
  __device__ float scale_of(int64_t b, int64_t i) const {
    return factor ? scale * factor[b * queries + i - prefix()] : scale;
  }
  __device__ SeenKeys keys_of(int64_t b, int64_t i, int branch) const {
    const int64_t border = sight.near_begin(i), first = sight.first(b, i);
    return {static_cast<int>(branch == kNear ? std::max(first, border) : first),
            static_cast<int>(branch == kFar ? std::min(border, i + 1) : i + 1), static_cast<int>(sight.local(b, i)),
            static_cast<int>(sight.sink_end(b, i))};
  }

  // The tiles of keys of which some query sees some key by the branch. Tile t is [t · size, (t + 1) · size).
  __device__ TileRun key_tiles(int64_t b, Span query, int branch, int size) const {
    int64_t begin = sight.sinks > 0 ? sight.first(b, query.begin) : sight.local(b, query.begin), end = query.end;
    if (branch == kNear)
      begin = std::max(begin, sight.near_begin(query.begin));
    else
      end = std::min(end, sight.near_begin(query.last()));
    return tiles(begin, sight.sink_end(b, query.last()), sight.local(b, query.begin), end, size);
  }
  // The tiles of queries of which some query sees some key by the branch. Tile t begins at i' = prefix + t · size.
  __device__ TileRun query_tiles(int64_t b, Span key, int branch, int size) const {
    const int64_t local_end = sight.local_end(key.last());
    int64_t begin = std::max(key.begin, prefix()), end = sight.document_end(b, key.last());
    if (sight.sinks == 0) end = std::min(end, local_end);
    if (branch == kNear)
      end = std::min(end, sight.near_end(key.last()));
    else
      begin = std::max(begin, sight.near_end(key.begin));
    return tiles(begin - prefix(), local_end - prefix(), sight.document_end(b, key.begin - sight.sinks) - prefix(),
                 end - prefix(), size);
  }
  // Whether every query sees every key, and by this branch. Keys may end beyond the last one, which nobody sees.
  __device__ bool sees_all(int64_t b, Span query, Span key, int branch) const {
    const bool by_branch =
        branch == kNear ? sight.is_near(query.last(), key.begin) : !sight.is_near(query.begin, key.last());
    if (key.last() > query.begin || !by_branch) return false;
    return key.begin >= sight.local(b, query.last()) ||
           (key.begin >= sight.first(b, query.last()) && key.end <= sight.sink_end(b, query.begin));
  }

 private:
  __device__ static TileRun tiles(int64_t begin, int64_t hole, int64_t hole_end, int64_t end, int size) {
    const auto down = [=](int64_t n) { return static_cast<int>(std::max<int64_t>(n, 0) / size); };
    const auto up = [=](int64_t n) { return static_cast<int>((std::max<int64_t>(n, 0) + size - 1) / size); };
    return {down(begin), up(hole), down(hole_end), up(end)};
  }
};

}  // namespace rw
