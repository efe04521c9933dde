#include <cmath>

#include "core/base/parallel.hpp"
#include "layers/mlp/swiglu.hpp"

namespace rw {

void cpu::swiglu_forward(Ctx&, View y, CView g, CView u) {
  visit_dtype<double, float>(g.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vg = g.as<T>(), vu = u.as<T>();
    parallel_for(g.rows(), [=, width = g.width()](int64_t r) {
      for (int64_t c = 0; c < width; ++c) {
        const T sigma = 1 / (1 + std::exp(-vg[r][c]));
        vy[r][c] = vg[r][c] * sigma * vu[r][c];
      }
    });
  });
}

void cpu::swiglu_backward(Ctx&, View dg, View du, CView dy, CView g, CView u) {
  visit_dtype<double, float>(g.dtype, [&]<class T>() {
    const auto vdg = dg.as<T>(), vdu = du.as<T>();
    const auto vdy = dy.as<T>(), vg = g.as<T>(), vu = u.as<T>();
    parallel_for(g.rows(), [=, width = g.width()](int64_t r) {
      for (int64_t c = 0; c < width; ++c) {
        const T gate = vg[r][c], up = vu[r][c], sigma = 1 / (1 + std::exp(-gate));
        vdg[r][c] = vdy[r][c] * up * sigma * (1 + gate * (1 - sigma));
        vdu[r][c] = vdy[r][c] * gate * sigma;
      }
    });
  });
}

}  // namespace rw
