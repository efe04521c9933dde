#include "core/math/add_parts.hpp"
#include "core/math/column_sum.hpp"

namespace rw {

void cpu::column_sum(Ctx&, View sum, CView x, Grad store, View partial) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    const auto vx = x.as<T>();
    const auto parts = partial.as<T>();
    const int64_t rows = x.rows(), width = x.width(), count = partial.rows();
    parallel_for(count, [=](int64_t part) {
      std::fill_n(parts[part], width, T(0));
      const auto [begin, end] = row_part(rows, count, part);
      for (int64_t r = begin; r < end; ++r)
        for (int64_t c = 0; c < width; ++c) parts[part][c] += vx[r][c];
    });
    add_parts(sum.as<T>().data, CView(partial).as<T>(), count, width, store);
  });
}

}  // namespace rw
