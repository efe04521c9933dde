#include "layers/attention/attention_cuda.cuh"

namespace rw {
namespace {

// A block works on one tile of queries or of keys, its rows, and goes through tiles of the others, its columns. Tensors
// pass through shared memory in pieces of kTile rows and kTile of their columns, so that any width fits. Products have
// 4 x 4 results per thread: rows 4 y + 0 .. 3, and columns x + 16 k of scores or 4 x + 0 .. 3 of a piece.
constexpr int kTile = 64, kLanes = 16, kThreads = kLanes * kLanes;
using Call = AttentionCall<float>;
using Outer = AttentionOuter<float>;
using Piece = AttentionPiece;
using Strip = AttentionStrip<const float>;

__device__ int x() { return static_cast<int>(threadIdx.x); }
__device__ int y() { return static_cast<int>(threadIdx.y); }

struct Tile {
  float at[kTile][kTile + 4];  // neighbouring rows begin in other banks, and at multiples of 16 bytes
};

class Staged {
 public:
  __device__ explicit Staged(Tile& tile_) : tile(tile_) {}

  // Columns from c on, zeros beyond the strip. Every thread has passed a barrier, and will pass one.
  __device__ void hold(const Strip& strip, int c, bool vectors) {
    const float* const from = strip.data + c;
    if (held_ == from && width_ == strip.width) return;  // values may be the first columns of keys
    held_ = from, width_ = strip.width;
    Vec<float, 4> v[kTile / kLanes] = {};  // all on their way before the first is stored
    const int column = 4 * x();
    for (int n = 0; n < kTile / kLanes; ++n) {
      const int row = y() + kLanes * n, left = row < strip.count ? strip.width - c - column : 0;
      const float* const at = from + row * strip.stride + column;
      if (vectors) {
        if (left > 0) v[n] = load<4>(at);
      } else {
        for (int i = 0; i < 4; ++i)
          if (i < left) v[n].at[i] = at[i];
      }
    }
    for (int n = 0; n < kTile / kLanes; ++n) store(&tile.at[y() + kLanes * n][column], v[n]);
  }

  Tile& tile;

 private:
  const float* held_ = nullptr;
  int width_ = 0;
};

// s[r][k] = <row 4 y + r, column x + 16 k>
__device__ void products(float (&s)[4][4], Staged& rows, const Strip& row, Staged& columns, const Strip& column,
                         bool vectors) {
  for (auto& of_row : s)
    for (float& v : of_row) v = 0;
  for (int c = 0; c < row.width; c += kTile) {
    __syncthreads();
    rows.hold(row, c, vectors), columns.hold(column, c, vectors);
    __syncthreads();
    if (4 * y() >= row.count) continue;
    for (int i = 0; i < kTile && c + i < row.width; i += 4) {
      Vec<float, 4> of_row[4];
      for (int r = 0; r < 4; ++r) of_row[r] = load<4>(&rows.tile.at[4 * y() + r][i]);
      for (int k = 0; k < 4; ++k) {
        const auto of_column = load<4>(&columns.tile.at[x() + kLanes * k][i]);
        for (int r = 0; r < 4; ++r)
          for (int n = 0; n < 4; ++n) s[r][k] += of_row[r].at[n] * of_column.at[n];
      }
    }
  }
}

// f(c) for every piece; unrolled, for what is indexed with c stays in registers
template <int kPieces, class F>
__device__ void each_piece(F&& f) {
  [&]<int... c>(std::integer_sequence<int, c...>) { (f(c), ...); }
  (std::make_integer_sequence<int, kPieces>());
}

// sum[c][r][n] += Σ_j weights[4 y + r][j] · column_j[c · kTile + 4 x + n], for `rows` rows
template <int kPieces>
__device__ void add_weighted(float (&sum)[kPieces][4][4], const Tile& weights, int rows, Staged& columns,
                             const Strip& column, bool vectors) {
  each_piece<kPieces>([&](int c) {
    if (c * kTile >= column.width) return;
    __syncthreads();
    columns.hold(column, c * kTile, vectors);
    __syncthreads();
    if (4 * y() >= rows || c * kTile + 4 * x() >= column.width) return;
    for (int j = 0; j < column.count; j += 4) {
      Vec<float, 4> w[4];
      for (int r = 0; r < 4; ++r) w[r] = load<4>(&weights.at[4 * y() + r][j]);
      for (int k = 0; k < 4; ++k) {
        const auto v = load<4>(&columns.tile.at[j + k][4 * x()]);
        for (int r = 0; r < 4; ++r)
          for (int n = 0; n < 4; ++n) sum[c][r][n] += w[r].at[k] * v.at[n];
      }
    }
  });
}

// Row 4 y + r of `to` is sum[..][r] / divisor[r].
template <int kPieces>
__device__ void put(const AttentionStrip<float>& to, const float (&sum)[kPieces][4][4], const float (&divisor)[4],
                    bool vectors) {
  each_piece<kPieces>([&](int c) {
    const int column = c * kTile + 4 * x();
    for (int r = 0; r < 4; ++r) {
      if (4 * y() + r >= to.count) break;
      float* const at = to.data + (4 * y() + r) * to.stride + column;
      Vec<float, 4> v;
      for (int n = 0; n < 4; ++n) v.at[n] = sum[c][r][n] / divisor[r];
      if (vectors && column < to.width)
        store(at, v);
      else
        for (int n = 0; n < 4; ++n)
          if (column + n < to.width) at[n] = v.at[n];
    }
  });
}

__device__ float max_of_row(float v) {  // over the threads of one y
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, lanes));
  return v;
}
__device__ float sum_of_row(float v) {
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) v += __shfl_xor_sync(kAllLanes, v, lanes);
  return v;
}

