#include "core/device/vocabulary.cuh"
#include "core/tensor/indices.hpp"
#include "layers/embedding/embedding.hpp"

namespace rw {
namespace {

constexpr int kTile = EmbeddingScratch::kTile, kDigits = EmbeddingScratch::kDigits, kSpan = EmbeddingScratch::kSpan;
constexpr int kDigitBits = 8;
static_assert(kDigits == 1 << kDigitBits && kSpan <= 32);

// One team for each row.
template <class T, int N>
__global__ void embedding_forward_kernel(Rows<T> y, Indices id, Rows<const T> table, int64_t rows, int width,
                                         int64_t ids, bool accumulate) {
  const int64_t r = row_of_team();
  if (r >= rows) return;
  const int64_t i = id[r];
  const bool known = 0 <= i && i < ids;
  for (int c = static_cast<int>(threadIdx.x) * N; c < width; c += static_cast<int>(blockDim.x) * N) {
    Vec<T, N> out;
    for (int k = 0; k < N; ++k) out.set(k, kNaN);
    if (known) out = load<N>(table[i] + c);
    if (accumulate) {
      const auto before = load<N>(y[r] + c);
      for (int k = 0; k < N; ++k) out.set(k, before[k] + out[k]);
    }
    store(y[r] + c, out);
  }
}

struct Token {
  int id, row;
};

// What a digit is sorted by. The first sort sees the ids as they are, drops those outside [0, ids), and leaves the
// number of pairs at `left`; later ones read pairs.
struct Tokens {
  Indices id;
  int64_t ids;
  int rows;
  const Token* pairs;
  const int* left;
  int shift;

  __device__ int in_tile(int begin) const {
    const int rest = (pairs ? *left : rows) - begin;
    return rest < kTile ? rest : kTile;
  }
  __device__ Token operator[](int at) const { return pairs ? pairs[at] : Token{static_cast<int>(id[at]), at}; }
  __device__ int digit(Token t) const { return 0 <= t.id && t.id < ids ? t.id >> shift & (kDigits - 1) : -1; }
};

// counts[tile][digit]: how many tokens of a tile have this digit. One block for each tile, one thread for each digit.
__global__ void embedding_count_kernel(int* counts, Tokens from) {
  __shared__ int digit[kTile];
  const int begin = static_cast<int>(blockIdx.x) * kTile, mine = static_cast<int>(threadIdx.x);
  const int size = from.in_tile(begin);
  for (int i = mine; i < size; i += kDigits) digit[i] = from.digit(from[begin + i]);
  __syncthreads();
  int n = 0;
  for (int i = 0; i < size; ++i) n += digit[i] == mine;
  counts[int64_t{blockIdx.x} * kDigits + mine] = n;
}

// Tokens in the order of their digit, and in that of `from` where digits are equal. Blocks and threads as above: a
// thread puts the tokens of its digit after those of smaller digits and those of its own in earlier tiles.
__global__ void embedding_sort_kernel(Token* to, int* left, const int* counts, Tokens from) {
  __shared__ Token token[kTile];
  __shared__ int digit[kTile], of_digit[kDigits];
  const int begin = static_cast<int>(blockIdx.x) * kTile, mine = static_cast<int>(threadIdx.x);
  const int size = from.in_tile(begin);
  for (int i = mine; i < size; i += kDigits) {
    token[i] = from[begin + i];
    digit[i] = from.digit(token[i]);
  }
  int earlier = 0, all = 0;
  for (unsigned tile = 0; tile < gridDim.x; ++tile) {
    const int n = counts[int64_t{tile} * kDigits + mine];
    all += n;
    if (tile < blockIdx.x) earlier += n;
  }
  of_digit[mine] = all;
  __syncthreads();
  int at = earlier;
  for (int d = 0; d < mine; ++d) at += of_digit[d];
  if (!from.pairs && blockIdx.x == 0 && mine == kDigits - 1) *left = at + all;
  for (int i = 0; i < size; ++i)
    if (digit[i] == mine) to[at++] = token[i];
}

template <int N>
__global__ void embedding_zero_kernel(Rows<float> dtable, int64_t rows, int width) {
  const int64_t r = row_of_team();
  if (r >= rows) return;
  for (int c = static_cast<int>(threadIdx.x) * N; c < width; c += static_cast<int>(blockDim.x) * N)
    store(dtable[r] + c, Vec<float, N>{});
}

// One team for each span of sorted tokens: adds up the rows of each run of equal ids, in the order of the rows. The
// sum goes to dtable where the run begins in the span, else to `partial`.
template <class T, int N>
__global__ void embedding_backward_kernel(Rows<float> dtable, Rows<float> partial, Rows<const T> dy,
                                          const Token* sorted, const int* left, int width, bool accumulate) {
  __shared__ Token of_team[kTeams][kSpan];
  Token* const token = of_team[threadIdx.y];
  const int64_t span = row_of_team();
  const int first = static_cast<int>(threadIdx.x),
            size = static_cast<int>(std::min<int64_t>(kSpan, *left - span * kSpan));
  if (first < size) token[first] = sorted[span * kSpan + first];
  __syncthreads();
  if (size <= 0) return;
  const int before = span > 0 ? sorted[span * kSpan - 1].id : -1;
  for (int c = first * N; c < width; c += static_cast<int>(blockDim.x) * N)
    for (int i = 0; i < size;) {
      const int id = token[i].id;
      const bool begins = i > 0 || id != before;
      float sum[N] = {};
      if (begins && accumulate) {
        const auto there = load<N>(dtable[id] + c);
        for (int k = 0; k < N; ++k) sum[k] = there[k];
      }
      do {
        const auto d = load<N>(dy[token[i].row] + c);
        for (int k = 0; k < N; ++k) sum[k] += d[k];
      } while (++i < size && token[i].id == id);
      Vec<float, N> out;
      for (int k = 0; k < N; ++k) out.set(k, sum[k]);
      store((begins ? dtable[id] : partial[span]) + c, out);
    }
}

// dtable[i] += Σ partial of the spans into which the run of i goes on. A block for each span in which such a run begins
// and each 32 · N columns; lane l adds partials l, l + kTeams, ... and the lanes are added in order.
template <int N>
__global__ void embedding_join_kernel(Rows<float> dtable, Rows<const float> partial, const Token* sorted,
                                      const int* left, int width) {
  __shared__ Vec<float, N> of_lane[kTeams][32];
  const int64_t next = int64_t{blockIdx.x} + 1, end = (*left + kSpan - 1) / kSpan;
  if (next >= end) return;
  const int id = sorted[next * kSpan].id;
  if (sorted[next * kSpan - 1].id != id || (next > 1 && sorted[(next - 1) * kSpan - 1].id == id)) return;
  const unsigned column = threadIdx.x, lane = threadIdx.y;
  const int c = static_cast<int>(blockIdx.y * 32 + column) * N;
  Vec<float, N> sum{};
  if (c < width)
    for (int64_t span = next + lane; span < end && sorted[span * kSpan].id == id; span += kTeams) {
      const auto part = load<N>(partial[span] + c);
      for (int k = 0; k < N; ++k) sum.at[k] += part[k];
    }
  of_lane[lane][column] = sum;
  __syncthreads();
  if (lane > 0 || c >= width) return;
  auto total = load<N>(dtable[id] + c);
  for (unsigned l = 0; l < kTeams; ++l)
    for (int k = 0; k < N; ++k) total.set(k, total[k] + of_lane[l][column][k]);
  store(dtable[id] + c, total);
}

}  // namespace

void cuda::embedding_forward(Ctx& ctx, View y, CView id, CView table, Grad store) {
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(y.width(), N);
    launch<embedding_forward_kernel<T, N>>(ctx, grid_of_teams(y.rows(), block), block, 0, y.as<T>(), Indices(id),
                                           table.as<T>(), y.rows(), static_cast<int>(y.width()), table.rows(),
                                           store == Grad::accumulate);
  };
  visit_vector(start, y, table);
}

