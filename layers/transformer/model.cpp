#include "layers/transformer/model.hpp"

#include <cmath>

#include "layers/embedding/embedding.hpp"
#include "layers/loss/linear_cross_entropy.hpp"
#include "layers/rotary/frequencies.hpp"

namespace rw {
namespace {

Param table(std::string name, int64_t rows, int64_t width, double init_std) {
  return {.parts = {{std::move(name), rows}}, .shape = {rows, width}, .init_std = init_std};
}

// Site of the embedding's dropout; the blocks have 1, 2, 3, ...
constexpr uint32_t kEmbeddingSite = 0;

DrawKey embedding_key(const Draws& draws) {
  DrawKey key = draws.key;
  key.site = kEmbeddingSite;
  return key;
}

}  // namespace

Model::Model(const ModelConfig& c)
    : config(c),
      embedding(table("model.embed_tokens.weight", c.vocab, c.width, 0.02)),  // GPT-2, 2019
      norm(c.norm, "model.norm", c.width, c.norm_bias(), c.norm_eps) {
  RW_CHECK(c.vocab > 0 && c.layers > 0 && c.width > 0 && c.hidden > 0 && c.context > 0, c.vocab, c.layers, c.width,
           c.hidden, c.context);
  RW_CHECK(c.heads > 0 && c.kv_heads > 0 && c.heads % c.kv_heads == 0, c.heads, c.kv_heads);
  RW_CHECK(c.head_width > 0 && (c.positions != PositionKind::rope || c.head_width % 2 == 0), c.head_width);
  if (c.positions == PositionKind::learned)
    position_embedding.push_back(table("model.embed_positions.weight", c.context, c.width, 0.02));
  for (int64_t l = 0; l < c.layers; ++l) blocks.emplace_back(c, l);
  if (!c.tied) head.push_back(table("lm_head.weight", c.vocab, c.width, 0.02));
}

void Model::prepare_positions(Device device, DType dtype, int64_t positions) {
  if (config.positions != PositionKind::rope) return;
  const Shape shape{positions, config.head_width / 2};
  if (cos_.view().shape == shape && cos_.view().dtype == dtype) return;
  cos_ = Buffer(device, shape, dtype);
  sin_ = Buffer(device, shape, dtype);
  rope_table(cos_, sin_, rope_frequencies(config.rope_base, config.head_width));
}

Sequence Model::sequence(const Batch& batch) const {
  Sequence s;
  s.position = batch.position, s.first_key = batch.first_key;
  if (config.positions == PositionKind::rope) s.cos = cos_, s.sin = sin_;
  return s;
}

void Model::embed(Ctx& ctx, View stream, const Batch& batch, const Draws& draws) const {
  embedding_forward(ctx, stream, batch.token, embedding.value, Grad::overwrite);
  for (const Param& p : position_embedding) embedding_forward(ctx, stream, batch.position, p.value, Grad::accumulate);
  if (draws.dropout > 0) dropout(ctx, stream, stream, draws.dropout, embedding_key(draws));
}

void Model::forward_backward(Ctx& ctx, View nll, const Batch& batch, const Draws& draws, double scale, Grad mode,
                             Recompute recompute) const {
  RW_CHECK(mode != Grad::skip);
  const ArenaScope saved_scope(ctx.saved), scratch_scope(ctx.scratch);
  const Shape shape{batch.token.shape.dim[0], batch.token.shape.dim[1], config.width};
  const DType dtype = embedding.value.dtype;
  const Sequence seq = sequence(batch);
  const bool again = recompute == Recompute::block, keep = recompute != Recompute::norms;

  const View branch = ctx.scratch.take(shape, dtype, "model.branch");
  const View d = ctx.scratch.take(shape, dtype, "model.d");  // the stream's gradient; before that, see below
  std::vector<View> stream;                                  // before each block
  std::vector<Block::Saved> saved(blocks.size());
  View h2;
  for (const Block& block : blocks) {
    const View h1 = ctx.saved.take(shape, dtype, "model.stream");
    if (stream.empty()) embed(ctx, h1, batch, draws);
    const CView before = h2;  // empty for the first
    h2 = again ? d : ctx.saved.take(shape, dtype, "model.stream");
    const size_t mark = ctx.saved.mark();
    block.forward(ctx, h1, h2, branch, before, seq, draws, keep, saved[stream.size()]);
    if (again) ctx.saved.rewind(mark);
    stream.push_back(h1);
  }

  const View last = ctx.saved.take(shape, dtype, "model.stream");
  Norm::Saved of_norm;
  {
    const ArenaScope of_head(ctx.scratch);
    const View normed = ctx.scratch.take(shape, dtype, "model.normed");
    norm.forward(ctx, normed, last, h2, branch, of_norm);
    linear_cross_entropy_with_gradient(ctx, nll, normed, head_weight().grad, normed, head_weight().value, batch.target,
                                       scale, mode);
    norm.backward(ctx, d, normed, {}, of_norm, mode);
  }
  for (size_t l = blocks.size(); l-- > 0;) {
    const size_t mark = ctx.saved.mark();
    if (again) {
      const View h2_again = ctx.saved.take(shape, dtype, "model.stream");
      blocks[l].forward(ctx, stream[l], h2_again, branch, {}, seq, draws, keep, saved[l]);
    }
    blocks[l].backward(ctx, d, seq, draws, saved[l], mode);
    ctx.saved.rewind(mark);
  }
  if (draws.dropout > 0) dropout(ctx, d, d, draws.dropout, embedding_key(draws));
  embedding_backward(ctx, embedding.grad, d, batch.token, config.tied ? Grad::accumulate : mode);
  for (const Param& p : position_embedding) embedding_backward(ctx, p.grad, d, batch.position, mode);
}

void Model::encode(Ctx& ctx, View normed, const Batch& batch) const {
  const ArenaScope scope(ctx.scratch);
  const Sequence seq = sequence(batch);
  const auto take = [&](const char* what) { return ctx.scratch.take(normed.shape, normed.dtype, what); };
  const View branch = take("model.branch"), h1 = take("model.stream"), h2 = take("model.stream");
  embed(ctx, h1, batch, {});
  for (const Block& block : blocks) {
    const ArenaScope of_block(ctx.saved);
    Block::Saved saved;
    block.forward(ctx, h1, h2, branch, block.index == 0 ? CView{} : CView(h2), seq, {}, false, saved);
  }
  const ArenaScope of_norm(ctx.saved);
  Norm::Saved saved;
  norm.forward(ctx, normed, h1, h2, branch, saved);
}

void Model::evaluate(Ctx& ctx, View nll, const Batch& batch) const {
  const ArenaScope scope(ctx.scratch);
  const Shape shape{batch.token.shape.dim[0], batch.token.shape.dim[1], config.width};
  const View normed = ctx.scratch.take(shape, embedding.value.dtype, "model.normed");
  encode(ctx, normed, batch);
  linear_cross_entropy(ctx, nll, normed, head_weight().value, batch.target);
}

void Model::logits(Ctx& ctx, View out, const Batch& batch) const {
  const ArenaScope scope(ctx.scratch);
  const Shape shape{batch.token.shape.dim[0], batch.token.shape.dim[1], config.width};
  const View normed = ctx.scratch.take(shape, embedding.value.dtype, "model.normed");
  encode(ctx, normed, batch);
  gemm_nt(ctx, out, normed, head_weight().value, {}, Grad::overwrite);
}

void Model::decode(Ctx& ctx, View out, const Batch& batch, std::vector<KvCache>& caches) const {
  RW_CHECK(caches.size() == blocks.size(), caches.size());
  const ArenaScope scope(ctx.scratch), of_saved(ctx.saved);
  const int64_t fresh = batch.token.shape.dim[1];
  const Shape shape{1, fresh, config.width};
  const DType dtype = embedding.value.dtype;
  const View stream = ctx.scratch.take(shape, dtype, "model.stream");
  const View branch = ctx.scratch.take(shape, dtype, "model.branch");
  const Sequence seq = sequence(batch);
  embed(ctx, stream, batch, {});
  for (const Block& block : blocks)
    block.decode(ctx, stream, branch, block.index > 0, seq, caches[static_cast<size_t>(block.index)]);
  const View tail = ctx.scratch.take({1, config.width}, dtype, "model.tail");
  Norm::Saved saved;
  norm.forward(ctx, tail, rows(stream, fresh - 1, 1), rows(stream, fresh - 1, 1), rows(branch, fresh - 1, 1), saved);
  gemm_nt(ctx, out, tail, head_weight().value, {}, Grad::overwrite);
}

}  // namespace rw
