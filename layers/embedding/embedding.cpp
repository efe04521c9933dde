#include "layers/embedding/embedding.hpp"

#include "core/tensor/indices.hpp"

namespace rw {

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

  dispatch<cpu::embedding_forward>(__func__, ctx, y.dtype, y, id, table, store);
}

void embedding_backward(Ctx& ctx, View dtable, CView dy, CView id, Grad store) {
  RW_CHECK(dy.rows() > 0 && dy.width() > 0, dy);
  RW_CHECK(id.shape.elements() == dy.rows(), id, dy);
  RW_CHECK(dtable.rows() > 0 && dtable.width() == dy.width(), dtable, dy);
  RW_CHECK(id.dtype == DType::i32, id);
  RW_CHECK(dtable.dtype == dy.dtype, dtable, dy);
  RW_CHECK(on_device(ctx, dtable, dy, id), dtable, dy, id);
  RW_CHECK(disjoint_from_all(dtable, dy, id), dtable, dy, id);
  RW_CHECK(store != Grad::skip);
  check_indices(__func__, "id", ctx, id, dtable.rows());

  dispatch<cpu::embedding_backward>(__func__, ctx, dy.dtype, dtable, dy, id, store);
}

}  // namespace rw
