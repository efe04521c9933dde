// Attention in bf16 on tensor cores: FlashAttention-2 in mma.sync. A block of 4 warps works on one tile of queries or
// of keys, its rows, 16 kM to a warp, and goes through tiles of the others, its columns, in two stages: while one is
// worked on, the next is on its way. A product has in each lane of a warp, g = lane / 4 and t = lane % 4,
//
//   sum[m][n][2 h + i]   row 16 m + 8 h + g, column 8 n + 2 t + i
//
// and two neighbours sum[m][2 k], sum[m][2 k + 1], rounded, are the left operand of step k of the next product, which
// so never leaves the registers. What is multiplied by what:
//
//   forward         s = q k^T                  o  += p v
//   query gradient  s = q k^T,  dp = do v^T    dq += ds k
//   key gradient    s = k q^T,  dp = v do^T    dv += p do,  dk += ds q     rows are keys
//
// All operands lie in shared memory as they do in global memory, rows of kWidth elements, zeros beyond the tensor; the
// right one of the second products is transposed by ldmatrix. The 16-byte chunk c of row r lies at c ^ r % 8, so that
// eight rows of one chunk are in different banks. Scores are in units of log2 e: p = 2^(s - lse).
#include "layers/attention/attention_cuda.cuh"

namespace rw {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps, kChunk = 8;
constexpr size_t kMostShared = 163 << 10;  // bytes of a block, sm_80
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

using Call = AttentionCall<bf16>;
using Outer = AttentionOuter<bf16>;
using Piece = AttentionPiece;
using Query = AttentionQuery;

__device__ int thread() { return static_cast<int>(threadIdx.x); }
__device__ int lane() { return thread() % 32; }
__device__ int warp() { return thread() / 32; }

template <int kRows, int kWidth>
struct Tile {
  alignas(128) bf16 at[kRows * kWidth];

