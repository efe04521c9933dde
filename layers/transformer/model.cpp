#include "layers/transformer/model.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "core/tensor/indices.hpp"
#include "layers/embedding/embedding.hpp"
#include "layers/loss/linear_cross_entropy.hpp"

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
  RW_CHECK(c.head_width > 0, c.head_width);
  RW_CHECK(!c.qk_norm || c.key_norm == KeyNorm::none, c.qk_norm);
  if (c.learned_positions())
    position_embedding.push_back(table("model.embed_positions.weight", c.context, c.width, 0.02));
  for (int64_t l = 0; l < c.layers; ++l) blocks.emplace_back(c, l);
  if (!c.tied) head.push_back(table("lm_head.weight", c.vocab, c.width, 0.02));
}

KvCache Model::add_cache(const Block& block, int64_t capacity, bool raw, const std::function<View(Shape)>& take) const {
  const PositionConfig positions = resolve_positions(config.positions, config.trained(), config.layers);
  const LayerPositions layer = layer_positions(positions, block.index, config.layers, Phase::inference);
  KvCache cache;
  const bool drops = raw == (positions.kind == PositionKind::streaming);
  if (drops && layer.window > 0 && layer.window <= capacity - layer.sinks)
    cache.window = layer.window, cache.sinks = layer.sinks, capacity = layer.sinks + layer.window;
  const Shape shape{capacity, config.kv_heads * config.head_width};
  cache.k = take(shape), cache.v = take(shape), cache.raw = raw;
  if (layer.near >= 0 && !raw) cache.k_far = take(shape);
  return cache;
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
  const Sequence seq = sequence(ctx, batch);
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
    block.forward(ctx, h1, h2, branch, before, of_layer(seq, block.index, Phase::training), draws, keep,
                  saved[stream.size()]);
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
    const Sequence here = of_layer(seq, blocks[l].index, Phase::training);
    if (again) {
      const View h2_again = ctx.saved.take(shape, dtype, "model.stream");
      blocks[l].forward(ctx, stream[l], h2_again, branch, {}, here, draws, keep, saved[l]);
    }
    blocks[l].backward(ctx, d, here, draws, saved[l], mode);
    ctx.saved.rewind(mark);
  }
  if (draws.dropout > 0) dropout(ctx, d, d, draws.dropout, embedding_key(draws));
  embedding_backward(ctx, embedding.grad, d, batch.token, config.tied ? Grad::accumulate : mode);
  for (const Param& p : position_embedding) embedding_backward(ctx, p.grad, d, batch.position, mode);
}

void Model::encode(Ctx& ctx, View normed, const Batch& batch, Phase phase) const {
  const ArenaScope scope(ctx.scratch);
  const Sequence seq = sequence(ctx, batch);
  const auto take = [&](const char* what) { return ctx.scratch.take(normed.shape, normed.dtype, what); };
  const View branch = take("model.branch"), h1 = take("model.stream"), h2 = take("model.stream");
  embed(ctx, h1, batch, {});
  for (const Block& block : blocks) {
    const ArenaScope of_block(ctx.saved);
    Block::Saved saved;
    block.forward(ctx, h1, h2, branch, block.index == 0 ? CView{} : CView(h2), of_layer(seq, block.index, phase), {},
                  false, saved);
  }
  const ArenaScope of_norm(ctx.saved);
  Norm::Saved saved;
  norm.forward(ctx, normed, h1, h2, branch, saved);
}

void Model::evaluate(Ctx& ctx, View nll, const Batch& batch, Phase phase) const {
  const ArenaScope scope(ctx.scratch);
  const Shape shape{batch.token.shape.dim[0], batch.token.shape.dim[1], config.width};
  const View normed = ctx.scratch.take(shape, embedding.value.dtype, "model.normed");
  encode(ctx, normed, batch, phase);
  linear_cross_entropy(ctx, nll, normed, head_weight().value, batch.target);
}