void cuda::embedding_backward(Ctx& ctx, View dtable, CView dy, CView id, Grad store, EmbeddingScratch scratch) {
  const int64_t ids = dtable.rows(), tiles = scratch.counts.rows() - 1, spans = scratch.partial.rows();
  const int width = static_cast<int>(dy.width());
  int* const counts = scratch.counts.as<int32_t>().data;
  int* const left = counts + tiles * kDigits;
  const auto pairs = [&](int half) {
    return reinterpret_cast<Token*>(scratch.tokens.as<int32_t>().data) + half * dy.rows();
  };

  Tokens from{Indices(id), ids, static_cast<int>(dy.rows()), nullptr, left, 0};
  for (int half = 0; from.shift == 0 || (ids - 1) >> from.shift > 0; half = 1 - half, from.shift += kDigitBits) {
    const dim3 grid(static_cast<unsigned>(tiles)), block(kDigits);
    launch<embedding_count_kernel>(ctx, grid, block, 0, counts, from);
    launch<embedding_sort_kernel>(ctx, grid, block, 0, pairs(half), left, counts, from);
    from.pairs = pairs(half);
  }
  const auto start = [&]<class T, int N>() {
    const dim3 block = row_teams(width, N);
    if (store == Grad::overwrite)
      launch<embedding_zero_kernel<N>>(ctx, grid_of_teams(ids, block), block, 0, dtable.as<float>(), ids, width);
    launch<embedding_backward_kernel<T, N>>(ctx, grid_of_teams(spans, block), block, 0, dtable.as<float>(),
                                            scratch.partial.as<float>(), dy.as<T>(), from.pairs, left, width,
                                            store == Grad::accumulate);
    const dim3 join(static_cast<unsigned>(spans), static_cast<unsigned>((width + 32 * N - 1) / (32 * N)));
    launch<embedding_join_kernel<N>>(ctx, join, dim3(32, kTeams), 0, dtable.as<float>(),
                                     CView(scratch.partial).as<float>(), from.pairs, left, width);
  };
  visit_vector(start, dy, dtable, scratch.partial);
}

}  // namespace rw
