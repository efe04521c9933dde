#include "layers/transformer/config.hpp"

namespace rw {

int64_t parameter_count(const ModelConfig& c) {
  const int64_t query = c.heads * c.head_width, key_value = 2 * c.kv_heads * c.head_width;
  const int64_t projections = c.mlp == MlpKind::swiglu ? 3 : 2;  // gate, up and down, or up and down
  const int64_t norm = c.width * (c.norm_bias() ? 2 : 1);

  int64_t block = c.width * (query + key_value) + query * c.width + projections * c.width * c.hidden + 2 * norm;
  if (c.attention_bias != AttentionBias::none) block += query + key_value;
  if (c.attention_bias == AttentionBias::all) block += c.width;
  if (c.mlp_bias) block += (projections - 1) * c.hidden + c.width;
  if (c.qk_norm) block += 2 * c.head_width;

  const int64_t embedding = c.vocab * c.width;
  return (c.tied ? embedding : 2 * embedding) + (c.learned_positions() ? c.context * c.width : 0) + c.layers * block +
         norm;
}

}  // namespace rw
