// The decoder: embedding, blocks, final norm, head.
//
//   stream = embedding[token] (+ position_embedding[position]),   stream ← blocks,   logits = norm(stream) · Wᵀ
//
// W is the embedding itself where config.tied. Tensor names are Hugging Face's Llama names, with
// model.embed_positions.weight for learned positions and self_attn.{q,k}_norm.weight for QK-norm.
//
// Memory   everything lies in the caller's flat parameter buffers (layers/parameters.hpp) and in ctx.saved and
//          ctx.scratch, which every call gives back whole. A dry run of the same call sizes them.
#pragma once
#include "layers/transformer/block.hpp"

namespace rw {

// Tokens of B sequences of T. All i32 [B, T]; first_key may be empty (attention.hpp); target is empty where no loss is.
struct Batch {
  CView token, target, position, first_key;
};

struct Model {
  ModelConfig config;
  Param embedding;                        // [V, C]
  std::vector<Param> position_embedding;  // learned positions: one [context, C]
  std::vector<Block> blocks;
  Norm norm;
  std::vector<Param> head;  // untied: one [V, C]

  // Parameters are not bound yet. rw::Error if the config contradicts itself.
  explicit Model(const ModelConfig&);

  template <class F>
  void each(F&& f) {
    f(embedding);
    for (Param& p : position_embedding) f(p);
    for (Block& b : blocks) b.each(f);
    norm.each(f);
    for (Param& p : head) f(p);
  }

  // Rope tables for positions 0 .. positions - 1. To be called before the first forward; cheap to call again.
  void prepare_positions(Device, DType, int64_t positions);

  // One micro-batch, forward and backward. nll [B·T]: negative log-likelihood of each target, 0 where it is kIgnore.
  // Gradients of scale · Σ nll are stored as `mode` says (not skip).
  void forward_backward(Ctx&, View nll, const Batch&, const Draws&, double scale, Grad mode, Recompute) const;
  // Forward only, without dropout.
  void evaluate(Ctx&, View nll, const Batch&) const;
  void logits(Ctx&, View logits /* [B·T, V] */, const Batch&) const;
  // Logits [1, V] after the last of the next tokens of a cached sequence; batch.token is [1, T], positions go on from
  // the cache. One cache for each block.
  void decode(Ctx&, View logits, const Batch&, std::vector<KvCache>&) const;

 private:
  Buffer cos_, sin_;

  const Param& head_weight() const { return head.empty() ? embedding : head[0]; }
  Sequence sequence(const Batch&) const;
  void embed(Ctx&, View stream, const Batch&, const Draws&) const;
  void encode(Ctx&, View normed, const Batch&) const;
};

}  // namespace rw
