#include "core/base/parallel.hpp"
#include "layers/mlp/dropout.hpp"

namespace rw {

void cpu::dropout(Ctx&, View y, CView x, double p, DrawKey key) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vx = x.as<T>();
    const int64_t length = x.shape.dim[1], width = x.width();
    const T scale = static_cast<T>(1 / (1 - p));
    parallel_for(x.rows(), [=](int64_t r) {
      const auto sample = key.sample + static_cast<uint32_t>(r / length);
      const int64_t first = r % length * width;  // element of the sample
      PhiloxCounter words{};
      for (int64_t c = 0; c < width; ++c) {
        const int64_t e = first + c;
        if (c == 0 || e % 4 == 0)
          words = philox({static_cast<uint32_t>(e / 4), sample, key.step, key.site}, philox_key(key.seed));
        const bool kept = uniform(words[static_cast<size_t>(e % 4)]) > p;
        vy[r][c] = kept ? vx[r][c] * scale : T(0);
      }
    });
  });
}

}  // namespace rw