  // Of chunk c in row r, in elements.
  __device__ static int place(int r, int c) { return r * kWidth + c / 8 * 64 + (c ^ r) % 8 * kChunk; }
  // `down` rows, a multiple of 8, below and 16 k elements to the right of a place in the first 16 columns.
  __device__ const bf16* from(int place, int down, int k) const {
    return at + down * kWidth + (place ^ k % 4 * 16) + k / 4 * 64;
  }
  __device__ bf16* chunk(int r, int c) { return at + place(r, c); }
};

// Zeros beyond the strip, as far as products look. In vectors it is a copy that somebody has to wait for.
template <int kRows, int kWidth>
__device__ void load(Tile<kRows, kWidth>& tile, const AttentionStrip<const bf16>& strip, bool vectors) {
  const int width = (strip.width + 15) / 16 * 16;
  if (vectors) {
    constexpr int kChunks = kWidth / kChunk, kStep = kThreads / kChunks;
    const int c = thread() % kChunks;
    if (c * kChunk >= width) return;
    const bf16* from = strip.data + thread() / kChunks * strip.stride + c * kChunk;
    for (int row = thread() / kChunks; row < kRows; row += kStep, from += kStep * strip.stride) {
      const bool is_there = row < strip.count && c * kChunk < strip.width;
      copy_async16(tile.chunk(row, c), from, is_there ? 16 : 0);
    }
  } else {
    for (int i = thread(); i < kRows * width; i += kThreads) {
      const int row = i / width, c = i % width;
      const bool is_there = row < strip.count && c < strip.width;
      tile.chunk(row, c / kChunk)[c % kChunk] = is_there ? strip.data[row * strip.stride + c] : bf16();
    }
  }
}

template <int kM, int kN>
struct Sums {
  float at[kM][kN][4] = {};
  __device__ float& operator[](int e) { return at[e / (4 * kN)][e / 4 % kN][e % 4]; }
};
template <int kM, int kSteps>
struct Operand {
  uint32_t at[kM][kSteps][4];
};

// f(e, half, row, column) for each element of sums of this shape that the lane has; half = 2 m + h.
template <int kM, int kN, class F>
__device__ void each(const Sums<kM, kN>&, F&& f) {
  const int row = 16 * kM * warp() + lane() / 4, column = lane() % 4 * 2;
  RW_UNROLL
  for (int e = 0; e < 4 * kM * kN; ++e) {
    const int half = e / (4 * kN) * 2 + e / 2 % 2;
    f(e, half, row + 8 * half, column + e / 4 % kN * 8 + e % 2);
  }
}

template <int kM, int kN>
__device__ Operand<kM, kN / 2> rounded(const Sums<kM, kN>& s) {
  Operand<kM, kN / 2> left;
  for (int m = 0; m < kM; ++m)
    for (int n = 0; n < kN; ++n)
      for (int h = 0; h < 2; ++h)
        left.at[m][n / 2][n % 2 * 2 + h] = pack_bf16(s.at[m][n][2 * h], s.at[m][n][2 * h + 1]);
  return left;
}

// sum[..][n], sum[..][n + 1] += left[..][step] · right, 16 by 16
template <int kM, int kN, int kSteps>
__device__ void multiply(Sums<kM, kN>& sum, int n, const Operand<kM, kSteps>& left, int step,
                         const uint32_t (&right)[4]) {
  for (int i = 0; i < 2; ++i) {
    const uint32_t half[2] = {right[2 * i], right[2 * i + 1]};
    for (int m = 0; m < kM; ++m) mma_m16n8k16_bf16(sum.at[m][n + i], left.at[m][step], half);
  }
}

// rows · columns^T, of this warp's rows
template <int kM, int kColumns, int kRows, int kWidth>
__device__ Sums<kM, kColumns / 8> products(const Tile<kRows, kWidth>& rows, const Tile<kColumns, kWidth>& columns,
                                           int width) {
  Sums<kM, kColumns / 8> s;
  const int of_row = rows.place(16 * kM * warp() + lane() % 16, lane() / 16);
  const int of_column = columns.place(lane() / 16 * 8 + lane() % 8, lane() / 8 % 2);
  RW_UNROLL
  for (int k = 0; k < kWidth / 16; ++k) {
    if (16 * k >= width) break;
    Operand<kM, 1> left;
    for (int m = 0; m < kM; ++m) ldmatrix_x4(left.at[m][0], rows.from(of_row, 16 * m, k));
    for (int n = 0; n < kColumns / 8; n += 2) {
      uint32_t right[4];
      ldmatrix_x4(right, columns.from(of_column, 8 * n, k));
      multiply(s, n, left, 0, right);
    }
  }
  return s;
}

// sum += weights · columns
template <int kM, int kWidth, int kColumns>
__device__ void add_weighted(Sums<kM, kWidth / 8>& sum, const Operand<kM, kColumns / 16>& weights,
                             const Tile<kColumns, kWidth>& columns, int width) {
  const int of_column = columns.place(lane() % 16, lane() / 16);
  RW_UNROLL
  for (int n = 0; n < kWidth / 16; ++n) {
    if (16 * n >= width) break;
    for (int k = 0; k < kColumns / 16; ++k) {
      uint32_t right[4];
      ldmatrix_x4<true>(right, columns.from(of_column, 16 * k, n));
      multiply(sum, 2 * n, weights, k, right);
    }
  }
}

// By way of this warp's rows of `tile`, which no other warp uses.
template <int kM, int kRows, int kWidth>
__device__ void put(const AttentionStrip<bf16>& to, Tile<kRows, kWidth>& tile, const Sums<kM, kWidth / 8>& sum,
                    bool vectors) {
  const Operand<kM, kWidth / 16> pairs = rounded(sum);
  __syncwarp();
  RW_UNROLL
  for (int e = 0; e < kM * kWidth / 4; ++e) {
    const int m = e / (kWidth / 4), n = e / 2 % (kWidth / 8), h = e % 2;
    const int row = 16 * (kM * warp() + m) + 8 * h + lane() / 4;
    if (8 * n < to.width)
      *as_aligned<uint32_t>(tile.chunk(row, n) + lane() % 4 * 2) = pairs.at[m][n / 2][n % 2 * 2 + h];
  }
  __syncwarp();
  const int first = 16 * kM * warp(), count = std::min(16 * kM, to.count - first);
  if (vectors) {
    const int chunks = to.width / kChunk;
    for (int i = lane(); i < count * chunks; i += 32) {
      const int row = first + i / chunks, c = i % chunks;
      store(to.data + row * to.stride + c * kChunk, load<kChunk>(tile.chunk(row, c)));
    }
  } else {
    for (int i = lane(); i < count * to.width; i += 32) {
      const int row = first + i / to.width, c = i % to.width;
      to.data[row * to.stride + c] = tile.chunk(row, c / kChunk)[c % kChunk];
    }
  }
}

// The queries of a tile, scale and lse in units of log2 e.
template <int kCount>
__device__ void load_queries(Query (&rows)[kCount], const AttentionPolicy& policy, const Piece& queries, int branch,
                             Rows<const float> lse, Rows<const float> projection) {
  if (thread() >= kCount) return;
  Query row(policy, queries, thread(), branch, lse, projection);
  row.scale *= kLog2e, row.lse *= kLog2e;
  rows[thread()] = row;
}

// use(head, t, stage) for `heads` heads and each of its tiles. load(head, t, stage) has begun before, the first right
// after `begin`, at a time when nobody reads what they write.
template <class Stage, class Begin, class Load, class Use>
__device__ void stream(Stage (&stages)[2], int heads, const TileRun& run, Begin&& begin, Load&& load, Use&& use) {
  int head = 0, t = run.first(), now = 0;
  if (t >= run.end) return;
  __syncthreads();
  begin();
  load(head, t, stages[now]);
  copy_async_commit();
  while (head < heads) {
    int next_head = head, next = run.next(t);
    if (next >= run.end) ++next_head, next = run.first();
    copy_async_wait<0>();
    __syncthreads();
    if (next_head < heads) {
      load(next_head, next, stages[1 - now]);
      copy_async_commit();
    }
    use(head, t, stages[now]);
    head = next_head, t = next, now = 1 - now;
  }
}

// The rows of a warp.
template <int kM>
__device__ Span of_warp(Span rows) {
  const int begin = rows.begin + 16 * kM * warp();
  return {begin, std::min(begin + 16 * kM, rows.end)};
}
__device__ bool sees_some(Span query, Span key) { return query.begin < query.end && key.begin <= query.last(); }

template <int kColumns, int kWidth>
struct KeyTiles {
  Tile<kColumns, kWidth> k, v;
};

// Tile t of a group's keys and of its values.
template <int kColumns, int kWidth>
__device__ void load_key_tile(KeyTiles<kColumns, kWidth>& tiles, const Call& call, int64_t b, int group, int branch,
                              int t) {
  const Piece key(b, group, call.policy.sight.keys, t, kColumns);
  load(tiles.k, key.strip(call.k[branch], call.width), call.vectors);
  load(tiles.v, key.strip(call.v, call.value_width), call.vectors);
}

template <int kWidth>
struct ForwardShape {
  static constexpr int kM = kWidth == 256 ? 1 : 2, kRows = 16 * kM * kWarps, kColumns = 64;
  using Stage = KeyTiles<kColumns, kWidth>;
  struct Shared {
    Tile<kRows, kWidth> q;
    Stage stages[2];
    Query queries[kRows];
  };
  static_assert(sizeof(Shared) <= kMostShared);
};

// Rows are queries, columns are keys, far ones first.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) attention_mma_forward_kernel(Call call, Rows<bf16> o, Rows<float> lse) {
  using S = ForwardShape<kWidth>;
  using Stage = typename S::Stage;
  constexpr int kM = S::kM;
  auto& shared = *dynamic_shared<typename S::Shared>();
  const AttentionPolicy& policy = call.policy;
  const Piece query = piece_of_block(call.batch, call.heads, policy.queries, S::kRows, true);
  const Span rows = query.queries(policy), mine = of_warp<kM>(rows);
  const int group = call.group_of(query.head);
  float top[2 * kM], sum[2 * kM] = {};
  for (float& v : top) v = -kInfinity;
  Sums<kM, kWidth / 8> out;

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    const auto begin = [&] {
      load(shared.q, query.strip(call.q[branch], call.width), call.vectors);
      load_queries(shared.queries, policy, query, branch, {}, {});
    };
    const auto load_keys = [&](int, int t, Stage& stage) { load_key_tile(stage, call, query.b, group, branch, t); };
    const auto use = [&](int, int t, Stage& stage) {
      const Span key{t * S::kColumns, (t + 1) * S::kColumns};
      if (!sees_some(mine, key)) return;
      auto s = products<kM>(shared.q, stage.k, call.width);
      each(s, [&](int e, int, int row, int) { s[e] *= shared.queries[row].scale; });
      if (!policy.sees_all(query.b, mine, key, branch))
        each(s, [&](int e, int, int row, int column) {
          const SeenKeys keys = shared.queries[row].keys;
          if (!keys.has(key.begin + column)) s[e] = -kInfinity;
        });
      float now[2 * kM], base[2 * kM], shrink[2 * kM];
      for (int half = 0; half < 2 * kM; ++half) now[half] = top[half];
      each(s, [&](int e, int half, int, int) { now[half] = fmaxf(now[half], s[e]); });
      for (int half = 0; half < 2 * kM; ++half) {
        for (int lanes = 1; lanes < 4; lanes *= 2)
          now[half] = fmaxf(now[half], __shfl_xor_sync(kAllLanes, now[half], lanes));
        base[half] = now[half] == -kInfinity ? 0 : now[half];  // nothing seen so far
        shrink[half] = fast_exp2(top[half] - base[half]);
        top[half] = now[half];
        sum[half] *= shrink[half];
      }
      each(s, [&](int e, int half, int, int) {
        s[e] = fast_exp2(s[e] - base[half]);
        sum[half] += s[e];
      });
      each(out, [&](int e, int half, int, int) { out[e] *= shrink[half]; });
      add_weighted(out, rounded(s), stage.v, call.value_width);
    };
    stream(shared.stages, 1, policy.key_tiles(query.b, rows, branch, S::kColumns), begin, load_keys, use);
  }
  for (int half = 0; half < 2 * kM; ++half) {
    for (int lanes = 1; lanes < 4; lanes *= 2) sum[half] += __shfl_xor_sync(kAllLanes, sum[half], lanes);
    const int row = 16 * kM * warp() + 8 * half + lane() / 4;
    if (lane() % 4 == 0 && row < query.count) lse[query.row + row][query.head] = (top[half] + log2f(sum[half])) * kLn2;
  }
  each(out, [&](int e, int half, int, int) { out[e] /= sum[half]; });
  put(query.strip(o, call.value_width), shared.q, out, call.vectors);
}

