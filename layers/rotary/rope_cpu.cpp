#include "core/base/parallel.hpp"
#include "core/tensor/indices.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {

void cpu::rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vx = x.as<T>(), vcos = cos.as<T>(), vsin = sin.as<T>();
    const Indices at(position);
    const int64_t pairs = cos.empty() ? 0 : cos.width(), width = opt.head_width, heads = x.width() / width;
    const bool half = opt.layout == RopeLayout::half;
    parallel_for(x.rows(), [=](int64_t r) {
      const T *cos_row = pairs ? vcos[at[r]] : nullptr, *sin_row = pairs ? vsin[at[r]] : nullptr;
      for (int64_t head = 0; head < heads; ++head) {
        const T* from = vx[r] + head * width;
        T* to = vy[r] + head * width;
        const auto put = [&](int64_t c, T value) { to[c] = opt.add ? to[c] + value : value; };
        for (int64_t c = 0; c < pairs; ++c) {
          const int64_t ia = half ? c : 2 * c, ib = half ? c + pairs : 2 * c + 1;
          const T a = from[ia], b = from[ib], s = opt.inverse ? -sin_row[c] : sin_row[c];
          put(ia, a * cos_row[c] - b * s);
          put(ib, a * s + b * cos_row[c]);
        }
        for (int64_t c = 2 * pairs; c < width; ++c) put(c, from[c]);
      }
    });
  });
}

}  // namespace rw
