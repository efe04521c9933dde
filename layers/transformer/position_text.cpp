#include "layers/transformer/position_text.hpp"

#include <algorithm>
#include <cstdio>
#include <span>

#include "core/file/hash.hpp"
#include "layers/rotary/base_bound.hpp"
#include "layers/rotary/words.hpp"

namespace rw {
namespace {

constexpr const char* kLogN[] = {"off", "trained", "beyond"};
constexpr const char* kKeyNorm[] = {"none", "query", "key", "cosine"};

std::string rotation(const ModelConfig& c) {
  const RopeConfig& r = c.rope;
  std::string out = words(r.rule == RopeRule::plain ? "" : words(", ", rope_rule_name(r.rule)));
  if (r.factor != 1) out += words(" × ", r.factor, " from ", c.trained());
  const double magnitude = rope_frequencies(r, c.head_width, c.trained(), c.context).magnitude;
  if (magnitude != 1) out += words(" (m ", magnitude, ")");
  if (r.share != 1) out += words(", ", rotated_width(r, c.head_width), " of ", c.head_width, " coordinates");
  return words("rope", out, ", base ", static_cast<int64_t>(r.base));
}

}  // namespace

std::string position_text(const ModelConfig& c) {
  const PositionConfig p = resolve_positions(c.positions, c.trained(), c.layers);
  if (!c.rotary()) return p.kind == PositionKind::learned ? "learned" : "none";
  std::string out = rotation(c);
  if (p.kind != PositionKind::rope) {
    out += words(" · ", position_kind_name(p.kind), ", window ", p.window);
    if (p.kind == PositionKind::leaky || p.kind == PositionKind::inverse_leaky) out += words(", far step ", p.far_step);
    if (p.kind == PositionKind::self_extend) out += words(", groups of ", p.group);
    if (p.sinks != 0) out += words(", sinks ", std::max<int64_t>(p.sinks, 0));
    if (p.kind == PositionKind::lambda) out += words(", reach ", p.reach);
    if (p.kind == PositionKind::hwfa2) out += words(", ", p.full_layers, " full layers");
    if (p.full_window > 0) out += words(" with rerope's window ", p.full_window);
  }
  if (p.log_n != LogN::off) out += words(" · log n ", kLogN[static_cast<size_t>(p.log_n)], ", N ", c.trained());
  if (c.key_norm != KeyNorm::none) out += words(" · key norm ", kKeyNorm[static_cast<size_t>(c.key_norm)]);
  return out;
}

std::vector<std::string> position_advice(const ModelConfig& c, int64_t length) {
  const PositionConfig p = resolve_positions(c.positions, c.trained(), c.layers);
  std::vector<std::string> out = position_warnings(p, c.trained(), c.layers, length);
  if (p.kind != PositionKind::rope && p.kind != PositionKind::inverse_leaky) return out;
  const Frequencies f = rope_frequencies(c.rope, c.head_width, c.trained(), length);
  const int64_t still = c.head_width - 2 * static_cast<int64_t>(f.theta.size());
  const int64_t usable = rope_usable_length(f.theta, length, still);
  if (usable < length)
    out.push_back(words("rope_base ", c.rope.base, " tells similar tokens from others up to a distance of ", usable,
                        ", and the context is ", length, ": ropewalk base --context ", length, " --head-dim ",
                        c.head_width));
  return out;
}

std::string position_fingerprint(const ModelConfig& c) {
  const PositionConfig p = resolve_positions(c.positions, c.trained(), c.layers);
  std::string text = words("v1 ", c.learned_positions(), ' ', c.rotary() ? static_cast<int>(c.rope_layout) : -1, ' ',
                           static_cast<int>(c.key_norm));
  const auto number = [&](double v) {
    char digits[40];
    std::snprintf(digits, sizeof digits, " %.9g", v);
    text += digits;
  };
  const int64_t trained = c.trained();
  if (c.rotary())
    for (const int64_t length : {trained, 4 * trained}) {
      const Frequencies f = rope_frequencies(c.rope, c.head_width, trained, length);
      number(f.magnitude);
      for (const double theta : f.theta) number(theta);
    }
  bool far = false;
  for (int64_t l = 0; l < c.layers; ++l) {
    const LayerPositions layer = layer_positions(p, l, c.layers, Phase::inference);
    text += words(" | ", layer.rotated, ' ', layer.near, ' ', layer.window, ' ', layer.sinks, ' ', layer.scaled);
    far |= layer.near >= 0;
  }
  for (int64_t i = 1; i <= 8 * trained; i = i * 5 / 4 + 1) {
    if (p.log_n != LogN::off) number(query_factor(p, trained, i));
    if (far) number(far_query(p, Phase::inference, i)), number(far_key(p, Phase::inference, i));
  }
  return hash_of(std::as_bytes(std::span(text))).substr(0, 16);
}

}  // namespace rw