template <int kWidth>
struct BackwardShape {
  static constexpr int kM = kWidth == 64 ? 2 : 1, kRows = 16 * kM * kWarps, kColumns = kWidth == 128 ? 64 : 32;
  struct OfQueries {  // the rows' tiles are of queries
    using Stage = KeyTiles<kColumns, kWidth>;
    Tile<kRows, kWidth> q, do_;
    Stage stages[2];
    Query queries[kRows];
  };
  struct OfKeys {
    struct Stage {
      Tile<kColumns, kWidth> q, do_;
      Query queries[kColumns];
    };
    Tile<kRows, kWidth> k, v;
    Stage stages[2];
  };
  static_assert(sizeof(OfQueries) <= kMostShared && sizeof(OfKeys) <= kMostShared);
};

// s becomes p. Rows are queries and columns are keys, or the other way round.
template <bool kRowsAreQueries, int kM, int kN>
__device__ void weigh(Sums<kM, kN>& s, const Query* queries, int first_key, bool all) {
  each(s, [&](int e, int, int row, int column) {
    const Query& query = queries[kRowsAreQueries ? row : column];
    s[e] = query.scale * s[e] - query.lse;
  });
  if (!all)
    each(s, [&](int e, int, int row, int column) {
      const SeenKeys keys = queries[kRowsAreQueries ? row : column].keys;
      if (!keys.has(first_key + (kRowsAreQueries ? column : row))) s[e] = -kInfinity;
    });
  each(s, [&](int e, int, int, int) { s[e] = fast_exp2(s[e]); });
}