template <int kStrips>
struct Shared {
  Tile rows[kStrips], columns, weights;
  AttentionQuery queries[kTile];
};

// Every thread has passed a barrier since it last read them, and will pass one.
__device__ void load_queries(AttentionQuery (&rows)[kTile], const AttentionPolicy& policy,
                             const AttentionPiece& queries, int branch, Rows<const float> lse,
                             Rows<const float> projection) {
  const int r = y() * kLanes + x();
  if (r < kTile) rows[r] = AttentionQuery(policy, queries, r, branch, lse, projection);
}

// Rows are queries, columns are keys, far ones first.
template <int kPieces>
__global__ void __launch_bounds__(kThreads, kPieces == 4 ? 1 : 2)
    attention_forward_kernel(Call call, Rows<float> o, Rows<float> lse) {
  auto& shared = *dynamic_shared<Shared<1>>();
  const AttentionPolicy& policy = call.policy;
  const Piece query = piece_of_block(call.batch, call.heads, policy.queries, kTile, true);
  const Span rows = query.queries(policy);
  Staged of_rows(shared.rows[0]), of_columns(shared.columns);
  float top[4], sum[4] = {}, out[kPieces][4][4] = {};
  for (float& v : top) v = -kInfinity;

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    load_queries(shared.queries, policy, query, branch, {}, {});
    const TileRun run = policy.key_tiles(query.b, rows, branch, kTile);
    for (int t = run.first(); t < run.end; t = run.next(t)) {
      const Piece key(query.b, call.group_of(query.head), policy.sight.keys, t, kTile);
      float s[4][4];
      products(s, of_rows, query.strip(call.q[branch], call.width), of_columns, key.strip(call.k[branch], call.width),
               call.vectors);

      const bool all = policy.sees_all(query.b, rows, key.keys(), branch);
      for (int r = 0; r < 4; ++r) {
        const AttentionQuery& row = shared.queries[4 * y() + r];
        float now = top[r];
        for (int k = 0; k < 4; ++k) {
          const bool seen = all || row.keys.has(key.begin + x() + kLanes * k);
          s[r][k] = seen ? row.scale * s[r][k] : -kInfinity;
          now = fmaxf(now, s[r][k]);
        }
        now = max_of_row(now);
        const float base = now == -kInfinity ? 0 : now;  // nothing seen so far
        const float shrink = expf(top[r] - base);
        top[r] = now;
        sum[r] *= shrink;
        for (int k = 0; k < 4; ++k) {
          const float p = expf(s[r][k] - base);
          shared.weights.at[4 * y() + r][x() + kLanes * k] = p;
          sum[r] += p;
        }
        for (auto& piece : out)
          for (float& v : piece[r]) v *= shrink;
      }
      add_weighted(out, shared.weights, query.count, of_columns, key.strip(call.v, call.value_width), call.vectors);
    }
  }
  for (int r = 0; r < 4; ++r) {
    sum[r] = sum_of_row(sum[r]);
    if (x() == 0 && 4 * y() + r < query.count) lse[query.row + 4 * y() + r][query.head] = top[r] + logf(sum[r]);
  }
  put(query.strip(o, call.value_width), out, sum, call.vectors);
}

