#include "optim/adamw.hpp"

namespace rw {

void adamw(Ctx& ctx, View p, View low, View m, View v, CView g, CView clip, const AdamWOpt& opt) {
  RW_CHECK(p.shape.rank == 1 && p.width() > 0, p);
  RW_CHECK(m.shape == p.shape && v.shape == p.shape && g.shape == p.shape, m, v, g, p);
  RW_CHECK(clip.shape == Shape{1}, clip);
  RW_CHECK(m.dtype == p.dtype && v.dtype == p.dtype && g.dtype == p.dtype && clip.dtype == p.dtype, m, v, g, clip, p);
  RW_CHECK(low.empty() || (low.shape == p.shape && low.dtype == DType::bf16 && ctx.device.kind == Device::cuda), low,
           p);
  RW_CHECK(on_device(ctx, p, low, m, v, g, clip), p, low, m, v, g, clip);
  RW_CHECK(disjoint_from_all(low, p, m, v, g, clip), low, p, m, v, g, clip);
  RW_CHECK(disjoint_from_all(p, m, v, g, clip) && disjoint_from_all(m, v, g, clip) && disjoint_from_all(v, g, clip), p,
           m, v, g, clip);
  RW_CHECK(opt.step >= 1, opt.step);
  RW_CHECK(opt.beta1 >= 0 && opt.beta1 < 1 && opt.beta2 >= 0 && opt.beta2 < 1, opt.beta1, opt.beta2);
  RW_CHECK(opt.lr >= 0 && opt.weight_decay >= 0 && opt.eps > 0, opt.lr, opt.weight_decay, opt.eps);
  dispatch<cpu::adamw, fast::adamw, cuda::adamw>(__func__, ctx, p.dtype, p, low, m, v, g, clip, opt);
}

}  // namespace rw