// dp becomes ds, in units of ln 2.
template <bool kRowsAreQueries, int kM, int kN>
__device__ void differentiate(Sums<kM, kN>& dp, Sums<kM, kN>& p, const Query* queries) {
  each(dp, [&](int e, int, int row, int column) {
    const Query& query = queries[kRowsAreQueries ? row : column];
    dp[e] = query.scale * p[e] * (dp[e] - query.projection);
  });
}

// Rows are queries, columns are keys, far ones first.
template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    attention_mma_query_gradient_kernel(Call call, Outer outer, Rows<bf16> dq_near, Rows<bf16> dq_far) {
  using S = BackwardShape<kWidth>;
  using Stage = typename S::OfQueries::Stage;
  constexpr int kM = S::kM;
  auto& shared = *dynamic_shared<typename S::OfQueries>();
  const AttentionPolicy& policy = call.policy;
  const Piece query = piece_of_block(call.batch, call.heads, policy.queries, S::kRows, true);
  const Span rows = query.queries(policy), mine = of_warp<kM>(rows);
  const int group = call.group_of(query.head);

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    Sums<kM, kWidth / 8> dq;
    const auto begin = [&] {
      load(shared.q, query.strip(call.q[branch], call.width), call.vectors);
      load(shared.do_, query.strip(outer.do_, call.value_width), call.vectors);
      load_queries(shared.queries, policy, query, branch, outer.lse, outer.projection);
    };
    const auto load_keys = [&](int, int t, Stage& stage) { load_key_tile(stage, call, query.b, group, branch, t); };
    const auto use = [&](int, int t, Stage& stage) {
      const Span key{t * S::kColumns, (t + 1) * S::kColumns};
      if (!sees_some(mine, key)) return;
      auto s = products<kM>(shared.q, stage.k, call.width);
      weigh<true>(s, shared.queries, key.begin, policy.sees_all(query.b, mine, key, branch));
      auto ds = products<kM>(shared.do_, stage.v, call.value_width);
      differentiate<true>(ds, s, shared.queries);
      add_weighted(dq, rounded(ds), stage.k, call.width);
    };
    stream(shared.stages, 1, policy.key_tiles(query.b, rows, branch, S::kColumns), begin, load_keys, use);
    each(dq, [&](int e, int, int, int) { dq[e] *= kLn2; });
    put(query.strip(branch == kNear ? dq_near : dq_far, call.width), shared.q, dq, call.vectors);
  }
}

