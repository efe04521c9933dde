// What a model is. Everything else about it (names, shapes, memory) follows from these numbers.
#pragma once
#include "layers/mlp/gelu.hpp"
#include "layers/norm/norm.hpp"
#include "layers/rotary/positions.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {

enum class AttentionBias { none, qkv, all };  // all: on the output projection too
// Which of a head's query and key has length one, without a learned gain (spec/positions.md 5.4; Su, Transformer
// upgrade 15): logits <q, k/|k|> (key), <q/|q|, k> (query), or λ <q/|q|, k/|k|>, λ = 4 ln(N / 2) or with log n 4 ln n
// (cosine).
enum class KeyNorm { none, query, key, cosine };
enum class MlpKind { swiglu, gelu, gelu_tanh };

// What a block keeps from forward to backward: everything; all but the norms' outputs and the activations, which cost
// little to compute again; or only its input.
enum class Recompute { none, norms, block };

struct ModelConfig {
  int64_t vocab = 0;       // V: rows of the embedding
  int64_t layers = 0;      // L
  int64_t width = 0;       // C: of the residual stream
  int64_t heads = 0;       // H: query heads
  int64_t kv_heads = 0;    // G: key/value heads, divides H
  int64_t head_width = 0;  // d: even with rope; H · d need not be C
  int64_t hidden = 0;      // I: of the MLP
  int64_t context = 0;     // T: trained length, and rows of learned positions
  bool tied = true;        // the head is the embedding
  NormKind norm = NormKind::rms;
  double norm_eps = 1e-5;
  MlpKind mlp = MlpKind::swiglu;
  AttentionBias attention_bias = AttentionBias::none;
  bool mlp_bias = false;  // on the MLP's projections; LayerNorms have a bias exactly when this is on
  bool qk_norm = false;   // RMSNorm of each head's query and key, before rotation (as Qwen3)
  KeyNorm key_norm = KeyNorm::none;
  PositionConfig positions{};
  RopeConfig rope{};  // rotary positions: by which frequencies
  RopeLayout rope_layout = RopeLayout::half;
  int64_t trained_context = 0;  // N: what the position systems scale from; 0: context
  double dropout = 0;           // of the embedding and of each branch, in training

  int64_t trained() const { return trained_context > 0 ? trained_context : context; }
  bool learned_positions() const { return positions.kind == PositionKind::learned; }
  bool rotary() const { return is_rotary(positions.kind); }
  bool plain_rope() const {  // rotary positions of any base, and nothing else (inverse Leaky in use is that)
    return (positions.kind == PositionKind::rope || positions.kind == PositionKind::inverse_leaky) &&
           rope == RopeConfig{.base = rope.base} && positions.log_n == LogN::off && key_norm == KeyNorm::none;
  }
  bool norm_bias() const { return norm == NormKind::layer && mlp_bias; }
  bool operator==(const ModelConfig&) const = default;
};

// All trained numbers:  V·C (twice if not tied) + T·C with learned positions + L · block + norm, where
//   block = C·(H + 2G)·d + H·d·C + p·C·I + 2 · norm      p = 3 with swiglu, else 2
//         + (H + 2G)·d (+ C)          with attention_bias qkv (all)
//         + (p - 1)·I + C             with mlp_bias
//         + 2·d                       with qk_norm (key_norm has no parameters)
//   norm  = C, or 2·C: a LayerNorm with a bias
int64_t parameter_count(const ModelConfig&);

}  // namespace rw
