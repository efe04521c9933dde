#include "layers/attention/self_attention.hpp"

#include <cmath>

#include "layers/norm/rms_norm.hpp"

namespace rw {

static_assert(Layer<SelfAttention>);

namespace {

// |x|² / d is far above, or x is of no consequence.
constexpr double kKeyNormEps = 1e-14;

// x / |x| is an RMSNorm without gain, divided by √d: with both the scale of attention is λ / d, with one it stays d^-½.
double scale_of(const ModelConfig& c, bool log_n) {
  const auto d = static_cast<double>(c.head_width);
  if (c.key_norm != KeyNorm::cosine) return 1 / std::sqrt(d);
  const auto n = static_cast<double>(c.trained());
  return 4 * std::log(log_n ? n : n / 2) / d;
}

bool norms_query(KeyNorm kind) { return kind == KeyNorm::query || kind == KeyNorm::cosine; }
bool norms_key(KeyNorm kind) { return kind == KeyNorm::key || kind == KeyNorm::cosine; }

}  // namespace

SelfAttention::SelfAttention(const std::string& prefix, const ModelConfig& c, double init_std, double init_std_out)
    : heads(c.heads),
      kv_heads(c.kv_heads),
      head_width(c.head_width),
      layout(c.rope_layout),
      key_norm(c.key_norm),
      scale(scale_of(c, false)),
      scale_with_log_n(scale_of(c, resolve_positions(c.positions, c.trained(), c.layers).log_n == LogN::trained)),
      qkv({{prefix + "q_proj", heads * head_width},
           {prefix + "k_proj", kv_heads * head_width},
           {prefix + "v_proj", kv_heads * head_width}},
          c.width, c.attention_bias != AttentionBias::none, init_std),
      out({{prefix + "o_proj", c.width}}, heads * head_width, c.attention_bias == AttentionBias::all, init_std_out) {
  if (!c.qk_norm) return;
  q_norm.emplace_back(NormKind::rms, prefix + "q_norm", head_width, false, c.norm_eps);
  k_norm.emplace_back(NormKind::rms, prefix + "k_norm", head_width, false, c.norm_eps);
}

View SelfAttention::Heads::both() const {
  View joined = q;
  joined.shape.dim[static_cast<size_t>(q.shape.rank - 1)] += k.width();
  return joined;
}

AttentionOpt SelfAttention::options(const Sequence& sequence, const Turned& turned) const {
  return {.head_width = head_width,
          .scale = sequence.layer.scaled ? scale_with_log_n : scale,
          .first_key = sequence.first_key,
          .factor = sequence.layer.scaled ? sequence.factor : CView{},
          .q_far = turned.q_far,
          .k_far = turned.k_far,
          .near = std::max<int64_t>(sequence.layer.near, 0),
          .window = sequence.layer.window,
          .sinks = sequence.layer.sinks};
}

// Queries and keys before they are turned. They lie in ctx.saved, in one product, or, when they are normed and the raw
// ones are needed for backward, in a second tensor beside it.
SelfAttention::Heads SelfAttention::project(Ctx& ctx, CView x, const Sequence& sequence, Saved& saved) const {
  const int64_t batch = x.shape.dim[0], length = x.shape.dim[1], of_q = heads * head_width,
                of_k = kv_heads * head_width;
  const View product = ctx.saved.take({batch, length, of_q + 2 * of_k}, x.dtype, "attention.qkv");
  qkv.forward(ctx, product, x, saved.qkv);
  View joined = columns(product, 0, of_q + of_k);
  if (!q_norm.empty() || key_norm != KeyNorm::none) {
    const View normed = ctx.saved.take({batch, length, of_q + of_k}, x.dtype, "attention.normed");
    const View q = columns(normed, 0, of_q), k = columns(normed, of_q, of_k);
    const CView raw_q = columns(product, 0, of_q), raw_k = columns(product, of_q, of_k);
    const auto without_gain = [&](View y, CView from, CView& rstd, bool wanted) {
      if (!wanted) return rope(ctx, y, from, {}, {}, sequence.position, rope_options());  // a copy
      const View statistics =
          ctx.saved.take({from.rows(), from.width() / head_width}, accumulator(x.dtype), "attention.rstd");
      rms_norm_forward(ctx, y, {}, statistics, from, {}, sequence.ones, kKeyNormEps);
      rstd = statistics;
    };
    if (q_norm.empty()) {
      saved.raw_q = raw_q, saved.raw_k = raw_k;
      without_gain(q, raw_q, saved.q_rstd, norms_query(key_norm));
      without_gain(k, raw_k, saved.k_rstd, norms_key(key_norm));
    } else {
      q_norm[0].forward(ctx, q, {}, raw_q, {}, saved.q_norm.emplace());
      k_norm[0].forward(ctx, k, {}, raw_k, {}, saved.k_norm.emplace());
    }
    joined = normed;
  }
  return {columns(joined, 0, of_q), columns(joined, of_q, of_k), columns(product, of_q + of_k, of_k)};
}

// In ctx.scratch. With ReRoPE the far keys are the raw ones, in streaming the near ones.
SelfAttention::Turned SelfAttention::turn(Ctx& ctx, CView q, CView k, const Sequence& sequence,
                                          CView key_position) const {
  const auto turned = [&](CView x, const RotaryTable& table, CView position, const char* what) -> CView {
    if (table.cos.empty()) return x;
    const View y = ctx.scratch.take(x.shape, x.dtype, what);
    rope(ctx, y, x, table.cos, table.sin, position, rope_options());
    return y;
  };
  if (!sequence.layer.rotated) return {q, k, {}, {}};
  Turned result{turned(q, sequence.near, sequence.position, "attention.q"),
                turned(k, sequence.near, key_position, "attention.k"),
                {},
                {}};
  if (sequence.layer.near >= 0) {
    result.q_far = turned(q, sequence.far_query, sequence.position, "attention.q_far");
    const bool as_near = sequence.far_key.cos.data == sequence.near.cos.data;
    result.k_far = as_near ? result.k : turned(k, sequence.far_key, key_position, "attention.k_far");
  }
  return result;
}

void SelfAttention::forward(Ctx& ctx, View y, CView x, const Sequence& sequence, Saved& saved) const {
  const Heads heads_of = project(ctx, x, sequence, saved);
  const int64_t batch = x.shape.dim[0], length = x.shape.dim[1];
  const View o = ctx.saved.take(heads_of.q.shape, x.dtype, "attention.o");
  const View lse = ctx.saved.take({batch, length, heads}, accumulator(x.dtype), "attention.lse");
  {
    const ArenaScope scope(ctx.scratch);
    Turned turned{heads_of.q, heads_of.k, {}, {}};
    if (sequence.layer.near >= 0)
      turned = turn(ctx, heads_of.q, heads_of.k, sequence, sequence.position);
    else if (sequence.layer.rotated)
      rope(ctx, heads_of.both(), heads_of.both(), sequence.near.cos, sequence.near.sin, sequence.position,
           rope_options());
    attention_forward(ctx, o, lse, turned.q, turned.k, heads_of.v, options(sequence, turned));
  }
  out.forward(ctx, y, o, saved.out);
  saved.q = heads_of.q, saved.k = heads_of.k, saved.v = heads_of.v, saved.o = o, saved.lse = lse;
}

void SelfAttention::backward(Ctx& ctx, View dx, CView dy, const Sequence& sequence, const Saved& saved,
                             Grad mode) const {
  const ArenaScope scope(ctx.scratch);
  const int64_t batch = dy.shape.dim[0], length = dy.shape.dim[1], of_q = heads * head_width,
                of_k = kv_heads * head_width;
  const View dproduct = ctx.scratch.take({batch, length, of_q + 2 * of_k}, dy.dtype, "attention.dqkv");
  const View dq = columns(dproduct, 0, of_q), dk = columns(dproduct, of_q, of_k);
  const View both = columns(dproduct, 0, of_q + of_k), dv = columns(dproduct, of_q + of_k, of_k);
  const auto unturn = [&](View to, CView from, const RotaryTable& table, bool add) {
    rope(ctx, to, from, table.cos, table.sin, sequence.position, rope_options(true, add));
  };
  {
    const ArenaScope of_attention(ctx.scratch);
    const View d_o = ctx.scratch.take(saved.o.shape, dy.dtype, "attention.do");
    out.backward(ctx, d_o, dy, saved.out, mode);
    if (sequence.layer.near < 0) {
      const Turned turned{saved.q, saved.k, {}, {}};
      attention_backward(ctx, dq, dk, dv, {}, {}, d_o, saved.o, saved.lse, saved.q, saved.k, saved.v,
                         options(sequence, turned));
      if (sequence.layer.rotated) unturn(both, both, sequence.near, false);
    } else {
      const Turned turned = turn(ctx, saved.q, saved.k, sequence, sequence.position);
      const View dq_far = ctx.scratch.take(dq.shape, dy.dtype, "attention.dq_far");
      const View dk_far = ctx.scratch.take(dk.shape, dy.dtype, "attention.dk_far");
      attention_backward(ctx, dq, dk, dv, dq_far, dk_far, d_o, saved.o, saved.lse, turned.q, turned.k, saved.v,
                         options(sequence, turned));
      unturn(both, both, sequence.near, false);
      unturn(dq, dq_far, sequence.far_query, true);
      unturn(dk, dk_far, sequence.far_key, true);
    }
  }
  if (!q_norm.empty()) {
    q_norm[0].backward(ctx, dq, dq, {}, *saved.q_norm, mode);
    k_norm[0].backward(ctx, dk, dk, {}, *saved.k_norm, mode);
  } else if (key_norm != KeyNorm::none) {
    const auto without_gain = [&](View d, CView from, CView rstd) {
      if (!rstd.empty()) rms_norm_backward(ctx, d, {}, d, {}, from, rstd, sequence.ones, Grad::skip);
    };
    without_gain(dq, saved.raw_q, saved.q_rstd);
    without_gain(dk, saved.raw_k, saved.k_rstd);
  }
  qkv.backward(ctx, dx, dproduct, saved.qkv, mode);
}

void SelfAttention::decode(Ctx& ctx, View y, CView x, const Sequence& sequence, KvCache& cache) const {
  RW_CHECK(x.shape.rank == 3 && x.shape.dim[0] == 1, x);
  Saved saved;
  const Heads heads_of = project(ctx, x, sequence, saved);
  const ArenaScope scope(ctx.scratch);
  cache.make_room(ctx);
  const int64_t fresh = x.shape.dim[1], total = cache.length + fresh;
  std::vector<KvCache::Joined> joined;
  const auto append = [&](View kept, CView from) { return joined.emplace_back(ctx, cache, kept, from).view(); };
  const CView v = append(cache.v, heads_of.v);
  Turned turned;
  if (cache.raw) {
    const CView all = append(cache.k, heads_of.k);
    Sequence by_row = sequence;
    by_row.position = columns(sequence.key_position, cache.length, fresh);
    turned = turn(ctx, heads_of.q, all, by_row, columns(sequence.key_position, 0, total));
  } else {
    turned = turn(ctx, heads_of.q, heads_of.k, sequence, sequence.position);
    turned.k = append(cache.k, turned.k);
    if (!turned.k_far.empty()) turned.k_far = append(cache.k_far, turned.k_far);
  }
  const View o = ctx.saved.take(heads_of.q.shape, x.dtype, "attention.o");
  const View lse = ctx.saved.take({1, fresh, heads}, accumulator(x.dtype), "attention.lse");
  attention_forward(ctx, o, lse, turned.q, turned.k, v, options(sequence, turned));
  out.forward(ctx, y, o, saved.out);
  for (const KvCache::Joined& j : joined) j.keep(ctx, cache);
  cache.length = std::min(total, cache.capacity());
}

}  // namespace rw
