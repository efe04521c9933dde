// By which angles rotary embedding turns: frequencies θ[c] in radians per position, a factor m of queries and keys, and
// tables of m · cos and m · sin of them, computed in f64 and rounded once.
//
// With d the rotated width (share · head width), R[c] = base^(-2c / d), c = 0 .. h - 1, h = d / 2, s = factor and N the
// trained length, the rules are (spec/positions.md, the section in brackets):
//
//   plain            R[c]                                                                          [1.3, 2.1]
//   linear           R[c] / s                     PI: Chen et al. 2023, arXiv 2306.15595           [2.2]
//   ntk_old          (base · s)^(-2c / d)         Su, Transformer upgrade 10                       [2.3]
//   ntk_aware        (base · s^(d / (d - 2)))^(-2c / d)         bloc97; d ≥ 4                      [2.4]
//   ntk_fixed        R[c] / λ^(c + 1), λ = s^(2 / d)            Su, 11                             [2.5]
//   ntk_mixed        R[c] · exp(-a (c + 1)^e), a = ln s / h^e   Su, 11; e = exponent               [2.6]
//   dynamic          ntk_aware with s (L / N) - (s - 1) in place of s where L > N, else plain      [2.7]
//   by_parts         (1 - γ) R[c] / s + γ R[c]; harmonic: R[c] / ((1 - γ) s + γ)                   [2.8]
//   by_parts_legacy  the first release of YaRN's code: linear, ntk_aware and plain, blended twice  [2.8]
//   yarn             by_parts, m = 0.1 ln s + 1: Peng et al. 2023, arXiv 2309.00071                [2.9]
//   llama3           by_parts with the ramp in rotations, from 1 to 4                              [11]
//   longrope         R[c] / (L > N ? long_factor : short_factor)[c], m = √(1 + ln s / ln N)        [11]
//   proportional     base^(-2c / head width) / s for the first pairs, c < share · head width / 2,
//                    of a whole head, 0 for the others                                             [7.2, 11]
//
// L is the length of the text: the only rules that depend on it are dynamic and longrope. γ, the share of pair c that
// is left as it is, falls from 1 to 0 between beta_fast and beta_slow rotations during training; the ramp is linear in
// the rotations N R[c] / 2π (the papers), or in the pair's index (their code, and Hugging Face), with its ends rounded
// outwards where `truncate`.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor/view.hpp"

namespace rw {

enum class RopeRule {
  plain,
  linear,
  ntk_old,
  ntk_aware,
  ntk_fixed,
  ntk_mixed,
  dynamic,
  by_parts,
  by_parts_legacy,
  yarn,
  llama3,
  longrope,
  proportional
};
inline constexpr RopeRule kRopeRules[] = {
    RopeRule::plain,     RopeRule::linear,   RopeRule::ntk_old,     RopeRule::ntk_aware,       RopeRule::ntk_fixed,
    RopeRule::ntk_mixed, RopeRule::dynamic,  RopeRule::by_parts,    RopeRule::by_parts_legacy, RopeRule::yarn,
    RopeRule::llama3,    RopeRule::longrope, RopeRule::proportional};
enum class RopeRamp { index, rotations };       // in what γ is linear
enum class RopeBlend { arithmetic, harmonic };  // means of frequencies, or of wavelengths

struct RopeConfig {
  RopeRule rule = RopeRule::plain;
  double base = 10000;
  double share = 1;         // of a head that is rotated: its first coordinates
  double factor = 1;        // s ≥ 1
  double exponent = 0.625;  // e of ntk_mixed, from 0 to 1
  double beta_fast = 0;     // rotations from which a frequency is left as it is; 0: 32, for llama3 4 (high_freq_factor)
  double beta_slow = 0;     // and up to which it is divided by s; 0: 1 (llama3: low_freq_factor)
  RopeRamp ramp = RopeRamp::index;  // of by_parts and yarn
  RopeBlend blend = RopeBlend::arithmetic;
  bool truncate = true;
  double attention_factor = 0;            // m; 0: the rule's own
  double mscale = 0, mscale_all_dim = 0;  // both given: m = get(mscale) / get(mscale_all_dim), get(x) = 0.1 x ln s + 1
  std::vector<double> short_factor{}, long_factor{};  // longrope: one for each pair
  bool operator==(const RopeConfig&) const = default;
};

struct Frequencies {
  std::vector<double> theta{};  // one for each rotated pair
  double magnitude = 1;         // m: multiplies the rotated coordinates of queries and of keys
};

// The name of a rule as it is typed: "ntk_aware".
std::string_view rope_rule_name(RopeRule);
// θ and m depend on the length of the text.
constexpr bool depends_on_length(RopeRule rule) { return rule == RopeRule::dynamic || rule == RopeRule::longrope; }

// base · s^(d / (d - 2)), d ≥ 4
double ntk_aware_base(double base, int64_t d, double factor);

// d: share · head_width, rounded down; the whole head for proportional.
int64_t rotated_width(const RopeConfig&, int64_t head_width);

// What is wrong with a configuration, in words that fit after "the rotary rule is refused: "; empty if nothing is: an
// odd or empty share of the head, base ≤ 1, factor < 1, an exponent outside [0, 1], beta_fast ≤ beta_slow, a rule that
// needs d ≥ 4 with d = 2, lists of longrope of another length than the pairs or not positive, a ramp whose ends are
// reversed or that leaves every pair as it is (spec/positions.md 13.28), share outside (0, 1], trained < 1, and what
// the rule has no use for: an option without effect is a mistake.
std::string rope_problem(const RopeConfig&, int64_t head_width, int64_t trained);

// trained: N. length: L; only the rules of depends_on_length look at it. UserError(Exit::usage) with rope_problem.
// With factor 1 every rule gives plain's θ to the last bit, except longrope, dynamic where L > N, and proportional with
// a share below 1.
Frequencies rope_frequencies(const RopeConfig&, int64_t head_width, int64_t trained, int64_t length);

// cos, sin [position.size(), θ.size()], f64 or f32, host memory: m · cos and m · sin of position[r] · θ[c], for any
// real positions. Error if a shape, dtype, device or alias is otherwise.
void rope_table(View cos, View sin, const Frequencies&, std::span<const double> position);

}  // namespace rw
