#include "layers/rotary/frequencies.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "core/base/user_error.hpp"
#include "core/math/real.hpp"
#include "layers/rotary/ramp.hpp"
#include "layers/rotary/words.hpp"

namespace rw {
namespace {

constexpr std::string_view kRuleNames[] = {"plain",     "linear",   "ntk_old",     "ntk_aware",       "ntk_fixed",
                                           "ntk_mixed", "dynamic",  "by_parts",    "by_parts_legacy", "yarn",
                                           "llama3",    "longrope", "proportional"};

bool needs_two_pairs(RopeRule rule) {
  return rule == RopeRule::ntk_aware || rule == RopeRule::dynamic || rule == RopeRule::by_parts_legacy;
}
int64_t share_of(const RopeConfig& config, int64_t head_width) {
  return static_cast<int64_t>(config.share * real(head_width));
}

// base^(-2c / d), c = 0 .. pairs - 1
std::vector<double> series(double base, int64_t d, int64_t pairs) {
  std::vector<double> theta;
  for (int64_t c = 0; c < pairs; ++c) theta.push_back(std::pow(base, -2 * real(c) / real(d)));
  return theta;
}

std::vector<double> frequencies(const RopeConfig& config, int64_t head_width, int64_t trained, int64_t length) {
  const int64_t d = rotated_width(config, head_width), h = d / 2;
  const double s = config.factor;
  std::vector<double> theta = series(config.base, d, h);
  const auto divided = [&](auto&& by) {
    for (int64_t c = 0; c < h; ++c) theta[static_cast<size_t>(c)] /= by(c);
    return theta;
  };
  const bool own = depends_on_length(config.rule) || config.rule == RopeRule::proportional;
  if (s == 1 && !own) return theta;
  switch (config.rule) {
    case RopeRule::plain:
      return theta;
    case RopeRule::dynamic:
      if (length <= trained) return theta;
      return series(ntk_aware_base(config.base, d, s * (real(length) / real(trained)) - (s - 1)), d, h);
    case RopeRule::longrope:
      return divided([&](int64_t c) {
        return (length > trained ? config.long_factor : config.short_factor)[static_cast<size_t>(c)];
      });
    case RopeRule::proportional:
      std::fill(theta.begin() + share_of(config, head_width) / 2, theta.end(), 0);
      return divided([&](int64_t) { return s; });
    case RopeRule::linear:
      return divided([&](int64_t) { return s; });
    case RopeRule::ntk_old:
      return series(config.base * s, d, h);
    case RopeRule::ntk_aware:
      return series(ntk_aware_base(config.base, d, s), d, h);
    case RopeRule::ntk_fixed:
      return divided([&](int64_t c) { return std::pow(s, 2 * real(c + 1) / real(d)); });
    case RopeRule::ntk_mixed: {
      const double a = std::log(s) / std::pow(real(h), config.exponent);
      return divided([&](int64_t c) { return std::exp(a * std::pow(real(c + 1), config.exponent)); });
    }
    case RopeRule::by_parts:
    case RopeRule::yarn:
    case RopeRule::llama3:
      return by_parts(config, std::move(theta), trained);
    case RopeRule::by_parts_legacy:
      return by_parts_legacy(config, std::move(theta), series(ntk_aware_base(config.base, d, s), d, h), trained);
  }
  return theta;
}

double magnitude(const RopeConfig& config, int64_t trained) {
  if (config.attention_factor != 0) return config.attention_factor;
  const double growth = std::log(config.factor);
  const auto get = [&](double x) { return 0.1 * x * growth + 1; };
  if (config.rule == RopeRule::yarn)
    return config.mscale != 0 && config.mscale_all_dim != 0 ? get(config.mscale) / get(config.mscale_all_dim) : get(1);
  if (config.rule == RopeRule::longrope && growth > 0) return std::sqrt(1 + growth / std::log(real(trained)));
  return 1;
}

// The first field that is given and that the rule does not use.
std::string without_use(const RopeConfig& config) {
  const RopeConfig unset;
  const RopeRule rule = config.rule;
  const bool is_yarn = rule == RopeRule::yarn, is_longrope = rule == RopeRule::longrope;
  const bool has_index = (rule == RopeRule::by_parts || is_yarn) && config.ramp == RopeRamp::index;
  const struct {
    const char* name;
    bool given, used;
  } fields[] = {
      {"factor", config.factor != 1, rule != RopeRule::plain},
      {"ntk_exponent", config.exponent != unset.exponent, rule == RopeRule::ntk_mixed},
      {"beta_fast", config.beta_fast != 0, has_ramp(rule)},
      {"beta_slow", config.beta_slow != 0, has_ramp(rule)},
      {"rope_ramp", config.ramp != unset.ramp, rule == RopeRule::by_parts || is_yarn},
      {"rope_blend", config.blend != unset.blend, rule == RopeRule::by_parts || is_yarn},
      {"rope_truncate", config.truncate != unset.truncate, has_index},
      {"attention_factor", config.attention_factor != 0, is_yarn || is_longrope},
      {"mscale", config.mscale != 0, is_yarn},
      {"mscale_all_dim", config.mscale_all_dim != 0, is_yarn},
      {"short_factor", !config.short_factor.empty(), is_longrope},
      {"long_factor", !config.long_factor.empty(), is_longrope},
  };
  for (const auto& field : fields)
    if (field.given && !field.used) return field.name;
  return "";
}

std::string longrope_problem(const RopeConfig& config, int64_t d, int64_t trained) {
  for (const auto& [name, list] :
       {std::pair{"short_factor", &config.short_factor}, {"long_factor", &config.long_factor}}) {
    if (list->size() != static_cast<size_t>(d / 2))
      return words(name, " has ", list->size(), " numbers, and must have ", d / 2, ", one for each rotated pair");
    for (double v : *list)
      if (!(v > 0 && std::isfinite(v))) return words(name, " contains ", v, ", and all of it must be above 0");
  }
  if (trained < 2 && config.factor > 1 && config.attention_factor == 0)
    return words("its magnitude needs a trained length of at least 2, not ", trained);
  return "";
}

}  // namespace

double ntk_aware_base(double base, int64_t d, double factor) { return base * std::pow(factor, real(d) / real(d - 2)); }

std::string_view rope_rule_name(RopeRule rule) { return kRuleNames[static_cast<size_t>(rule)]; }

int64_t rotated_width(const RopeConfig& config, int64_t head_width) {
  return config.rule == RopeRule::proportional ? head_width : share_of(config, head_width);
}

std::string rope_problem(const RopeConfig& config, int64_t head_width, int64_t trained) {
  const auto finite_from = [](double v, double least) { return v >= least && std::isfinite(v); };
  if (!(config.share > 0 && config.share <= 1))
    return words("the rotated share of a head is ", config.share, ", and must be above 0 and at most 1");
  const int64_t share = share_of(config, head_width), d = rotated_width(config, head_width);
  for (int64_t width : {share, d})
    if (width < 2 || width % 2 != 0)
      return words("it would rotate ", width, " of the ", head_width,
                   " coordinates of a head, and must rotate an even number, at least 2");
  if (!(config.base > 1 && std::isfinite(config.base)))
    return words("the base is ", config.base, ", and must be above 1");
  if (!finite_from(config.factor, 1)) return words("the factor is ", config.factor, ", and must be at least 1");
  if (trained < 1) return words("the trained length is ", trained, ", and must be at least 1");
  if (const std::string field = without_use(config); !field.empty())
    return words(rope_rule_name(config.rule), " has no use for ", field);
  if (needs_two_pairs(config.rule) && d < 4)
    return words(rope_rule_name(config.rule), " needs a rotated width of at least 4, not ", d);
  if (!(config.exponent >= 0 && config.exponent <= 1))
    return words("the exponent is ", config.exponent, ", and must be from 0 to 1");
  for (const auto& [name, v] : {std::pair{"attention_factor", config.attention_factor},
                                {"mscale", config.mscale},
                                {"mscale_all_dim", config.mscale_all_dim}})
    if (!finite_from(v, 0)) return words(name, " is ", v, ", and must be above 0");
  if (has_ramp(config.rule) || config.rule == RopeRule::by_parts_legacy) return ramp_problem(config, d, trained);
  if (config.rule == RopeRule::longrope) return longrope_problem(config, d, trained);
  return "";
}

Frequencies rope_frequencies(const RopeConfig& config, int64_t head_width, int64_t trained, int64_t length) {
  if (const std::string problem = rope_problem(config, head_width, trained); !problem.empty())
    throw UserError(Exit::usage, "the rotary rule is refused: " + problem);
  return {frequencies(config, head_width, trained, length), magnitude(config, trained)};
}

void rope_table(View cos, View sin, const Frequencies& frequencies, std::span<const double> position) {
  const std::vector<double>& theta = frequencies.theta;
  RW_CHECK(cos.rows() > 0 && cos.width() > 0 && cos.width() == static_cast<int64_t>(theta.size()), cos);
  RW_CHECK(cos.rows() == static_cast<int64_t>(position.size()), cos);
  RW_CHECK(sin.shape == cos.shape, sin, cos);
  RW_CHECK(cos.dtype == DType::f64 || cos.dtype == DType::f32, cos);
  RW_CHECK(sin.dtype == cos.dtype, sin, cos);
  RW_CHECK(cos.device.kind == Device::cpu && sin.device.kind == Device::cpu, cos, sin);
  RW_CHECK(disjoint(cos, sin), cos, sin);
  visit_dtype<double, float>(cos.dtype, [&]<class T>() {
    const auto vcos = cos.as<T>(), vsin = sin.as<T>();
    parallel_for(cos.rows(), [&](int64_t r) {
      for (size_t c = 0; c < theta.size(); ++c) {
        const double angle = position[static_cast<size_t>(r)] * theta[c];
        vcos[r][c] = static_cast<T>(frequencies.magnitude * std::cos(angle));
        vsin[r][c] = static_cast<T>(frequencies.magnitude * std::sin(angle));
      }
    });
  });
}

}  // namespace rw
