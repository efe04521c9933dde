#include "core/base/parallel.hpp"
#include "core/tensor/indices.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {

void cpu::rope(Ctx&, View y, CView x, CView cos, CView sin, CView position, RopeLayout layout, bool inverse) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vx = x.as<T>(), vcos = cos.as<T>(), vsin = sin.as<T>();
    const Indices at(position);
    const int64_t pairs = cos.width(), heads = x.width() / (2 * pairs);
    const bool half = layout == RopeLayout::half;
    parallel_for(x.rows(), [=](int64_t r) {
      const T *cos_row = vcos[at[r]], *sin_row = vsin[at[r]];
      for (int64_t head = 0; head < heads; ++head) {
        const T* from = vx[r] + head * 2 * pairs;
        T* to = vy[r] + head * 2 * pairs;
        for (int64_t c = 0; c < pairs; ++c) {
          const int64_t ia = half ? c : 2 * c, ib = half ? c + pairs : 2 * c + 1;
          const T a = from[ia], b = from[ib], s = inverse ? -sin_row[c] : sin_row[c];
          to[ia] = a * cos_row[c] - b * s;
          to[ib] = a * s + b * cos_row[c];
        }
      }
    });
  });
}

}  // namespace rw
