// config.json of Hugging Face and a model's configuration.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "layers/transformer/config.hpp"
#include "train/exchange/tensor_map.hpp"

namespace rw {

struct HfConfig {
  ModelConfig model;
  Naming naming = Naming::llama;
  std::vector<int64_t> ends;  // eos_token_id
};

// Of model_type llama, qwen2, qwen3 or gpt2. A key that is not known is an error unless `ignored` names it, so that
// nothing that the model computes is passed over. `name` is for messages. Throws UserError(Exit::data), naming the key.
HfConfig parse_hf_config(const std::string& name, const nlohmann::json& json, const std::vector<std::string>& ignored);

// The architecture that computes what the model does. Throws UserError(Exit::usage), naming the setting, if
// Hugging Face has none.
//   LlamaForCausalLM    rms, swiglu, rope; attention_bias none or all; mlp_bias
//                       (positions of these three: hf_positions.hpp)
//   Qwen2ForCausalLM    rms, swiglu, rope; attention_bias qkv
//   Qwen3ForCausalLM    rms, swiglu, rope, qk_norm; attention_bias none or all
//   GPT2LMHeadModel     layer, gelu or gelu_tanh, learned, attention_bias all, mlp_bias, heads · head_width = width
std::string hf_architecture(const ModelConfig& model);
inline Naming hf_naming(const ModelConfig& m) { return m.norm == NormKind::layer ? Naming::gpt2 : Naming::llama; }

// config.json, read alike by the transformers of hf_versions. begin: the id that begins a document. lost: positions of
// ours that it is without, as a remark; or empty.
nlohmann::ordered_json hf_config(const ModelConfig& model, int64_t begin, const std::vector<int64_t>& ends,
                                 ValueType type, const std::string& lost);

}  // namespace rw
