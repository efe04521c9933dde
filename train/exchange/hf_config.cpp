#include "train/exchange/hf_config.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"
#include "train/exchange/hf_positions.hpp"
#include "train/exchange/json_keys.hpp"

namespace rw {
namespace {

ModelConfig parse_llama(JsonKeys& keys, const std::string& name, const std::string& type) {
  ModelConfig m;
  m.vocab = keys.size("vocab_size");
  m.layers = keys.size("num_hidden_layers");
  m.width = keys.size("hidden_size");
  m.heads = keys.size("num_attention_heads");
  m.kv_heads = keys.size("num_key_value_heads", m.heads);
  const int64_t of_width = m.width / m.heads;
  m.head_width = keys.size("head_dim", type == "qwen3" ? 128 : std::max<int64_t>(1, of_width));
  m.hidden = keys.size("intermediate_size");
  m.context = keys.size("max_position_embeddings");
  m.tied = keys.flag("tie_word_embeddings", false);
  m.norm_eps = keys.number("rms_norm_eps", 1e-6);
  keys.must_be("hidden_act", "silu", "only silu is known here");
  if (type == "qwen2") {
    m.attention_bias = AttentionBias::qkv;
    keys.must_be("attention_bias", true, "Qwen2 always has biases");
  } else {
    m.attention_bias = keys.flag("attention_bias", false) ? AttentionBias::all : AttentionBias::none;
  }
  if (type == "llama")
    m.mlp_bias = keys.flag("mlp_bias", false);
  else
    keys.must_be("mlp_bias", false, "the architecture has no such biases");
  m.qk_norm = type == "qwen3";
  keys.must_be("rope_interleaved", false, "rotary pairs (2c, 2c + 1) are not known in config.json");
  keys.harmless({"attention_dropout", "pretraining_tp", "is_llama_config"});
  if (m.head_width % 2 != 0) throw keys.bad("head_dim", "rotation needs an even width of heads");
  take_hf_positions(keys, name, type, m);
  return m;
}

ModelConfig parse_gpt2(JsonKeys& keys) {
  ModelConfig m;
  m.vocab = keys.size("vocab_size");
  m.layers = keys.size("n_layer");
  m.width = keys.size("n_embd");
  m.heads = m.kv_heads = keys.size("n_head");
  if (m.width % m.heads != 0) throw keys.bad("n_head", "it does not divide n_embd, " + std::to_string(m.width));
  m.head_width = m.width / m.heads;
  m.hidden = keys.size("n_inner", 4 * m.width);
  m.context = keys.size("n_positions");
  m.tied = keys.flag("tie_word_embeddings", true);
  m.norm = NormKind::layer, m.norm_eps = keys.number("layer_norm_epsilon", 1e-5);
  m.attention_bias = AttentionBias::all, m.mlp_bias = true;
  m.positions.kind = PositionKind::learned;
  const std::string activation = keys.text("activation_function");
  if (activation == "gelu")
    m.mlp = MlpKind::gelu;
  else if (activation.empty() || activation == "gelu_new" || activation == "gelu_pytorch_tanh")
    m.mlp = MlpKind::gelu_tanh;
  else
    throw keys.bad("activation_function", "gelu, gelu_new and gelu_pytorch_tanh are known");
  keys.must_be("scale_attn_weights", true, "attention without 1/√d is not known");
  keys.must_be("scale_attn_by_inverse_layer_idx", false, "it is not known");
  keys.must_be("add_cross_attention", false, "only decoders are known");
  keys.harmless({"resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_proj_to_labels", "summary_first_dropout", "reorder_and_upcast_attn", "n_ctx"});
  return m;
}

std::vector<int64_t> take_ends(JsonKeys& keys, int64_t vocab) {
  const Json& json = keys.take("eos_token_id");
  std::vector<int64_t> ends;
  for (const Json& id : json.is_array() ? json : json.is_null() ? Json::array() : Json::array({json})) {
    const int64_t end = integer_of(id).value_or(-1);
    if (end < 0 || end >= vocab)
      throw keys.bad("eos_token_id", "ids from 0 to " + std::to_string(vocab - 1) + " are wanted");
    ends.push_back(end);
  }
  return ends;
}

}  // namespace

HfConfig parse_hf_config(const std::string& name, const Json& json, const std::vector<std::string>& ignored) {
  JsonKeys keys(name, json);
  const std::string type = keys.text("model_type");
  HfConfig out;
  if (type == "llama" || type == "qwen2" || type == "qwen3")
    out.model = parse_llama(keys, name, type);
  else if (type == "gpt2")
    out.model = parse_gpt2(keys), out.naming = Naming::gpt2;
  else
    throw keys.bad("model_type", "llama, qwen2, qwen3 and gpt2 are known");
  const Json& architectures = keys.take("architectures");
  if (architectures.is_array())
    for (const Json& a : architectures)
      if (!a.is_string() || (!a.get<std::string>().ends_with("ForCausalLM") && a != "GPT2LMHeadModel"))
        throw keys.bad("architectures", "only models that predict the next token are known");
  out.ends = take_ends(keys, out.model.vocab);
  keys.must_be("quantization_config", Json(), "quantised weights are not known in safetensors");
  keys.must_be("is_decoder", true, "only decoders are known");
  keys.must_be("is_encoder_decoder", false, "only decoders are known");
  keys.harmless({"_name_or_path", "_attn_implementation", "bos_token_id", "pad_token_id", "dtype", "torch_dtype",
                 "transformers_version", "transformers.js_config", "use_cache", "initializer_range",
                 "task_specific_params", "output_hidden_states", "output_attentions", "return_dict", "id2label",
                 "label2id", "problem_type", "chunk_size_feed_forward", "ropewalk"});
  keys.done(ignored);
  if (out.model.heads % out.model.kv_heads != 0)
    throw keys.bad("num_key_value_heads", "it does not divide num_attention_heads, " + std::to_string(out.model.heads));
  return out;
}

std::string hf_architecture(const ModelConfig& m) {
  const auto refuse = [](const std::string& setting, const std::string& why) {
    return UserError(Exit::usage, "Hugging Face has no model with " + setting, why);
  };
  if (m.norm == NormKind::layer) {
    const std::string why = "with LayerNorm there is GPT-2, which has ";
    if (!m.learned_positions()) throw refuse("norm layer and positions rope", why + "learned positions");
    if (m.mlp == MlpKind::swiglu) throw refuse("norm layer and mlp swiglu", why + "mlp gelu or gelu_tanh");
    if (m.attention_bias != AttentionBias::all)
      throw refuse("norm layer and attention_bias none or qkv", why + "attention_bias all");
    if (!m.mlp_bias) throw refuse("norm layer and no mlp_bias", why + "mlp_bias");
    if (m.qk_norm) throw refuse("norm layer and qk_norm", why + "no qk_norm");
    if (m.kv_heads != m.heads) throw refuse("norm layer and kv_heads below heads", why + "kv_heads = heads");
    if (m.heads * m.head_width != m.width)
      throw refuse("norm layer and heads · head_width ≠ width", why + "heads · head_width = width");
    return "GPT2LMHeadModel";
  }
  const std::string why = "with RMSNorm there are Llama, Qwen2 and Qwen3, which have ";
  if (m.mlp != MlpKind::swiglu) throw refuse("norm rms and mlp gelu", why + "mlp swiglu");
  if (m.learned_positions()) throw refuse("norm rms and positions learned", why + "positions rope");
  if (const std::string problem = hf_positions_problem(m); !problem.empty())
    throw UserError(Exit::usage, "Hugging Face has no " + problem,
                    "its rope types are default, linear, dynamic, yarn, llama3, longrope and proportional\n"
                    "to export the weights as the plain rotary model, and lose this:  --as-base-rope");
  if (m.qk_norm && m.mlp_bias) throw refuse("qk_norm and mlp_bias", "Qwen3 has qk_norm, but no mlp_bias");
  if (m.attention_bias == AttentionBias::qkv) {
    if (m.qk_norm) throw refuse("qk_norm and attention_bias qkv", "Qwen3 has attention_bias none or all");
    if (m.mlp_bias) throw refuse("attention_bias qkv and mlp_bias", "Qwen2 has attention_bias qkv, but no mlp_bias");
    return "Qwen2ForCausalLM";
  }
  if (m.qk_norm) return "Qwen3ForCausalLM";
  if (m.width % m.heads != 0)
    throw refuse("width " + std::to_string(m.width) + " and " + std::to_string(m.heads) + " heads",
                 "transformers 5 wants a width that the number of heads divides, whatever head_width is");
  return "LlamaForCausalLM";
}

OrderedJson hf_config(const ModelConfig& m, int64_t begin, const std::vector<int64_t>& ends, ValueType type,
                      const std::string& lost) {
  const std::string architecture = hf_architecture(m);
  const char* const dtype = type == ValueType::f16 ? "float16" : type == ValueType::bf16 ? "bfloat16" : "float32";
  OrderedJson eos = ends.empty() ? OrderedJson(begin) : OrderedJson(ends);
  if (ends.size() == 1) eos = ends[0];
  OrderedJson json = {
      {"architectures", {architecture}}, {"dtype", dtype}, {"torch_dtype", dtype}, {"vocab_size", m.vocab}};
  if (architecture == "GPT2LMHeadModel") {
    json.update({{"model_type", "gpt2"},
                 {"n_embd", m.width},
                 {"n_layer", m.layers},
                 {"n_head", m.heads},
                 {"n_positions", m.context},
                 {"n_inner", m.hidden},
                 {"activation_function", m.mlp == MlpKind::gelu ? "gelu" : "gelu_new"},
                 {"layer_norm_epsilon", m.norm_eps},
                 {"resid_pdrop", m.dropout},
                 {"embd_pdrop", m.dropout},
                 {"attn_pdrop", 0.0}});
  } else {
    json.update({{"model_type", architecture == "LlamaForCausalLM"   ? "llama"
                                : architecture == "Qwen2ForCausalLM" ? "qwen2"
                                                                     : "qwen3"},
                 {"hidden_size", m.width},
                 {"intermediate_size", m.hidden},
                 {"num_hidden_layers", m.layers},
                 {"num_attention_heads", m.heads},
                 {"num_key_value_heads", m.kv_heads},
                 {"head_dim", m.head_width},
                 {"hidden_act", "silu"},
                 {"rms_norm_eps", m.norm_eps},
                 {"attention_dropout", 0.0}});
    if (architecture == "LlamaForCausalLM") json["mlp_bias"] = m.mlp_bias;
    if (architecture != "Qwen2ForCausalLM") json["attention_bias"] = m.attention_bias == AttentionBias::all;
    json.update(hf_positions(m));
  }
  json.update({{"initializer_range", 0.02},
               {"tie_word_embeddings", m.tied},
               {"use_cache", true},
               {"bos_token_id", begin},
               {"eos_token_id", eos},
               {"pad_token_id", nullptr},
               {"transformers_version", "5.0.0"}});
  if (!lost.empty()) json["ropewalk"] = {{"positions", lost}};
  return json;
}

}  // namespace rw
