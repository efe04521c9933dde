// The position systems of spec/positions.md as data for one attention op (its section 1.5): which branch a pair of
// query i and key j takes, by which positions each branch turns them, what is masked, and a factor of each query.
// Positions count from the start of the document; r = i - j; w = window, g = far_step, G = group, N the trained length.
//
//   kind           near    far query             far key  mask                   source
//   rope           always  -                     -        -                      Su et al. 2021, arXiv 2104.09864
//   rerope         r < w   w                     0        -                      Su, Transformer upgrade 12
//   leaky          r < w   w + g (i - w)         g j      -                      the same; 0 ≤ g < 1
//   inverse_leaky  r < w   w + g (i - w)         g j      -                      Su, 13; training only, g ≥ 1
//   self_extend    r < w   ⌊i/G⌋ + w - ⌊w/G⌋     ⌊j/G⌋    -                      Jin et al. 2024, arXiv 2401.01325
//   window         always  -                     -        r < w
//   lambda         r < w   min(D, i)             0        r < w or j < sinks     LM-Infinite, arXiv 2308.16137
//   streaming      r < w   min(i, sinks + w - 1) j        r < w or j < sinks     StreamingLLM, arXiv 2309.17453
//   hwfa           the last layer: no rotation, log n; all others: window        Su, 9
//   hwfa2          full_layers of the layers: rope, in inference rerope with full_window where that is given;
//                  all others: window                                            Su, 14
//   none           no rotation
//   learned        no rotation; a learned vector for each position is added to the embedding
//
// Near always turns query and key by i and j, as plain rotation does. Inverse Leaky is rope in inference: what is saved
// is a plain model.
#pragma once
#include <string>
#include <string_view>

#include "layers/rotary/frequencies.hpp"

namespace rw {

enum class PositionKind {
  rope,
  learned,
  none,
  rerope,
  leaky,
  inverse_leaky,
  self_extend,
  window,
  lambda,
  streaming,
  hwfa,
  hwfa2
};

inline constexpr PositionKind kPositionKinds[] = {
    PositionKind::rope,   PositionKind::learned,       PositionKind::none,        PositionKind::rerope,
    PositionKind::leaky,  PositionKind::inverse_leaky, PositionKind::self_extend, PositionKind::window,
    PositionKind::lambda, PositionKind::streaming,     PositionKind::hwfa,        PositionKind::hwfa2};

// The factor λ of query i, which sees n = i + 1 keys of its document (spec/positions.md 5.1, 5.2).
enum class LogN {
  off,      // 1
  trained,  // ln max(n, log_n_min) / ln N
  beyond    // max(1, ln n / ln N): for a model that was trained without
};

// Zero stands for the source's default, which resolve_positions() fills in.
struct PositionConfig {
  PositionKind kind = PositionKind::rope;
  int64_t window = 0;       // w
  double far_step = 0;      // g
  int64_t group = 0;        // G
  int64_t sinks = 0;        // first keys of a document that stay visible; -1: none
  int64_t reach = 0;        // D
  int64_t full_layers = 0;  // hwfa2
  int64_t full_window = 0;  // hwfa2, inference: w of rerope in the full layers; 0: rope
  LogN log_n = LogN::off;
  int64_t log_n_min = 1;
  bool operator==(const PositionConfig&) const = default;
};

enum class Phase { training, inference };

std::string_view position_kind_name(PositionKind);

constexpr bool is_rotary(PositionKind kind) { return kind != PositionKind::learned && kind != PositionKind::none; }

// With all defaults filled in:
//   window       rerope N/2, leaky and inverse_leaky and self_extend N/4, window N, lambda N, streaming N - sinks,
//                hwfa the largest with (w - 1)(layers - 1) + 1 ≤ 3N/4, hwfa2 3N/layers; each at least 1
//   far_step     leaky 1/16, inverse_leaky 16;   group 8;   sinks lambda 10, streaming 4;   reach w;   full_layers 2
//   log_n        hwfa trained; nothing else has it unless asked for
PositionConfig resolve_positions(const PositionConfig&, int64_t trained, int64_t layers);

// What is wrong, for a resolved configuration: empty if nothing is. A window below 1; leaky with far_step outside [0,
// 1); inverse_leaky with far_step < 1 (that is the forward use: --positions leaky); group < 1; hwfa with a window below
// 2 or fewer than 2 layers; full_layers outside 1 .. layers; log n with N < 2; log_n_min < 1; a reach below 1; sinks
// below -1; and what the kind has no use for: an option without effect is a mistake.
std::string position_problem(const PositionConfig&, int64_t trained, int64_t layers);
// What is legal but of no use or against the source's advice, for a text of `length`: one line each. A window at or
// above N in rerope, leaky, inverse_leaky, self_extend and the full layers of hwfa2; a largest far position at or above
// N in leaky and self_extend; distances of the text above those that inverse_leaky trains; lambda and streaming beyond
// N; hwfa's reach above 3N/4.
std::vector<std::string> position_warnings(const PositionConfig&, int64_t trained, int64_t layers, int64_t length);

// What attention does in one layer.
struct LayerPositions {
  bool rotated = true;
  int64_t near = -1;    // pairs with r ≥ near take the far branch; -1: there is none
  int64_t window = 0;   // keys with r < window are visible, besides `sinks`; 0: all
  int64_t sinks = 0;    // first keys of the document
  bool scaled = false;  // by λ
  bool operator==(const LayerPositions&) const = default;
};
// config is resolved.
LayerPositions layer_positions(const PositionConfig& config, int64_t layer, int64_t layers, Phase);

// The positions by which the far branch turns query i and key j; i and j where there is none. In hwfa2 these are of the
// full layers.
double far_query(const PositionConfig& config, Phase, int64_t i);
double far_key(const PositionConfig& config, Phase, int64_t j);
// The effective distance at which a pair is seen: what the branches make of it.
double effective_distance(const PositionConfig& config, Phase, int64_t i, int64_t j);

// λ of a query at position i (from 0): 1, or ln max(i + 1, least_in_log_n) / ln N with N ≥ 2, so 1 up to N where log n
// is for what lies beyond.
int64_t least_in_log_n(const PositionConfig& config, int64_t trained);
double query_factor(const PositionConfig& config, int64_t trained, int64_t i);

}  // namespace rw
