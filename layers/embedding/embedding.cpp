#include "layers/embedding/embedding.hpp"

#include <limits>

#include "core/tensor/indices.hpp"

namespace rw {
namespace {

EmbeddingScratch take_scratch(Ctx& ctx, CView dy) {
  if (ctx.device.kind == Device::cpu) return {};
  using S = EmbeddingScratch;
  const int64_t rows = dy.rows(), tiles = (rows - 1) / S::kTile + 1, spans = (rows - 1) / S::kSpan + 1;
  RW_CHECK(rows <= std::numeric_limits<int32_t>::max(), dy);
  return {ctx.scratch.take({2, rows, 2}, DType::i32, "embedding.tokens"),
          ctx.scratch.take({tiles + 1, S::kDigits}, DType::i32, "embedding.counts"),
          ctx.scratch.take({spans, dy.width()}, accumulator(dy.dtype), "embedding.partial")};
}

}  // namespace

void embedding_forward(Ctx& ctx, View y, CView id, CView table, Grad store) {
  RW_CHECK(y.rows() > 0 && y.width() > 0, y);
  RW_CHECK(id.shape.elements() == y.rows(), id, y);
  RW_CHECK(table.rows() > 0 && table.width() == y.width(), table, y);
  RW_CHECK(id.dtype == DType::i32, id);
  RW_CHECK(table.dtype == y.dtype, table, y);
  RW_CHECK(on_device(ctx, y, id, table), y, id, table);
  RW_CHECK(disjoint_from_all(y, id, table), y, id, table);
  RW_CHECK(store != Grad::skip);
  check_indices(__func__, "id", ctx, id, table.rows());

  dispatch<cpu::embedding_forward, no_twin, cuda::embedding_forward>(__func__, ctx, y.dtype, y, id, table, store);
}

void embedding_backward(Ctx& ctx, View dtable, CView dy, CView id, Grad store) {
  RW_CHECK(dy.rows() > 0 && dy.width() > 0, dy);
  RW_CHECK(id.shape.elements() == dy.rows(), id, dy);
  RW_CHECK(dtable.rows() > 0 && dtable.width() == dy.width(), dtable, dy);
  RW_CHECK(id.dtype == DType::i32, id);
  RW_CHECK(dtable.dtype == accumulator(dy.dtype), dtable, dy);
  RW_CHECK(on_device(ctx, dtable, dy, id), dtable, dy, id);
  RW_CHECK(disjoint_from_all(dtable, dy, id), dtable, dy, id);
  RW_CHECK(store != Grad::skip);
  check_indices(__func__, "id", ctx, id, dtable.rows());

  const ArenaScope scope(ctx.scratch);
  const EmbeddingScratch scratch = take_scratch(ctx, dy);
  dispatch<cpu::embedding_backward, no_twin, cuda::embedding_backward>(__func__, ctx, dy.dtype, dtable, dy, id, store,
                                                                       scratch);
}

}  // namespace rw
