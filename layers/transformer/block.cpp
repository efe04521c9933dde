#include "layers/transformer/block.hpp"

#include <cmath>

namespace rw {
namespace {

// "Small init" of Nguyen and Salazar, Transformers without Tears, 2019, arXiv 1910.05895: √(2 / 5C).
double init_std(const ModelConfig& config) { return std::sqrt(2.0 / (5.0 * static_cast<double>(config.width))); }

// Projections that write into the residual stream, of which there are 2L: Radford et al., GPT-2, 2019, 2.3.
double init_std_of_branch(const ModelConfig& config) {
  return init_std(config) / std::sqrt(2.0 * static_cast<double>(config.layers));
}

std::string prefix(int64_t index) { return "model.layers." + std::to_string(index) + '.'; }

DrawKey at_site(const Draws& draws, int64_t site) {
  DrawKey key = draws.key;
  key.site = static_cast<uint32_t>(site);
  return key;
}

}  // namespace

static_assert(Layer<Block>);

Block::Block(const ModelConfig& c, int64_t index_)
    : index(index_),
      norm1(c.norm, prefix(index) + "input_layernorm", c.width, c.norm_bias(), c.norm_eps),
      attention(prefix(index) + "self_attn.", c, init_std(c), init_std_of_branch(c)),
      norm2(c.norm, prefix(index) + "post_attention_layernorm", c.width, c.norm_bias(), c.norm_eps),
      mlp(prefix(index) + "mlp.", c.mlp, c.width, c.hidden, c.mlp_bias, init_std(c), init_std_of_branch(c)) {}

void Block::forward(Ctx& ctx, View h1, View h2, View branch, CView x, const Sequence& sequence, const Draws& draws,
                    bool keep, Saved& saved) const {
  const ArenaScope scope(ctx.scratch);
  const auto take = [&] { return (keep ? ctx.saved : ctx.scratch).take(h1.shape, h1.dtype, "block.normed"); };
  const View n1 = take();
  if (x.empty())
    norm1.forward(ctx, n1, {}, h1, {}, saved.norm1);
  else
    norm1.forward(ctx, n1, h1, x, branch, saved.norm1);
  attention.forward(ctx, branch, n1, sequence, saved.attention);
  if (draws.dropout > 0) dropout(ctx, branch, branch, draws.dropout, at_site(draws, 2 * index + 1));
  const View n2 = take();
  norm2.forward(ctx, n2, h2, h1, branch, saved.norm2);
  mlp.forward(ctx, branch, n2, keep, saved.mlp);
  if (draws.dropout > 0) dropout(ctx, branch, branch, draws.dropout, at_site(draws, 2 * index + 2));
  if (!keep) saved.attention.qkv.x = saved.mlp.up.x = {};
}

void Block::backward(Ctx& ctx, View d, const Sequence& sequence, const Draws& draws, Saved& saved, Grad mode) const {
  const ArenaScope scope(ctx.scratch);
  const View dn = ctx.scratch.take(d.shape, d.dtype, "block.dn");
  // The gradient of a branch: that of the stream, through the branch's dropout.
  const auto of_branch = [&](int64_t site) -> CView {
    if (draws.dropout <= 0) return d;
    const View masked = ctx.scratch.take(d.shape, d.dtype, "block.dbranch");
    dropout(ctx, masked, d, draws.dropout, at_site(draws, site));
    return masked;
  };
  const auto normed_again = [&](const Norm& norm, const Norm::Saved& of_norm, CView& x) {
    if (!x.empty()) return;
    const View n = ctx.scratch.take(d.shape, d.dtype, "block.normed");
    norm.again(ctx, n, of_norm);
    x = n;
  };
  {
    const ArenaScope of_mlp(ctx.scratch);
    normed_again(norm2, saved.norm2, saved.mlp.up.x);
    mlp.backward(ctx, dn, of_branch(2 * index + 2), saved.mlp, mode);
  }
  norm2.backward(ctx, d, dn, d, saved.norm2, mode);
  {
    const ArenaScope of_attention(ctx.scratch);
    normed_again(norm1, saved.norm1, saved.attention.qkv.x);
    attention.backward(ctx, dn, of_branch(2 * index + 1), sequence, saved.attention, mode);
  }
  norm1.backward(ctx, d, dn, d, saved.norm1, mode);
}

void Block::decode(Ctx& ctx, View stream, View branch, bool add, const Sequence& sequence, KvCache& cache) const {
  const ArenaScope scope(ctx.saved);
  const View n = ctx.saved.take(stream.shape, stream.dtype, "block.normed");
  Norm::Saved of_norm;
  if (add)
    norm1.forward(ctx, n, stream, stream, branch, of_norm);
  else
    norm1.forward(ctx, n, {}, stream, {}, of_norm);
  attention.decode(ctx, branch, n, sequence, cache);
  norm2.forward(ctx, n, stream, stream, branch, of_norm);
  Mlp::Saved of_mlp;
  mlp.forward(ctx, branch, n, true, of_mlp);
}

}  // namespace rw
