#include "layers/rotary/ramp.hpp"

#include <algorithm>
#include <cmath>

#include "core/math/real.hpp"
#include "layers/rotary/words.hpp"

namespace rw {
namespace {

double beta_fast(const RopeConfig& config) {
  return config.beta_fast != 0 ? config.beta_fast : config.rule == RopeRule::llama3 ? 4 : 32;
}
double beta_slow(const RopeConfig& config) { return config.beta_slow != 0 ? config.beta_slow : 1; }
bool in_rotations(const RopeConfig& config) {
  return config.rule == RopeRule::llama3 || config.ramp == RopeRamp::rotations;
}

// A ramp over the indices of pairs: those up to `low` are left as they are, those from `high` on divided by s.
struct IndexRamp {
  double low, high;

  // The pair that turns n times in training has index d ln(N / 2πn) / (2 ln base). The upper end is kept below d, not
  // below d / 2, as the source's code has it.
  IndexRamp(double fast, double slow, const RopeConfig& config, int64_t d, int64_t trained) {
    const auto index = [&](double n) {
      return real(d) * std::log(real(trained) / (2 * M_PI * n)) / (2 * std::log(config.base));
    };
    low = std::max(config.truncate ? std::floor(index(fast)) : index(fast), 0.0);
    high = std::min(config.truncate ? std::ceil(index(slow)) : index(slow), real(d - 1));
  }
  double kept(int64_t c) const {  // γ
    const double end = low == high ? high + 0.001 : high;
    return 1 - std::clamp((real(c) - low) / (end - low), 0.0, 1.0);
  }
};

IndexRamp ramp_of(const RopeConfig& config, int64_t d, int64_t trained) {
  return {beta_fast(config), beta_slow(config), config, d, trained};
}

// Of by_parts_legacy, by the constants of the source.
IndexRamp legacy_slow(const RopeConfig& config, int64_t d, int64_t trained) { return {1.25, 0.75, config, d, trained}; }
IndexRamp legacy_fast(const RopeConfig& config, int64_t d, int64_t trained) { return {16, 2, config, d, trained}; }

double kept(const RopeConfig& config, int64_t d, int64_t trained, int64_t c) {  // γ
  if (!in_rotations(config)) return ramp_of(config, d, trained).kept(c);
  const double rotations = real(trained) * std::pow(config.base, -2 * real(c) / real(d)) / (2 * M_PI);
  const double fast = beta_fast(config), slow = beta_slow(config);
  return std::clamp((rotations - slow) / (fast - slow), 0.0, 1.0);
}

}  // namespace

std::vector<double> by_parts(const RopeConfig& config, std::vector<double> theta, int64_t trained) {
  const int64_t h = static_cast<int64_t>(theta.size());
  const double s = config.factor;
  for (int64_t c = 0; c < h; ++c) {
    double& t = theta[static_cast<size_t>(c)];
    const double gamma = kept(config, 2 * h, trained, c);
    t = config.blend == RopeBlend::harmonic ? t / ((1 - gamma) * s + gamma) : (1 - gamma) * (t / s) + gamma * t;
  }
  return theta;
}

std::vector<double> by_parts_legacy(const RopeConfig& config, std::vector<double> theta,
                                    const std::vector<double>& ntk_aware, int64_t trained) {
  const int64_t h = static_cast<int64_t>(theta.size());
  const IndexRamp slow = legacy_slow(config, 2 * h, trained), fast = legacy_fast(config, 2 * h, trained);
  for (int64_t c = 0; c < h; ++c) {
    double& t = theta[static_cast<size_t>(c)];
    const double squeezed = (1 - slow.kept(c)) * (t / config.factor) + slow.kept(c) * ntk_aware[static_cast<size_t>(c)];
    t = (1 - fast.kept(c)) * squeezed + fast.kept(c) * t;
  }
  return theta;
}

std::string ramp_problem(const RopeConfig& config, int64_t d, int64_t trained) {
  const auto reversed = [&](const IndexRamp& ramp) {
    return ramp.low <= ramp.high
               ? ""
               : words("the ramp would begin at pair ", ramp.low, " and end before it, at ", ramp.high,
                       ": the trained length ", trained, " does not suit the base ", config.base);
  };
  if (config.rule == RopeRule::by_parts_legacy) {
    const std::string problem = reversed(legacy_slow(config, d, trained));
    return problem.empty() ? reversed(legacy_fast(config, d, trained)) : problem;
  }
  const double fast = beta_fast(config), slow = beta_slow(config);
  if (!(slow > 0)) return words("beta_slow is ", slow, ", and must be above 0");
  if (!(fast > slow && std::isfinite(fast)))
    return words("beta_fast is ", fast, ", and must be above beta_slow, which is ", slow);
  if (!in_rotations(config))
    if (const std::string problem = reversed(ramp_of(config, d, trained)); !problem.empty()) return problem;
  for (int64_t c = 0; c < d / 2; ++c)
    if (config.factor == 1 || kept(config, d, trained, c) < 1) return "";
  return words("nothing would be rescaled: each pair turns often enough in the trained length ", trained,
               " to be kept");
}

}  // namespace rw
