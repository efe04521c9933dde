#include "layers/attention/self_attention.hpp"

#include <cmath>

namespace rw {

static_assert(Layer<SelfAttention>);

SelfAttention::SelfAttention(const std::string& prefix, int64_t width, int64_t heads_, int64_t kv_heads_,
                             int64_t head_width_, RopeLayout layout_, bool qkv_bias, bool out_bias, bool qk_norm,
                             double norm_eps, double init_std, double init_std_out)
    : heads(heads_),
      kv_heads(kv_heads_),
      head_width(head_width_),
      layout(layout_),
      qkv({{prefix + "q_proj", heads * head_width},
           {prefix + "k_proj", kv_heads * head_width},
           {prefix + "v_proj", kv_heads * head_width}},
          width, qkv_bias, init_std),
      out({{prefix + "o_proj", width}}, heads * head_width, out_bias, init_std_out) {
  if (!qk_norm) return;
  q_norm.emplace_back(NormKind::rms, prefix + "q_norm", head_width, false, norm_eps);
  k_norm.emplace_back(NormKind::rms, prefix + "k_norm", head_width, false, norm_eps);
}

AttentionOpt SelfAttention::options(const Sequence& sequence) const {
  return {.head_width = head_width,
          .scale = 1 / std::sqrt(static_cast<double>(head_width)),
          .first_key = sequence.first_key};
}

// The heads as attention wants them. They lie in ctx.saved, in one product, or, when they are normed and the raw ones
// are needed for backward, in a second tensor beside it.
SelfAttention::Heads SelfAttention::project(Ctx& ctx, CView x, const Sequence& sequence, Saved& saved) const {
  const int64_t batch = x.shape.dim[0], length = x.shape.dim[1], of_q = heads * head_width,
                of_k = kv_heads * head_width;
  const View product = ctx.saved.take({batch, length, of_q + 2 * of_k}, x.dtype, "attention.qkv");
  qkv.forward(ctx, product, x, saved.qkv);
  View turned = columns(product, 0, of_q + of_k);
  if (!q_norm.empty()) {
    turned = ctx.saved.take({batch, length, of_q + of_k}, x.dtype, "attention.normed");
    q_norm[0].forward(ctx, columns(turned, 0, of_q), {}, columns(product, 0, of_q), {}, saved.q_norm.emplace());
    k_norm[0].forward(ctx, columns(turned, of_q, of_k), {}, columns(product, of_q, of_k), {}, saved.k_norm.emplace());
  }
  if (!sequence.cos.empty()) rope(ctx, turned, turned, sequence.cos, sequence.sin, sequence.position, layout, false);
  return {columns(turned, 0, of_q), columns(turned, of_q, of_k), columns(product, of_q + of_k, of_k)};
}

void SelfAttention::forward(Ctx& ctx, View y, CView x, const Sequence& sequence, Saved& saved) const {
  const auto [q, k, v] = project(ctx, x, sequence, saved);
  const int64_t batch = x.shape.dim[0], length = x.shape.dim[1];
  const View o = ctx.saved.take(q.shape, x.dtype, "attention.o");
  const View lse = ctx.saved.take({batch, length, heads}, accumulator(x.dtype), "attention.lse");
  attention_forward(ctx, o, lse, q, k, v, options(sequence));
  out.forward(ctx, y, o, saved.out);
  saved.q = q, saved.k = k, saved.v = v, saved.o = o, saved.lse = lse;
}

void SelfAttention::backward(Ctx& ctx, View dx, CView dy, const Sequence& sequence, const Saved& saved,
                             Grad mode) const {
  const ArenaScope scope(ctx.scratch);
  const int64_t batch = dy.shape.dim[0], length = dy.shape.dim[1], of_q = heads * head_width,
                of_k = kv_heads * head_width;
  const View dproduct = ctx.scratch.take({batch, length, of_q + 2 * of_k}, dy.dtype, "attention.dqkv");
  const View dq = columns(dproduct, 0, of_q), dk = columns(dproduct, of_q, of_k);
  {
    const ArenaScope of_attention(ctx.scratch);
    const View d_o = ctx.scratch.take(saved.o.shape, dy.dtype, "attention.do");
    out.backward(ctx, d_o, dy, saved.out, mode);
    attention_backward(ctx, dq, dk, columns(dproduct, of_q + of_k, of_k), d_o, saved.o, saved.lse, saved.q, saved.k,
                       saved.v, options(sequence));
  }
  const View turned = columns(dproduct, 0, of_q + of_k);
  if (!sequence.cos.empty()) rope(ctx, turned, turned, sequence.cos, sequence.sin, sequence.position, layout, true);
  if (!q_norm.empty()) {
    q_norm[0].backward(ctx, dq, dq, {}, *saved.q_norm, mode);
    k_norm[0].backward(ctx, dk, dk, {}, *saved.k_norm, mode);
  }
  qkv.backward(ctx, dx, dproduct, saved.qkv, mode);
}

void SelfAttention::decode(Ctx& ctx, View y, CView x, const Sequence& sequence, KvCache& cache) const {
  RW_CHECK(x.shape.rank == 3 && x.shape.dim[0] == 1, x);
  Saved saved;
  const auto [q, k, v] = project(ctx, x, sequence, saved);
  const int64_t fresh = x.shape.dim[1], total = cache.length + fresh;
  const auto append = [&](View to, CView from) {
    const View rows_of_cache = rows(to, cache.length, fresh);
    if (!ctx.dry)
      visit_dtype<double, float>(from.dtype, [&]<class T>() {
        for (int64_t r = 0; r < fresh; ++r) std::copy_n(from.as<T>()[r], from.width(), rows_of_cache.as<T>()[r]);
      });
    return reshape(rows(to, 0, total), {1, total, to.width()});
  };
  const CView all_k = append(cache.k, k), all_v = append(cache.v, v);
  const View o = ctx.saved.take(q.shape, x.dtype, "attention.o");
  const View lse = ctx.saved.take({1, fresh, heads}, accumulator(x.dtype), "attention.lse");
  attention_forward(ctx, o, lse, q, all_k, all_v, options(sequence));
  out.forward(ctx, y, o, saved.out);
  cache.length = total;
}

}  // namespace rw
