#include "layers/linear/linear.hpp"

#include "core/math/column_sum.hpp"

namespace rw {

static_assert(Layer<Linear>);

Linear::Linear(std::vector<Param::Part> parts, int64_t in, bool with_bias, double init_std) {
  int64_t out = 0;
  std::vector<Param::Part> of_bias;
  for (Param::Part& part : parts) {
    of_bias.push_back({part.name + ".bias", part.rows});
    part.name += ".weight";
    out += part.rows;
  }
  weight = {.parts = std::move(parts), .shape = {out, in}, .init_std = init_std};
  if (with_bias) bias.push_back({.parts = std::move(of_bias), .shape = {out}, .decay = false});
}

void Linear::forward(Ctx& ctx, View y, CView x, Saved& saved) const {
  gemm_nt(ctx, y, x, weight.value, bias.empty() ? CView{} : bias[0].value, Grad::overwrite);
  saved = {x};
}

void Linear::backward(Ctx& ctx, View dx, CView dy, const Saved& saved, Grad mode) const {
  if (mode != Grad::skip) {
    RW_CHECK(weight.grad.dtype == accumulator(dy.dtype), weight.grad, dy);
    gemm_tn(ctx, weight.grad, dy, saved.x, mode);
    for (const Param& b : bias) column_sum(ctx, b.grad, dy, mode);
  }
  if (!dx.empty()) gemm_nn(ctx, dx, dy, weight.value, Grad::overwrite);
}

}  // namespace rw