void Model::logits(Ctx& ctx, View out, const Batch& batch) const {
  const ArenaScope scope(ctx.scratch);
  const Shape shape{batch.token.shape.dim[0], batch.token.shape.dim[1], config.width};
  const View normed = ctx.scratch.take(shape, embedding.value.dtype, "model.normed");
  encode(ctx, normed, batch, Phase::inference);
  gemm_nt(ctx, out, normed, head_weight().value, {}, Grad::overwrite);
}

void Model::score(Ctx& ctx, View nll, View correct, const Batch& batch, Phase phase) const {
  const int64_t count = nll.width(), length = batch.token.width();
  RW_CHECK(batch.token.shape.rank == 2 && batch.token.rows() == 1 && count <= length, batch.token, nll);
  RW_CHECK(nll.dtype == DType::f64 && correct.dtype == DType::i32 && correct.shape == nll.shape, nll, correct);
  check_indices(__func__, "target", ctx, columns(batch.target, length - count, count), config.vocab);
  const ArenaScope scope(ctx.scratch);
  const DType dtype = embedding.value.dtype;
  const View normed = ctx.scratch.take({1, length, config.width}, dtype, "model.normed");
  encode(ctx, normed, batch, phase);
  const int64_t chunk = loss_chunk_rows(count, config.vocab, dtype);
  const View logits = ctx.scratch.take({chunk, config.vocab}, dtype, "model.logits");
  for (int64_t first = 0; first < count; first += chunk) {
    const int64_t n = std::min(chunk, count - first), at = length - count + first;
    gemm_nt(ctx, rows(logits, 0, n), rows(normed, at, n), head_weight().value, {}, Grad::overwrite);
    if (ctx.dry) continue;
    visit_dtype<double, float>(dtype, [&]<class T>() {
      parallel_for(n, [&](int64_t r) {
        const T* row = logits.as<T>()[r];
        const T* best = std::max_element(row, row + config.vocab);
        double sum = 0;
        for (int64_t v = 0; v < config.vocab; ++v)
          sum += std::exp(static_cast<double>(row[v]) - static_cast<double>(*best));
        const int32_t target = batch.target.as<int32_t>().data[at + r];
        nll.as<double>().data[first + r] =
            std::log(sum) + static_cast<double>(*best) - static_cast<double>(row[target]);
        correct.as<int32_t>().data[first + r] = best - row == target;
      });
    });
  }
}

void Model::decode(Ctx& ctx, View out, const Batch& batch, std::vector<KvCache>& caches) const {
  RW_CHECK(caches.size() == blocks.size(), caches.size());
  for (KvCache& cache : caches) {
    if (cache.length == 0) cache.prepared = prepared_;
    if (config.rotary() && depends_on_length(config.rope.rule) && !cache.raw)
      RW_CHECK(cache.prepared == prepared_, cache.prepared, prepared_, cache.raw);
  }
  const ArenaScope scope(ctx.scratch), of_saved(ctx.saved);
  const int64_t fresh = batch.token.shape.dim[1];
  const Shape shape{1, fresh, config.width};
  const DType dtype = embedding.value.dtype;
  const View stream = ctx.scratch.take(shape, dtype, "model.stream");
  const View branch = ctx.scratch.take(shape, dtype, "model.branch");
  const Sequence seq = sequence(ctx, batch);
  embed(ctx, stream, batch, {});
  for (const Block& block : blocks)
    block.decode(ctx, stream, branch, block.index > 0, of_layer(seq, block.index, Phase::inference),
                 caches[static_cast<size_t>(block.index)]);
  const View tail = ctx.scratch.take({1, config.width}, dtype, "model.tail");
  Norm::Saved saved;
  norm.forward(ctx, tail, rows(stream, fresh - 1, 1), rows(stream, fresh - 1, 1), rows(branch, fresh - 1, 1), saved);
  gemm_nt(ctx, out, tail, head_weight().value, {}, Grad::overwrite);
}

}  // namespace rw
