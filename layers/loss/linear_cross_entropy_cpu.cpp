#include <cmath>

#include "core/base/parallel.hpp"
#include "layers/loss/linear_cross_entropy.hpp"

namespace rw {

void cpu::softmax_cross_entropy(Ctx&, View nll, View z, CView target, double scale, bool gradient) {
  visit_dtype<double, float>(z.dtype, [&]<class T>() {
    const auto vz = z.as<T>();
    T* losses = nll.as<T>().data;
    const int32_t* targets = target.as<int32_t>().data;
    parallel_for(z.rows(), [=, width = z.width()](int64_t r) {
      T* row = vz[r];
      if (targets[r] == kIgnore) {
        losses[r] = 0;
        if (gradient) std::fill_n(row, width, T(0));
        return;
      }
      const T most = *std::max_element(row, row + width), of_target = row[targets[r]];
      T sum = 0;
      for (int64_t c = 0; c < width; ++c) sum += std::exp(row[c] - most);
      losses[r] = std::log(sum) + (most - of_target);
      if (!gradient) return;
      for (int64_t c = 0; c < width; ++c)
        row[c] = static_cast<T>(scale) * (std::exp(row[c] - most) / sum - T(c == targets[r]));
    });
  });
}

}  // namespace rw
