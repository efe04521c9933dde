#include <cmath>

#include "core/base/parallel.hpp"
#include "optim/adamw.hpp"

namespace rw {

void cpu::adamw(Ctx&, View p, View, View m, View v, CView g, CView clip, const AdamWOpt& opt) {
  visit_dtype<double, float>(p.dtype, [&]<class T>() {
    T* const vp = p.as<T>().data;
    T* const vm = m.as<T>().data;
    T* const vv = v.as<T>().data;
    const T* const vg = g.as<T>().data;
    const T factor = clip.as<T>().data[0];
    if (std::isnan(factor)) return;
    const auto step = static_cast<double>(opt.step);
    const T beta1 = T(opt.beta1), beta2 = T(opt.beta2), rest1 = T(1 - opt.beta1), rest2 = T(1 - opt.beta2);
    const T keep = T(1 - opt.lr * opt.weight_decay), lr = T(opt.lr / (1 - std::pow(opt.beta1, step)));
    const T root = T(std::sqrt(1 - std::pow(opt.beta2, step))), eps = T(opt.eps);
    constexpr int64_t kBlock = 1 << 14;  // elements
    parallel_for((p.width() + kBlock - 1) / kBlock, [=, n = p.width()](int64_t block) {
      for (int64_t i = block * kBlock; i < std::min((block + 1) * kBlock, n); ++i) {
        const T gradient = factor * vg[i];
        vm[i] = beta1 * vm[i] + rest1 * gradient;
        vv[i] = beta2 * vv[i] + rest2 * gradient * gradient;
        vp[i] = keep * vp[i] - lr * vm[i] / (std::sqrt(vv[i]) / root + eps);
      }
    });
  });
}

}  // namespace rw
