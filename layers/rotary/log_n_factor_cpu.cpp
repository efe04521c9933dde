#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "core/math/real.hpp"
#include "layers/rotary/log_n_factor.hpp"

namespace rw {

void cpu::log_n_factor(Ctx&, View factor, CView position, int64_t least, int64_t trained) {
  visit_dtype<double, float>(factor.dtype, [&]<class T>() {
    const auto out = factor.as<T>();
    const auto at = position.as<int32_t>();
    const double log_n = std::log(real(trained));
    parallel_for(factor.rows(), [=, width = factor.width()](int64_t r) {
      for (int64_t c = 0; c < width; ++c)
        out[r][c] = static_cast<T>(std::log(real(std::max(int64_t{at[r][c]} + 1, least))) / log_n);
    });
  });
}

}  // namespace rw
