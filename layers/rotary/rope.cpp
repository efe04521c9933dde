#include "layers/rotary/rope.hpp"

#include "core/tensor/indices.hpp"

namespace rw {

void rope(Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
  RW_CHECK(x.rows() > 0 && x.width() > 0, x);
  RW_CHECK(y.shape == x.shape, y, x);
  RW_CHECK(opt.head_width > 0 && x.width() % opt.head_width == 0, opt.head_width, x);
  RW_CHECK(cos.empty() == sin.empty() && sin.shape == cos.shape, sin, cos);
  if (!cos.empty()) {
    RW_CHECK(cos.rows() > 0 && cos.width() > 0 && 2 * cos.width() <= opt.head_width, cos, opt.head_width);
    RW_CHECK(cos.dtype == accumulator(x.dtype) && sin.dtype == cos.dtype, cos, sin, x);
  }
  RW_CHECK(position.shape.elements() == x.rows(), position, x);
  RW_CHECK(y.dtype == x.dtype, y, x);
  RW_CHECK(position.dtype == DType::i32, position);
  RW_CHECK(on_device(ctx, y, x, cos, sin, position), y, x, cos, sin, position);
  RW_CHECK((same(y, x) && !opt.add) || disjoint(y, x), y, x, opt.add);
  RW_CHECK(disjoint_from_all(y, cos, sin, position), y, cos, sin, position);
  if (!cos.empty()) check_indices(__func__, "position", ctx, position, cos.rows());

  dispatch<cpu::rope, fast::rope, cuda::rope>(__func__, ctx, x.dtype, y, x, cos, sin, position, opt);
}

}  // namespace rw
