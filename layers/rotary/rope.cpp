#include "layers/rotary/rope.hpp"

#include "core/tensor/indices.hpp"

namespace rw {

void rope(Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, RopeLayout layout, bool inverse) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(cos.rows() > 0 && cos.width() > 0 && x.width() % (2 * cos.width()) == 0, cos, x);
  RW_CHECK(sin.shape == cos.shape, sin, cos);
  RW_CHECK(position.shape.elements() == x.rows(), position, x);
  RW_CHECK(y.dtype == x.dtype && cos.dtype == x.dtype && sin.dtype == x.dtype, y, cos, sin, x);
  RW_CHECK(position.dtype == DType::i32, position);
  RW_CHECK(on_device(ctx, y, x, cos, sin, position), y, x, cos, sin, position);
  RW_CHECK(same(y, x) || disjoint(y, x), y, x);
  RW_CHECK(disjoint_from_all(y, cos, sin, position), y, cos, sin, position);
  check_indices(__func__, "position", ctx, position, cos.rows());

  dispatch<cpu::rope, fast::rope>(__func__, ctx, x.dtype, y, x, cos, sin, position, layout, inverse);
}

}  // namespace rw
