#include "train/exchange/gguf_config.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/user_error.hpp"
#include "train/exchange/hf_positions.hpp"

namespace rw {
namespace {

constexpr int64_t kMostSize = 1 << 24;
constexpr std::string_view kArchitecture = "llama.";
constexpr const char* kOnlyKnown = "of rope scaling, none, linear and yarn are known, as llama.cpp computes them";

// Keys "llama.*", taken out one by one; what is left at the end was not understood.
class Keys {
 public:
  explicit Keys(const GgufFile& file) : file_(file) {
    for (const auto& [key, value] : file.keys())
      if (key.starts_with(kArchitecture)) left_.insert(key.substr(kArchitecture.size()));
  }

  UserError bad(const std::string& key, const std::string& value, const std::string& why) const {
    return UserError(Exit::data, file_.name() + ": key " + std::string(kArchitecture) + key + " is " + value, why);
  }

  int64_t size(const std::string& key, int64_t otherwise = 0) {
    const auto value = file_.integer(take(key));
    if (!value && otherwise > 0) return otherwise;
    if (!value) throw bad(key, "missing", "the model cannot be known without it");
    if (*value < 1 || *value > kMostSize)
      throw bad(key, std::to_string(*value), "it should be from 1 to " + std::to_string(kMostSize));
    return *value;
  }
  double number(const std::string& key, std::optional<double> otherwise, double above) {
    const auto value = file_.number(take(key));
    if (!value && otherwise) return *otherwise;
    if (!value) throw bad(key, "missing", "the model cannot be known without it");
    if (!(*value > above) || !std::isfinite(*value))
      throw bad(key, text_of(*value), "it should be a number above " + text_of(above));
    return *value;
  }

  // What Ropewalk computes only with these values.
  void must_be(const std::string& key, std::initializer_list<double> only, const char* why) {
    const auto value = file_.number(take(key));
    if (value && std::ranges::find(only, *value) == only.end()) throw bad(key, text_of(*value), why);
  }
  void must_be(const std::string& key, bool only, const char* why) {
    const auto value = file_.flag(take(key));
    if (value && *value != only) throw bad(key, *value ? "true" : "false", why);
  }
  void must_be(const std::string& key, std::initializer_list<std::string_view> only, const char* why) {
    const auto value = file_.text(take(key));
    if (value && std::ranges::find(only, *value) == only.end()) throw bad(key, "'" + excerpt(*value) + "'", why);
  }
  std::string text(const std::string& key, const char* otherwise) { return file_.text(take(key)).value_or(otherwise); }
  void harmless(std::initializer_list<const char*> keys) {
    for (const char* key : keys) left_.erase(key);
  }
  void done() const {
    if (!left_.empty()) throw bad(*left_.begin(), "there", "Ropewalk does not know what this key asks for");
  }

 private:
  std::string take(const std::string& key) {
    left_.erase(key);
    return std::string(kArchitecture) + key;
  }
  static std::string text_of(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
  }

