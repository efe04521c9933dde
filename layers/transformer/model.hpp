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
#include <functional>

#include "layers/transformer/block.hpp"

namespace rw {

// Tokens of B sequences of T. All i32 [B, T]; first_key may be empty (attention.hpp); target is empty where no loss is.
// Positions of rotary models count from the start of the document. turned_by: f64 [B, T], real positions that take
// their place in the near branch's turns, not in log n; empty: none. They lie in host memory, all others on the device.
struct Batch {
  CView token, target, position, first_key;
  CView turned_by{};
};

// position [B, T]: t, or with documents t - first_key[b, t], counted from the start of the document.
void count_positions(View position, CView first_key);

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

  // Tables for the positions 0 .. positions - 1, of a text of so many tokens where the rotary rule looks at the length.
  // Streaming has `window` rows more where its cache holds at most `positions` tokens: so many may come at once when it
  // is full. To be called before the first forward; cheap to call again. UserError if the configuration of positions is
  // wrong.
  void prepare_positions(Device, DType, int64_t positions);
  // Positions, rotary rule and trained context from now on those of `config`; to be prepared anew.
  void change_positions(const ModelConfig& config);

  // One micro-batch, forward and backward. nll [B·T]: negative log-likelihood of each target, 0 where it is kIgnore.
  // Gradients of scale · Σ nll are stored as `mode` says (not skip).
  void forward_backward(Ctx&, View nll, const Batch&, const Draws&, double scale, Grad mode, Recompute) const;
  // Forward only, without dropout.
  void evaluate(Ctx&, View nll, const Batch&, Phase = Phase::inference) const;
  void logits(Ctx&, View logits /* [B·T, V] */, const Batch&) const;
  // Of the last K tokens of one sequence, batch.token [1, T] and its targets: the negative log-likelihood, and 1 where
  // the likeliest id (of equal ones the lowest) is the target. nll [K], f64; correct i32 [K], K ≤ T. Targets are ids.
  void score(Ctx&, View nll, View correct, const Batch&, Phase = Phase::inference) const;
  // Logits [1, V] after the last of the next tokens of a cached sequence; batch.token is [1, T], positions go on from
  // the cache. Error if the angles of its keys are those of another length of text than prepare_positions() was told.
  // One cache for each block, of add_cache().
  void decode(Ctx&, View logits, const Batch&, std::vector<KvCache>&) const;

  // A text may go on without end, with raw keys: streaming, where its cache holds at most the positions prepared.
  bool endless() const;

  // What the layers are told of a batch; of_layer() adds what one of them does. Lies in ctx.scratch.
  Sequence sequence(Ctx&, const Batch&) const;
  Sequence of_layer(Sequence, int64_t layer, Phase) const;
  // Room for `capacity` tokens of one block, or fewer where a window lets it drop what no later token sees: with turned
  // keys in every kind but streaming, and with raw keys in streaming. `take` gives memory.
  KvCache add_cache(const Block&, int64_t capacity, bool raw, const std::function<View(Shape)>& take) const;

 private:
  struct Table {
    Buffer cos, sin;
    RotaryTable view() const { return {cos.view(), sin.view()}; }
  };
  PositionConfig positions_;  // with its defaults
  Frequencies frequencies_;
  int64_t prepared_ = 0;
  Table near_, far_query_, far_key_;
  bool far_key_is_near_ = false;
  Buffer ones_, index_;

  const Param& head_weight() const { return head.empty() ? embedding : head[0]; }
  bool has_far(Phase) const;
  void turn_by(Ctx&, Sequence&, CView real_positions) const;
  void embed(Ctx&, View stream, const Batch&, const Draws&) const;
  void encode(Ctx&, View normed, const Batch&, Phase) const;
};

}  // namespace rw
