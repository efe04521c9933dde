#include "layers/rotary/frequencies.hpp"

#include <cmath>

#include "core/base/parallel.hpp"
#include "core/base/user_error.hpp"

namespace rw {

std::vector<double> rope_frequencies(double base, int64_t d) {
  RW_CHECK(d > 0 && d % 2 == 0, d);
  RW_CHECK(base > 1, base);
  std::vector<double> theta;
  for (int64_t c = 0; c < d / 2; ++c)
    theta.push_back(std::pow(base, -2 * static_cast<double>(c) / static_cast<double>(d)));
  return theta;
}

void rope_table(View cos, View sin, const std::vector<double>& theta) {
  RW_CHECK(cos.rows() > 0 && cos.width() > 0 && cos.width() == static_cast<int64_t>(theta.size()), cos);
  RW_CHECK(sin.shape == cos.shape, sin, cos);
  RW_CHECK(cos.dtype == DType::f64 || cos.dtype == DType::f32, cos);
  RW_CHECK(sin.dtype == cos.dtype, sin, cos);
  RW_CHECK(cos.device.kind == Device::cpu && sin.device.kind == Device::cpu, cos, sin);
  RW_CHECK(disjoint(cos, sin), cos, sin);
  visit_dtype<double, float>(cos.dtype, [&]<class T>() {
    const auto vcos = cos.as<T>(), vsin = sin.as<T>();
    parallel_for(cos.rows(), [&](int64_t p) {
      for (size_t c = 0; c < theta.size(); ++c) {
        const double angle = static_cast<double>(p) * theta[c];
        vcos[p][c] = static_cast<T>(std::cos(angle));
        vsin[p][c] = static_cast<T>(std::sin(angle));
      }
    });
  });
}

namespace {

double similarity(const std::vector<double>& theta, int64_t distance) {  // Σ_c cos(r θ[c])
  double sum = 0;
  for (double t : theta) sum += std::cos(static_cast<double>(distance) * t);
  return sum;
}

class BaseSearch {
 public:
  BaseSearch(int64_t context, int64_t d) : context_(context), d_(d) {}

  // 0 if the similarity is nowhere negative below the context; else a base such that no base from this one up to there
  // is feasible. For f = Σ_c cos(r θ[c]), |∂f / ∂ ln b| ≤ Σ_c r θ[c] 2c/d, which falls as b grows: where f < 0, it
  // stays so at that distance while ln b grows by less than -f divided by this bound.
  double infeasible_up_to(double base) {
    const std::vector<double> theta = rope_frequencies(base, d_);
    if (similarity(theta, negative_) >= 0 && !find_negative(theta)) return 0;
    double bound = 0;
    for (size_t c = 0; c < theta.size(); ++c)
      bound += static_cast<double>(negative_) * theta[c] * 2 * static_cast<double>(c) / static_cast<double>(d_);
    return base * std::exp(-(similarity(theta, negative_) + kRounding) / bound);
  }

 private:
  // Tries all distances, the likely ones first. From one to the next the angles are turned back by stride · θ, and
  // computed anew every 64 steps; what is not clearly positive is computed directly.
  bool find_negative(const std::vector<double>& theta) {
    const size_t n = theta.size();
    std::vector<double> cos(n), sin(n), cos_step(n), sin_step(n);
    const auto set = [&](std::vector<double>& to_cos, std::vector<double>& to_sin, int64_t distance) {
      for (size_t c = 0; c < n; ++c) {
        to_cos[c] = std::cos(static_cast<double>(distance) * theta[c]);
        to_sin[c] = std::sin(static_cast<double>(distance) * theta[c]);
      }
    };
    for (int64_t stride : {1009, 101, 11, 1}) {
      set(cos_step, sin_step, stride);
      for (int64_t r = context_ - 1, step = 0; r >= 0; r -= stride, ++step) {
        if (step % 64 == 0) set(cos, sin, r);
        double sum = 0;
        for (size_t c = 0; c < n; ++c) {
          sum += cos[c];
          const double turned = cos[c] * cos_step[c] + sin[c] * sin_step[c];
          sin[c] = sin[c] * cos_step[c] - cos[c] * sin_step[c];
          cos[c] = turned;
        }
        if (sum < kRounding && similarity(theta, r) < 0) {
          negative_ = r;
          return true;
        }
      }
    }
    return false;
  }

  static constexpr double kRounding = 1e-6;  // far above that of any similarity here
  int64_t context_, d_;
  int64_t negative_ = 0;  // where the similarity was negative last: it mostly is there for the next base too
};

}  // namespace

double rope_base_bound(int64_t context, int64_t d) {
  RW_CHECK(context > 0, context);
  RW_CHECK(d > 0 && d % 2 == 0, d);
  BaseSearch search(context, d);
  double bound = 1000 * static_cast<double>(context);
  for (int64_t steps = 10; steps <= 100000; steps *= 10) {
    const auto grid = [&](int64_t i) { return bound * (static_cast<double>(i) / static_cast<double>(steps)); };
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
