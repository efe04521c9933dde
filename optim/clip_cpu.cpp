#include "core/base/parallel.hpp"
#include "optim/clip.hpp"
#include "optim/clip_finish.hpp"

namespace rw {

void cpu::clip_factor(Ctx&, View norm, View clip, CView g, double limit, View partial) {
  visit_dtype<double, float>(g.dtype, [&]<class T>() {
    const T* values = g.as<T>().data;
    double* sums = partial.as<double>().data;
    parallel_for(partial.width(), [=, n = g.width()](int64_t block) {
      double sum = 0;
      for (int64_t i = block * kClipBlock; i < std::min((block + 1) * kClipBlock, n); ++i)
        sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      sums[block] = sum;
    });
    finish_clip<T>(norm, clip, partial, limit);
  });
}

}  // namespace rw