// Rows are keys, columns are queries: of the group's heads one after the other, in ascending order. Of dk and dv, which
// both are sums that stay in registers, the widest heads allow one only.
template <int kWidth, bool kKeys, bool kValues>
__global__ void __launch_bounds__(kThreads)
    attention_mma_key_gradient_kernel(Call call, Outer outer, Rows<bf16> dk_near, Rows<bf16> dk_far, Rows<bf16> dv) {
  using S = BackwardShape<kWidth>;
  using Stage = typename S::OfKeys::Stage;
  constexpr int kM = S::kM;
  auto& shared = *dynamic_shared<typename S::OfKeys>();
  const AttentionPolicy& policy = call.policy;
  const Piece key = piece_of_block(call.batch, call.groups, policy.sight.keys, S::kRows, false);
  const Span rows = key.keys(), mine = of_warp<kM>(rows);
  const int per_group = call.heads / call.groups;
  Sums<kM, kWidth / 8> sum_dv;

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    Sums<kM, kWidth / 8> dk;
    const auto begin = [&] {
      load(shared.k, key.strip(call.k[branch], call.width), call.vectors);
      load(shared.v, key.strip(call.v, call.value_width), call.vectors);
    };
    const auto piece = [&](int head, int t) {
      return Piece(key.b, key.head * per_group + head, policy.queries, t, S::kColumns);
    };
    const auto load_query_tile = [&](int head, int t, Stage& stage) {
      const Piece query = piece(head, t);
      load(stage.q, query.strip(call.q[branch], call.width), call.vectors);
      load(stage.do_, query.strip(outer.do_, call.value_width), call.vectors);
      load_queries(stage.queries, policy, query, branch, outer.lse, outer.projection);
    };
    const auto use = [&](int head, int t, Stage& stage) {
      const Span query = piece(head, t).queries(policy);
      if (!sees_some(query, mine)) return;
      auto s = products<kM>(shared.k, stage.q, call.width);
      weigh<false>(s, stage.queries, rows.begin, policy.sees_all(key.b, query, mine, branch));
      if constexpr (kValues) add_weighted(sum_dv, rounded(s), stage.do_, call.value_width);
      if constexpr (kKeys) {
        auto ds = products<kM>(shared.v, stage.do_, call.value_width);
        differentiate<false>(ds, s, stage.queries);
        add_weighted(dk, rounded(ds), stage.q, call.width);
      }
    };
    stream(shared.stages, per_group, policy.query_tiles(key.b, rows, branch, S::kColumns), begin, load_query_tile, use);
    if constexpr (kKeys) {
      each(dk, [&](int e, int, int, int) { dk[e] *= kLn2; });
      put(key.strip(branch == kNear ? dk_near : dk_far, call.width), shared.k, dk, call.vectors);
    }
  }
  if constexpr (kValues) put(key.strip(dv, call.value_width), shared.v, sum_dv, call.vectors);
}

