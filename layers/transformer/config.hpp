// What a model is. Everything else about it (names, shapes, memory) follows from these numbers.
#pragma once
#include "layers/mlp/gelu.hpp"
#include "layers/norm/norm.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {

enum class AttentionBias { none, qkv, all };  // all: on the output projection too
enum class MlpKind { swiglu, gelu, gelu_tanh };
enum class PositionKind { rope, learned };

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
  PositionKind positions = PositionKind::rope;
  double rope_base = 10000;
  RopeLayout rope_layout = RopeLayout::half;
  double dropout = 0;  // of the embedding and of each branch, in training

  bool norm_bias() const { return norm == NormKind::layer && mlp_bias; }
  bool operator==(const ModelConfig&) const = default;
};

// All trained numbers:  V·C (twice if not tied) + T·C with learned positions + L · block + norm, where
//   block = C·(H + 2G)·d + H·d·C + p·C·I + 2 · norm      p = 3 with swiglu, else 2
//         + (H + 2G)·d (+ C)          with attention_bias qkv (all)
//         + (p - 1)·I + C             with mlp_bias
//         + 2·d                       with qk_norm
//   norm  = C, or 2·C: a LayerNorm with a bias
int64_t parameter_count(const ModelConfig&);

}  // namespace rw
