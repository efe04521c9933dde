#include "layers/rotary/base_bound.hpp"

#include <cmath>
#include <optional>
#include <string>

#include "core/base/user_error.hpp"
#include "core/math/real.hpp"
#include "layers/rotary/frequencies.hpp"

namespace rw {
namespace {

constexpr double kRounding = 1e-6;  // far above that of any similarity here

// The first distance among first, first + stride, ... (`count` of them) at which the similarity is negative. From one
// to the next the angles are turned on by stride · θ, and computed anew every 64 steps; what is not clearly positive is
// computed directly.
std::optional<int64_t> find_negative(const std::vector<double>& theta, int64_t still, int64_t first, int64_t stride,
                                     int64_t count) {
  const size_t n = theta.size();
  std::vector<double> cos(n), sin(n), cos_step(n), sin_step(n);
  const auto set = [&](std::vector<double>& to_cos, std::vector<double>& to_sin, int64_t distance) {
    for (size_t c = 0; c < n; ++c) {
      to_cos[c] = std::cos(real(distance) * theta[c]);
      to_sin[c] = std::sin(real(distance) * theta[c]);
    }
  };
  set(cos_step, sin_step, stride);
  for (int64_t k = 0; k < count; ++k) {
    const int64_t r = first + k * stride;
    if (k % 64 == 0) set(cos, sin, r);
    double sum = real(still) / 2;
    for (size_t c = 0; c < n; ++c) {
      sum += cos[c];
      const double turned = cos[c] * cos_step[c] - sin[c] * sin_step[c];
      sin[c] = sin[c] * cos_step[c] + cos[c] * sin_step[c];
      cos[c] = turned;
    }
    if (sum < kRounding && rope_similarity(theta, r, still) < 0) return r;
  }
  return std::nullopt;
}

std::vector<double> plain_frequencies(double base, int64_t d) {
  RopeConfig config;
  config.base = base;
  return rope_frequencies(config, d, 1, 1).theta;
}

class BaseSearch {
 public:
  BaseSearch(int64_t context, int64_t d, int64_t still) : context_(context), d_(d), still_(still) {}

  // 0 if the similarity is nowhere negative below the context; else a base such that no base from this one up to there
  // is feasible. For f = Σ_c cos(r θ[c]), |∂f / ∂ ln b| ≤ Σ_c r θ[c] 2c/d, which falls as b grows: where f < 0, it
  // stays so at that distance while ln b grows by less than -f divided by this bound.
  double infeasible_up_to(double base) {
    const std::vector<double> theta = plain_frequencies(base, d_);
    if (rope_similarity(theta, negative_, still_) >= 0 && !is_negative_somewhere(theta)) return 0;
    double bound = 0;
    for (size_t c = 0; c < theta.size(); ++c)
      bound += real(negative_) * theta[c] * 2 * static_cast<double>(c) / real(d_);
    return base * std::exp(-(rope_similarity(theta, negative_, still_) + kRounding) / bound);
  }

 private:
  // Tries all distances, from the far end, where it is likely, and roughly first.
  bool is_negative_somewhere(const std::vector<double>& theta) {
    for (int64_t stride : {1009, 101, 11, 1})
      if (const auto found = find_negative(theta, still_, context_ - 1, -stride, (context_ - 1) / stride + 1)) {
        negative_ = *found;
        return true;
      }
    return false;
  }

  int64_t context_, d_, still_;
  int64_t negative_ = 0;  // where the similarity was negative last: it mostly is there for the next base too
};

}  // namespace

double rope_similarity(const std::vector<double>& theta, int64_t distance, int64_t still) {
  double sum = real(still) / 2;
  for (double t : theta) sum += std::cos(real(distance) * t);
  return sum;
}

int64_t rope_usable_length(const std::vector<double>& theta, int64_t most, int64_t still) {
  RW_CHECK(most >= 0 && still >= 0, most, still);
  return find_negative(theta, still, 0, 1, most).value_or(most);
}

double rope_base_bound(int64_t context, int64_t d, int64_t still) {
  RW_CHECK(context > 0 && still >= 0, context, still);
  RW_CHECK(d > 0 && d % 2 == 0, d);
  BaseSearch search(context, d, still);
  double bound = 1000 * real(context);
  for (int64_t steps = 10; steps <= 100000; steps *= 10) {
    const auto grid = [&](int64_t i) { return bound * (real(i) / real(steps)); };
    double infeasible = 1;
    int64_t i = 1;
    for (; i <= steps && infeasible > 0; ++i)
      if (grid(i) > infeasible) infeasible = search.infeasible_up_to(grid(i));
    if (infeasible > 0)
      throw UserError(Exit::usage,
                      "no rotary base up to " + std::to_string(1000 * context) + " suits a context of " +
                          std::to_string(context) + " with a rotated width of " + std::to_string(d),
                      "the rotated width is too small to tell tokens apart at that distance\n"
                      "choose wider heads, a shorter context, or give the base itself");
    bound = grid(i - 1);
  }
  return bound;
}

}  // namespace rw
