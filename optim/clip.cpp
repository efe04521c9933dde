#include "optim/clip.hpp"

namespace rw {

void clip_factor(Ctx& ctx, View norm, View clip, CView g, double limit) {
  RW_CHECK(g.shape.rank == 1 && g.width() > 0, g);
  RW_CHECK(norm.shape == Shape{1} && clip.shape == Shape{1}, norm, clip);
  RW_CHECK(norm.dtype == g.dtype && clip.dtype == g.dtype, norm, clip, g);
  RW_CHECK(on_device(ctx, norm, clip, g), norm, clip, g);
  RW_CHECK(disjoint(norm, clip) && disjoint_from_all(g, norm, clip), norm, clip, g);
  RW_CHECK(limit >= 0, limit);
  const ArenaScope scope(ctx.scratch);
  const View partial = ctx.scratch.take({(g.width() + kClipBlock - 1) / kClipBlock}, DType::f64, "clip_factor.partial");
  dispatch<cpu::clip_factor, fast::clip_factor, cuda::clip_factor>(__func__, ctx, g.dtype, norm, clip, g, limit,
                                                                   partial);
}

}  // namespace rw
