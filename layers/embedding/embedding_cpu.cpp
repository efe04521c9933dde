#include "core/base/parallel.hpp"
#include "core/tensor/indices.hpp"
#include "layers/embedding/embedding.hpp"

namespace rw {

void cpu::embedding_forward(Ctx&, View y, CView id, CView table, Grad store) {
  visit_dtype<double, float>(y.dtype, [&]<class T>() {
    const auto vy = y.as<T>();
    const auto vtable = table.as<T>();
    const Indices ids(id);
    parallel_for(y.rows(), [=, width = y.width()](int64_t r) {
      const T* from = vtable[ids[r]];
      if (store == Grad::overwrite)
        std::copy_n(from, width, vy[r]);
      else
        for (int64_t c = 0; c < width; ++c) vy[r][c] += from[c];
    });
  });
}

// In parallel over blocks of columns, so no two threads add to one element, and each adds in the order of the rows.
void cpu::embedding_backward(Ctx&, View dtable, CView dy, CView id, Grad store, EmbeddingScratch) {
  constexpr int64_t kBlock = 32;  // columns: two cache lines of f32
  visit_dtype<double, float>(dy.dtype, [&]<class T>() {
    const auto vdtable = dtable.as<T>();
    const auto vdy = dy.as<T>();
    const Indices ids(id);
    const int64_t rows = dy.rows(), width = dy.width();
    if (store == Grad::overwrite) parallel_for(dtable.rows(), [=](int64_t i) { std::fill_n(vdtable[i], width, T(0)); });
    parallel_for((width + kBlock - 1) / kBlock, [=](int64_t block) {
      const int64_t begin = block * kBlock, end = std::min(begin + kBlock, width);
      for (int64_t r = 0; r < rows; ++r) {
        T* to = vdtable[ids[r]];
        const T* from = vdy[r];
        for (int64_t c = begin; c < end; ++c) to[c] += from[c];
      }
    });
  });
}

}  // namespace rw
