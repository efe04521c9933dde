// What the kernels of attention share: the inputs of a call, tiles of a head's rows, what scores need of a query. Those
// for f32 are in attention_cuda.cu, those for bf16, on tensor cores, in attention_mma_cuda.cu.
#pragma once
#include "layers/attention/attention.hpp"
#include "layers/attention/attention_policy.cuh"

namespace rw {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The inputs of a call, near and far, and where its heads lie. `vectors`: all that is read and written can be moved 16
// bytes at a time.
template <class T>
struct AttentionCall {
  AttentionCall(CView q_, CView k_, CView v_, const AttentionOpt& opt, bool aligned)
      : AttentionCall(AttentionSizes(q_, k_, v_, opt), q_, k_, v_, opt, aligned) {}
  AttentionCall(const AttentionSizes& n, CView q_, CView k_, CView v_, const AttentionOpt& opt, bool aligned)
      : policy{AttentionSight(n.keys, opt), n.queries, opt.factor.as<float>().data, static_cast<float>(opt.scale)},
        q{q_.as<T>(), opt.q_far.as<T>()},
        k{k_.as<T>(), opt.k_far.as<T>()},
        v(v_.as<T>()),
        batch(static_cast<int>(n.batch)),
        heads(static_cast<int>(n.heads)),
        groups(static_cast<int>(n.groups)),
        width(static_cast<int>(n.width)),
        value_width(static_cast<int>(n.value_width)),
        branches(opt.q_far.empty() ? 1 : 2),
        vectors(aligned && width % kVector == 0 && value_width % kVector == 0) {}

  static constexpr int kVector = 16 / sizeof(T);
  AttentionPolicy policy;
  Rows<const T> q[2], k[2], v;
  int batch, heads, groups, width, value_width, branches;
  bool vectors;

  __device__ int group_of(int head) const { return head / (heads / groups); }
};

// What both kernels of backward read beside the inputs.
template <class T>
struct AttentionOuter {
  Rows<const T> do_;
  Rows<const float> lse, projection;
};

// Up to a tile's rows of one head.
template <class T>
struct AttentionStrip {
  T* data;
  int64_t stride;
  int count, width;
};

// A tile of `size` queries of a head, or keys of a group; the last one has fewer.
struct AttentionPiece {
  __device__ AttentionPiece(int64_t b_, int head_, int64_t length, int tile, int size_)
      : b(b_),
        head(head_),
        begin(tile * size_),
        size(size_),
        count(static_cast<int>(std::min<int64_t>(length - begin, size_))),
        row(b * length + begin) {}

  template <class T>
  __device__ AttentionStrip<T> strip(Rows<T> matrix, int width) const {
    return {matrix[row] + head * width, matrix.stride, count, width};
  }
  __device__ Span queries(const AttentionPolicy& policy) const {
    return {policy.prefix() + begin, policy.prefix() + begin + count};
  }
  __device__ Span keys() const { return {begin, begin + size}; }

  int64_t b;
  int head, begin, size, count;
  int64_t row;  // the first, in the matrix
};

// Blocks of the same tile number are neighbours, so that those of one group share what they read.
__device__ inline AttentionPiece piece_of_block(int batch, int heads, int64_t length, int size, bool backwards) {
  const int item = static_cast<int>(blockIdx.x), pair = item % (batch * heads), tile = item / (batch * heads);
  const int tiles = static_cast<int>((length + size - 1) / size);
  return {pair / heads, pair % heads, length, backwards ? tiles - 1 - tile : tile, size};
}
inline dim3 blocks_of_pieces(int batch, int heads, int64_t length, int size) {
  return dim3(static_cast<unsigned>((length + size - 1) / size * batch * heads));
}

// What scores need to know of a query. Beyond the last query all is zero, as in the tiles, and adds nothing.
struct AttentionQuery {
  AttentionQuery() = default;
  __device__ AttentionQuery(const AttentionPolicy& policy, const AttentionPiece& piece, int r, int branch,
                            Rows<const float> of_lse, Rows<const float> of_projection) {
    if (r >= piece.count) return;
    const int i = piece.queries(policy).begin + r;
    keys = policy.keys_of(piece.b, i, branch);
    scale = policy.scale_of(piece.b, i);
    if (of_lse.data) lse = of_lse[piece.row + r][piece.head];
    if (of_projection.data) projection = of_projection[piece.row + r][piece.head];
  }

  SeenKeys keys{};
  float scale = 0, lse = 0, projection = 0;
};

// The kernels for bf16. D of backward is computed.
void attention_mma_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt&);
void attention_mma_backward(Ctx&, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView lse, CView q,
                            CView k, CView v, const AttentionOpt&, CView projection);

}  // namespace rw