// D_i = <do_i, o_i>, [B · Tq, H]: a team for each.
template <class T>
__global__ void attention_projection_kernel(Rows<float> projection, Rows<const T> do_, Rows<const T> o, int64_t items,
                                            int heads, int width) {
  const int64_t item = row_of_team(), row = item / heads, head = item % heads;
  if (item >= items) return;
  float sum = 0;
  for (int c = x(); c < width; c += static_cast<int>(blockDim.x))
    sum += to_float(do_[row][head * width + c]) * to_float(o[row][head * width + c]);
  sum = team_sum(sum);
  if (x() == 0) projection[row][head] = sum;
}

struct Pair {
  float p, ds;
};

__device__ Pair pair_of(bool seen, const AttentionQuery& query, float score, float of_value) {
  const float p = expf(seen ? query.scale * score - query.lse : -kInfinity);
  return {p, query.scale * p * (of_value - query.projection)};
}

// Rows are queries, columns are keys, far ones first.
template <int kPieces>
__global__ void __launch_bounds__(kThreads, kPieces == 4 ? 1 : 2)
    attention_query_gradient_kernel(Call call, Outer outer, Rows<float> dq_near, Rows<float> dq_far) {
  auto& shared = *dynamic_shared<Shared<2>>();
  const AttentionPolicy& policy = call.policy;
  const Piece query = piece_of_block(call.batch, call.heads, policy.queries, kTile, true);
  const Span rows = query.queries(policy);
  Staged of_q(shared.rows[0]), of_do(shared.rows[1]), of_columns(shared.columns);

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    load_queries(shared.queries, policy, query, branch, outer.lse, outer.projection);
    float dq[kPieces][4][4] = {};
    const TileRun run = policy.key_tiles(query.b, rows, branch, kTile);
    for (int t = run.first(); t < run.end; t = run.next(t)) {
      const Piece key(query.b, call.group_of(query.head), policy.sight.keys, t, kTile);
      const Strip k = key.strip(call.k[branch], call.width);
      float s[4][4], of_value[4][4];
      products(of_value, of_do, query.strip(outer.do_, call.value_width), of_columns,
               key.strip(call.v, call.value_width), call.vectors);
      products(s, of_q, query.strip(call.q[branch], call.width), of_columns, k, call.vectors);

      const bool all = policy.sees_all(query.b, rows, key.keys(), branch);
      for (int r = 0; r < 4; ++r) {
        const AttentionQuery& row = shared.queries[4 * y() + r];
        for (int n = 0; n < 4; ++n) {
          const bool seen = all || row.keys.has(key.begin + x() + kLanes * n);
          shared.weights.at[4 * y() + r][x() + kLanes * n] = pair_of(seen, row, s[r][n], of_value[r][n]).ds;
        }
      }
      add_weighted(dq, shared.weights, query.count, of_columns, k, call.vectors);
    }
    put(query.strip(branch == kNear ? dq_near : dq_far, call.width), dq, {1, 1, 1, 1}, call.vectors);
  }
}