  const GgufFile& file_;
  std::set<std::string> left_;
};

const ForeignTensor* find(const GgufFile& file, std::string_view name) {
  const auto found = std::ranges::find(file.tensors(), name, &ForeignTensor::name);
  return found == file.tensors().end() ? nullptr : &*found;
}

// linear: positions divided by the factor. yarn: with the ramp over the indices of pairs, its ends rounded outwards,
// and m = attn_factor · (0.1 ln s + 1). Source: llama.cpp, llama-context.cpp and rope of ggml-cpu/ops.cpp.
void take_scaling(Keys& keys, ModelConfig& m) {
  const std::string type = keys.text("rope.scaling.type", "linear");
  const auto old = keys.number("rope.scale_linear", 0, -1), scaling = keys.number("rope.scaling.factor", old, -1);
  const double factor = scaling == 0 ? 1 : scaling;
  m.rope.factor = factor;
  if (type == "yarn") {
    m.rope.rule = RopeRule::yarn;
    m.trained_context = keys.size("rope.scaling.original_context_length", m.context);
    if (m.trained_context == m.context) m.trained_context = 0;
    const double share = keys.number("rope.scaling.attn_factor", 1, 0);
    if (share != 1) m.rope.attention_factor = share * (0.1 * std::log(factor) + 1);
    // llama.cpp does not look at the next two in this architecture, and computes with these values.
    keys.must_be("rope.scaling.yarn_beta_fast", {32}, kOnlyKnown);
    keys.must_be("rope.scaling.yarn_beta_slow", {1}, kOnlyKnown);
    keys.must_be("rope.scaling.yarn_ext_factor", {1}, kOnlyKnown);
    keys.must_be("rope.scaling.yarn_attn_factor", {1}, kOnlyKnown);
    keys.must_be("rope.scaling.yarn_log_multiplier", {0}, kOnlyKnown);
  } else {
    if (type != "linear" && type != "none") throw keys.bad("rope.scaling.type", "'" + excerpt(type) + "'", kOnlyKnown);
    if (factor != 1 && type == "none") throw keys.bad("rope.scaling.type", "'none'", "there is a factor all the same");
    if (factor != 1) m.rope.rule = RopeRule::linear;
    keys.must_be("rope.scaling.attn_factor", {1}, kOnlyKnown);
    keys.harmless({"rope.scaling.original_context_length"});
  }
  if (const std::string problem = rope_problem(m.rope, m.head_width, m.trained()); !problem.empty())
    throw keys.bad("rope.scaling.type", "'" + type + "'", problem);
}

// Into `out` the rule, plain, linear or yarn, that GGUF has keys for; if there is none, why.
std::string to_gguf_rule(const ModelConfig& m, RopeConfig& out) {
  const PositionKind kind = m.positions.kind;
  if (kind != PositionKind::rope && kind != PositionKind::inverse_leaky)
    return "positions " + std::string(position_kind_name(kind));
  if (m.positions.log_n != LogN::off) return "log_n";
  if (m.key_norm != KeyNorm::none) return "key_norm";
  if (!to_hf_rule(m, out).empty()) return "rope " + std::string(rope_rule_name(m.rope.rule));
  const bool known = out.rule == RopeRule::plain || out.rule == RopeRule::linear || out.rule == RopeRule::yarn;
  if (!known) return "rope " + std::string(rope_rule_name(m.rope.rule));
  if (out.rule != RopeRule::yarn) return "";
  if (out.beta_fast != 0 && out.beta_fast != 32) return "rope yarn beta_fast other than 32";
  if (out.beta_slow != 0 && out.beta_slow != 1) return "rope yarn beta_slow other than 1";
  return out.truncate ? "" : "rope yarn without rope_truncate";
}

}  // namespace

ModelConfig gguf_config(const GgufFile& file) {
  const std::string architecture = file.text("general.architecture").value_or("");
  if (architecture != "llama")
    throw UserError(Exit::data, file.name() + ": architecture '" + excerpt(architecture) + "' is not known",
                    "of GGUF files, those of architecture llama can be read");
  if (const auto type = file.text("general.type"); type && *type != "model")
    throw UserError(Exit::data, file.name() + " is no model, but '" + excerpt(*type) + "'");
  if (file.integer("split.count").value_or(1) > 1)
    throw UserError(Exit::data, file.name() + " is one of several parts of a model", "models in one file can be read");

  Keys keys(file);
  ModelConfig m;
  m.layers = keys.size("block_count");
  m.width = keys.size("embedding_length");
  m.heads = keys.size("attention.head_count");
  m.kv_heads = keys.size("attention.head_count_kv", m.heads);
  m.head_width = keys.size("attention.key_length", std::max<int64_t>(1, m.width / m.heads));
  m.hidden = keys.size("feed_forward_length");
  m.context = keys.size("context_length");
  m.norm_eps = keys.number("attention.layer_norm_rms_epsilon", {}, 0);
  m.rope.base = keys.number("rope.freq_base", 10000, 1);
  if (m.heads % m.kv_heads != 0)
    throw keys.bad("attention.head_count_kv", std::to_string(m.kv_heads),
                   "it does not divide attention.head_count, " + std::to_string(m.heads));
  if (m.head_width % 2 != 0)
    throw keys.bad("attention.key_length", std::to_string(m.head_width), "rotation needs an even width of heads");
  const auto same_width = static_cast<double>(m.head_width);
  keys.must_be("attention.value_length", {same_width}, "heads have to be equally wide for keys and values");
  keys.must_be("rope.dimension_count", {same_width}, "heads have to be rotated as a whole");
  take_scaling(keys, m);
  for (const char* key : {"expert_count", "expert_used_count", "expert_shared_count"})
    keys.must_be(key, {0}, "mixtures of experts are not known");
  keys.must_be("attention.sliding_window", {0}, "sliding windows are not known");
  keys.must_be("attention.causal", true, "only models that predict the next token are known");
  keys.must_be("use_parallel_residual", false, "attention and MLP come one after the other here");
  keys.harmless({"rope.scaling.finetuned", "tensor_data_layout"});
  if (m.layers > static_cast<int64_t>(file.tensors().size()))
    throw keys.bad("block_count", std::to_string(m.layers),
                   "the file has only " + std::to_string(file.tensors().size()) + " tensors");

  if (find(file, "rope_freqs.weight"))
    throw UserError(Exit::data, file.name() + ": tensor rope_freqs.weight is there", kOnlyKnown);
  const ForeignTensor* embedding = find(file, "token_embd.weight");
  if (!embedding || embedding->shape.size() != 2 || embedding->shape[0] < 1 || embedding->shape[0] > kMostSize)
    throw UserError(Exit::data, file.name() + ": tensor token_embd.weight is " + (embedding ? "no table" : "missing"));
  m.vocab = static_cast<int64_t>(embedding->shape[0]);
  keys.must_be("vocab_size", {static_cast<double>(m.vocab)}, "tensor token_embd.weight has another number of rows");
  keys.done();

  m.tied = !find(file, "output.weight");
  const bool qkv = find(file, "blk.0.attn_q.bias"), out = find(file, "blk.0.attn_output.bias");
  m.attention_bias = out ? AttentionBias::all : qkv ? AttentionBias::qkv : AttentionBias::none;
  m.mlp_bias = find(file, "blk.0.ffn_up.bias");
  m.rope_layout = RopeLayout::half;
  return m;
}

GgufFields gguf_fields(const ModelConfig& m) {
  const auto refuse = [](bool is_there, const std::string& setting, const std::string& instead) {
    if (is_there)
      throw UserError(Exit::usage, "GGUF has no model with " + setting,
                      "its architecture llama has " + instead + "; for others there is  ropewalk export hf");
  };
  refuse(m.norm != NormKind::rms, "norm layer", "norm rms");
  refuse(m.mlp != MlpKind::swiglu, m.mlp == MlpKind::gelu ? "mlp gelu" : "mlp gelu_tanh", "mlp swiglu");
  RopeConfig rope;
  const std::string problem = to_gguf_rule(m, rope);
  refuse(!problem.empty(), problem, "rope plain, linear and yarn (and what is one of them, as ntk_aware)");
  refuse(m.qk_norm, "qk_norm", "none");
  const auto count = [](int64_t value) { return static_cast<uint32_t>(value); };
  std::vector<std::pair<const char*, GgufField>> fields = {
      {"vocab_size", count(m.vocab)},
      {"context_length", count(m.context)},
      {"embedding_length", count(m.width)},
      {"block_count", count(m.layers)},
      {"feed_forward_length", count(m.hidden)},
      {"attention.head_count", count(m.heads)},
      {"attention.head_count_kv", count(m.kv_heads)},
      {"attention.key_length", count(m.head_width)},
      {"attention.value_length", count(m.head_width)},
      {"attention.layer_norm_rms_epsilon", static_cast<float>(m.norm_eps)},
      {"rope.dimension_count", count(m.head_width)},
      {"rope.freq_base", static_cast<float>(rope.base)}};
  const auto add = [&](const char* key, double value) { fields.emplace_back(key, static_cast<float>(value)); };
  if (rope.rule != RopeRule::plain) {
    fields.emplace_back("rope.scaling.type", std::string(rope_rule_name(rope.rule)));
    add("rope.scaling.factor", rope.factor);
  }
  if (rope.rule == RopeRule::yarn) {
    fields.emplace_back("rope.scaling.original_context_length", count(m.trained()));
    const double own = 0.1 * std::log(rope.factor) + 1;
    const double magnitude = rope_frequencies(rope, m.head_width, m.trained(), m.trained()).magnitude;
    if (magnitude != own) add("rope.scaling.attn_factor", magnitude / own);
  }
  GgufFields out;
  for (const auto& [key, value] : fields) out.emplace_back(std::string(kArchitecture) + key, value);
  return out;
}

}  // namespace rw
