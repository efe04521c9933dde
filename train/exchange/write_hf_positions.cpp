#include <cmath>

#include "core/base/check.hpp"
#include "core/file/json.hpp"
#include "layers/rotary/words.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/exchange/hf_positions.hpp"

namespace rw {
namespace {

bool names_original(RopeRule rule) {
  return rule == RopeRule::yarn || rule == RopeRule::llama3 || rule == RopeRule::longrope;
}

RopeConfig hf_rule(const ModelConfig& m) {
  RopeConfig out;
  RW_CHECK(to_hf_rule(m, out).empty(), position_text(m));
  return out;
}

// The dictionary, without rope_theta.
OrderedJson rope_dictionary(const RopeConfig& r, const ModelConfig& m) {
  const std::string type(r.rule == RopeRule::plain ? "default" : rope_rule_name(r.rule));
  const auto or_default = [](double value, double otherwise) { return value != 0 ? value : otherwise; };
  OrderedJson json = {{"rope_type", type}, {"type", type}};
  if (r.rule != RopeRule::plain) json["factor"] = r.factor;
  if (names_original(r.rule)) json["original_max_position_embeddings"] = m.trained();
  switch (r.rule) {
    case RopeRule::yarn:
      json["beta_fast"] = or_default(r.beta_fast, 32), json["beta_slow"] = or_default(r.beta_slow, 1);
      if (r.attention_factor != 0) json["attention_factor"] = r.attention_factor;
      if (r.mscale != 0) json["mscale"] = r.mscale;
      if (r.mscale_all_dim != 0) json["mscale_all_dim"] = r.mscale_all_dim;
      if (!r.truncate) json["truncate"] = false;
      break;
    case RopeRule::llama3:
      json["low_freq_factor"] = or_default(r.beta_slow, 1), json["high_freq_factor"] = or_default(r.beta_fast, 4);
      break;
    case RopeRule::longrope:
      json["short_factor"] = r.short_factor, json["long_factor"] = r.long_factor;
      // transformers 4 takes M / N for the factor.
      if (r.attention_factor != 0 || r.factor * static_cast<double>(m.trained()) != static_cast<double>(m.context))
        json["attention_factor"] = rope_frequencies(r, m.head_width, m.trained(), m.trained()).magnitude;
      break;
    case RopeRule::proportional:
      json["partial_rotary_factor"] = r.share;
      break;
    default:
      break;
  }
  return json;
}

}  // namespace

std::string to_hf_rule(const ModelConfig& m, RopeConfig& out) {
  const RopeConfig& r = out = m.rope;
  const std::string none = "rope type for " + std::string(rope_rule_name(r.rule));
  if (r.share != 1 && r.rule != RopeRule::proportional)
    return words("model of these that rotates a share of ", r.share, " of each head, but by rope proportional");
  switch (r.rule) {
    case RopeRule::ntk_old:
      out = {.base = m.rope.base * m.rope.factor};
      return "";
    case RopeRule::ntk_aware:
      out = {.base = ntk_aware_base(m.rope.base, m.head_width, m.rope.factor)};
      return "";
    case RopeRule::ntk_fixed:
    case RopeRule::ntk_mixed:
    case RopeRule::by_parts_legacy:
      return none;
    case RopeRule::by_parts:
    case RopeRule::yarn:
      break;
    default:
      return "";
  }
  if (r.blend == RopeBlend::harmonic) return none + " with rope_blend harmonic";
  const bool is_yarn = r.rule == RopeRule::yarn;
  if (r.ramp == RopeRamp::index) {
    if (!is_yarn) out.rule = RopeRule::yarn, out.attention_factor = 1;
    return "";
  }
  if (is_yarn && rope_frequencies(r, m.head_width, m.trained(), m.trained()).magnitude != 1)
    return none + " with rope_ramp rotations";
  out = {.rule = RopeRule::llama3,
         .base = m.rope.base,
         .factor = m.rope.factor,
         .beta_fast = m.rope.beta_fast != 0 ? m.rope.beta_fast : 32,
         .beta_slow = m.rope.beta_slow};
  return "";
}

std::string hf_positions_problem(const ModelConfig& m) {
  if (!m.rotary()) return words("model of these with positions ", position_kind_name(m.positions.kind));
  const PositionKind kind = m.positions.kind;
  const bool qwen = m.qk_norm || m.attention_bias == AttentionBias::qkv;
  if (kind == PositionKind::window && !qwen)
    return "window in Llama; Qwen2 (attention_bias qkv) and Qwen3 (qk_norm) have one";
  if (kind != PositionKind::rope && kind != PositionKind::inverse_leaky && kind != PositionKind::window)
    return words("key for positions ", position_kind_name(kind));
  if (m.positions.log_n != LogN::off)
    return words("key for log_n ", m.positions.log_n == LogN::trained ? "trained" : "beyond");
  if (m.key_norm != KeyNorm::none) return "key for key_norm";
  RopeConfig rule;
  return to_hf_rule(m, rule);
}

OrderedJson hf_positions(const ModelConfig& m) {
  const RopeConfig r = hf_rule(m);
  const bool plain = r.rule == RopeRule::plain;
  OrderedJson json, dictionary = rope_dictionary(r, m);
  // dynamic scales from M on.
  json["max_position_embeddings"] = r.rule == RopeRule::dynamic ? m.trained() : m.context;
  if (names_original(r.rule) || (r.rule == RopeRule::linear && m.trained() != m.context))
    json["original_max_position_embeddings"] = m.trained();
  json["rope_theta"] = r.base;
  json["rope_scaling"] = plain ? OrderedJson() : dictionary;
  dictionary.erase("type");
  dictionary["rope_theta"] = r.base;
  json["rope_parameters"] = dictionary;
  const PositionConfig positions = resolve_positions(m.positions, m.trained(), m.layers);
  const bool window = positions.kind == PositionKind::window;
  if (m.qk_norm || m.attention_bias == AttentionBias::qkv) json["use_sliding_window"] = window;
  if (window) {
    json["sliding_window"] = positions.window;
    json["max_window_layers"] = 0;
    json["layer_types"] = std::vector<std::string>(static_cast<size_t>(m.layers), "sliding_attention");
  }
  return json;
}

std::string hf_versions(const ModelConfig& m) {
  if (!m.rotary()) return "4.43 and later, and 5";
  switch (hf_rule(m).rule) {
    case RopeRule::plain:
    case RopeRule::linear:
    case RopeRule::dynamic:
      return "4.43 and later, and 5";
    case RopeRule::proportional:
      return "5";
    default:
      return "4.57, and 5";
  }
}

ModelConfig as_base_rope(const ModelConfig& m) {
  const PositionKind kind = m.positions.kind;
  const char* const trained = m.positions.log_n == LogN::trained ? "log_n trained"
                              : m.key_norm != KeyNorm::none      ? "key_norm"
                              : kind == PositionKind::hwfa       ? "positions hwfa"
                              : kind == PositionKind::hwfa2      ? "positions hwfa2"
                              : !m.rotary()                      ? "positions without rotation"
                              : m.rope.share != 1                ? "rope_share"
                                                                 : nullptr;
  if (trained)
    throw UserError(Exit::usage, std::string("--as-base-rope cannot take away ") + trained,
                    "the weights were trained with it and mean nothing without");
  ModelConfig out = m;
  out.positions = {}, out.rope = {.base = m.rope.base}, out.trained_context = 0;
  return out;
}

}  // namespace rw