// Rows are keys, columns are queries: of the group's heads one after the other, in ascending order.
template <int kPieces>
__global__ void __launch_bounds__(kThreads, kPieces == 1 ? 2 : 1)
    attention_key_gradient_kernel(Call call, Outer outer, Rows<float> dk_near, Rows<float> dk_far, Rows<float> dv) {
  auto& shared = *dynamic_shared<Shared<2>>();
  const AttentionPolicy& policy = call.policy;
  const Piece key = piece_of_block(call.batch, call.groups, policy.sight.keys, kTile, false);
  const Strip v = key.strip(call.v, call.value_width);
  const int per_group = call.heads / call.groups;
  Staged of_k(shared.rows[0]), of_v(shared.rows[1]), of_columns(shared.columns);
  float sum_dv[kPieces][4][4] = {};

  for (int branch = call.branches - 1; branch >= 0; --branch) {
    const Strip k = key.strip(call.k[branch], call.width);
    float dk[kPieces][4][4] = {};
    const TileRun run = policy.query_tiles(key.b, key.keys(), branch, kTile);
    for (int head = key.head * per_group; head < (key.head + 1) * per_group; ++head)
      for (int t = run.first(); t < run.end; t = run.next(t)) {
        const Piece query(key.b, head, policy.queries, t, kTile);
        const Strip q = query.strip(call.q[branch], call.width), do_ = query.strip(outer.do_, call.value_width);
        float s[4][4], of_value[4][4];
        load_queries(shared.queries, policy, query, branch, outer.lse, outer.projection);
        products(s, of_k, k, of_columns, q, call.vectors);
        products(of_value, of_v, v, of_columns, do_, call.vectors);

        const bool all = policy.sees_all(key.b, query.queries(policy), key.keys(), branch);
        for (int r = 0; r < 4; ++r)
          for (int n = 0; n < 4; ++n) {
            const AttentionQuery& column = shared.queries[x() + kLanes * n];
            const bool seen = all || column.keys.has(key.begin + 4 * y() + r);
            const Pair pair = pair_of(seen, column, s[r][n], of_value[r][n]);
            shared.weights.at[4 * y() + r][x() + kLanes * n] = pair.p, s[r][n] = pair.ds;
          }
        add_weighted(sum_dv, shared.weights, key.count, of_columns, do_, call.vectors);
        __syncwarp();  // weights of a row are written and read by one warp
        for (int r = 0; r < 4; ++r)
          for (int n = 0; n < 4; ++n) shared.weights.at[4 * y() + r][x() + kLanes * n] = s[r][n];
        add_weighted(dk, shared.weights, key.count, of_columns, q, call.vectors);
      }
    put(key.strip(branch == kNear ? dk_near : dk_far, call.width), dk, {1, 1, 1, 1}, call.vectors);
  }
  put(key.strip(dv, call.value_width), sum_dv, {1, 1, 1, 1}, call.vectors);
}

// Calls f.operator()<kPieces>(), as many as the wider of the heads' rows has.
template <class F>
void visit_pieces(const Call& call, F&& f) {
  const int width = std::max(call.width, call.value_width);
  if (width <= kTile)
    f.template operator()<1>();
  else if (width <= 2 * kTile)
    f.template operator()<2>();
  else
    f.template operator()<4>();
}

}  // namespace

void cuda::attention_forward(Ctx& ctx, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt, View) {
  if (q.dtype == DType::bf16) return attention_mma_forward(ctx, o, lse, q, k, v, opt);
  const Call call(q, k, v, opt, rows_aligned(16, o, q, k, v, opt.q_far, opt.k_far));
  visit_pieces(call, [&]<int kPieces>() {
    launch<attention_forward_kernel<kPieces>>(ctx, blocks_of_pieces(call.batch, call.heads, call.policy.queries, kTile),
                                              dim3(kLanes, kLanes), sizeof(Shared<1>), call, o.as<float>(),
                                              lse.as<float>());
  });
}

void cuda::attention_backward(Ctx& ctx, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o,
                              CView lse, CView q, CView k, CView v, const AttentionOpt& opt, View projection) {
  const AttentionSizes n(q, k, v, opt);
  const dim3 team(32, kTeams), threads(kLanes, kLanes);
  const int64_t items = projection.rows() * n.heads;
  visit_dtype<float, bf16>(q.dtype, [&]<class T>() {
    launch<attention_projection_kernel<T>>(ctx, grid_of_teams(items, team), team, 0, projection.as<float>(),
                                           do_.as<T>(), o.as<T>(), items, static_cast<int>(n.heads),
                                           static_cast<int>(n.value_width));
  });
  if (q.dtype == DType::bf16)
    return attention_mma_backward(ctx, dq, dk, dv, dq_far, dk_far, do_, lse, q, k, v, opt, projection);
  const Call call(q, k, v, opt, rows_aligned(16, dq, dk, dv, dq_far, dk_far, do_, q, k, v, opt.q_far, opt.k_far));
  const Outer outer{do_.as<float>(), lse.as<float>(), CView(projection).as<float>()};
  visit_pieces(call, [&]<int kPieces>() {
    launch<attention_query_gradient_kernel<kPieces>>(
        ctx, blocks_of_pieces(call.batch, call.heads, call.policy.queries, kTile), threads, sizeof(Shared<2>), call,
        outer, dq.as<float>(), dq_far.as<float>());
    launch<attention_key_gradient_kernel<kPieces>>(
        ctx, blocks_of_pieces(call.batch, call.groups, call.policy.sight.keys, kTile), threads, sizeof(Shared<2>), call,
        outer, dk.as<float>(), dk_far.as<float>(), dv.as<float>());
  });
}

}  // namespace rw