// Calls f.operator()<kWidth>(), at least as wide as the heads.
template <class F>
void visit_width(const Call& call, F&& f) {
  const int width = std::max(call.width, call.value_width);
  if (width <= 64)
    f.template operator()<64>();
  else if (width <= 128)
    f.template operator()<128>();
  else
    f.template operator()<256>();
}

}  // namespace

void attention_mma_forward(Ctx& ctx, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt) {
  const Call call(q, k, v, opt, rows_aligned(16, o, q, k, v, opt.q_far, opt.k_far));
  visit_width(call, [&]<int kWidth>() {
    using S = ForwardShape<kWidth>;
    launch<attention_mma_forward_kernel<kWidth>>(
        ctx, blocks_of_pieces(call.batch, call.heads, call.policy.queries, S::kRows), dim3(kThreads),
        sizeof(typename S::Shared), call, o.as<bf16>(), lse.as<float>());
  });
}

void attention_mma_backward(Ctx& ctx, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView lse,
                            CView q, CView k, CView v, const AttentionOpt& opt, CView projection) {
  const Call call(q, k, v, opt, rows_aligned(16, dq, dk, dv, dq_far, dk_far, do_, q, k, v, opt.q_far, opt.k_far));
  const Outer outer{do_.as<bf16>(), lse.as<float>(), projection.as<float>()};
  visit_width(call, [&]<int kWidth>() {
    using S = BackwardShape<kWidth>;
    launch<attention_mma_query_gradient_kernel<kWidth>>(
        ctx, blocks_of_pieces(call.batch, call.heads, call.policy.queries, S::kRows), dim3(kThreads),
        sizeof(typename S::OfQueries), call, outer, dq.as<bf16>(), dq_far.as<bf16>());
    const auto of_keys = [&]<bool kKeys, bool kValues>() {
      launch<attention_mma_key_gradient_kernel<kWidth, kKeys, kValues>>(
          ctx, blocks_of_pieces(call.batch, call.groups, call.policy.sight.keys, S::kRows), dim3(kThreads),
          sizeof(typename S::OfKeys), call, outer, dk.as<bf16>(), dk_far.as<bf16>(), dv.as<bf16>());
    };
    if constexpr (kWidth == 256) {
      of_keys.template operator()<true, false>();
      of_keys.template operator()<false, true>();
    } else {
      of_keys.template operator()<true, true>();
    }
  });
}

}  // namespace rw
