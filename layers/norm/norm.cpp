#include "layers/norm/norm.hpp"

#include "layers/norm/layer_norm.hpp"
#include "layers/norm/rms_norm.hpp"

namespace rw {

static_assert(Layer<Norm>);

namespace {

struct Statistics {
  View mean, rstd;  // RMSNorm has no mean
};

Statistics take_statistics(Arena& arena, const Norm& norm, CView x) {
  if (norm.kind == NormKind::rms) {
    const int64_t groups = x.width() / norm.weight.shape.width();
    return {{}, arena.take({x.rows(), groups}, accumulator(x.dtype), "norm.rstd")};
  }
  const View mean = arena.take({x.rows()}, accumulator(x.dtype), "norm.mean");
  return {mean, arena.take({x.rows()}, accumulator(x.dtype), "norm.rstd")};
}

void compute(Ctx& ctx, const Norm& norm, View y, View h, const Statistics& s, CView x, CView branch) {
  if (norm.kind == NormKind::rms) return rms_norm_forward(ctx, y, h, s.rstd, x, branch, norm.weight.value, norm.eps);
  const CView bias = norm.bias.empty() ? CView{} : norm.bias[0].value;
  layer_norm_forward(ctx, y, h, s.mean, s.rstd, x, branch, norm.weight.value, bias, norm.eps);
}

}  // namespace

Norm::Norm(NormKind kind_, std::string name, int64_t width, bool with_bias, double eps_) : kind(kind_), eps(eps_) {
  RW_CHECK(kind == NormKind::layer || !with_bias, name);
  weight = {.parts = {{name + ".weight", width}}, .shape = {width}, .decay = false, .init_fill = 1};
  if (with_bias) bias.push_back({.parts = {{name + ".bias", width}}, .shape = {width}, .decay = false});
}

void Norm::forward(Ctx& ctx, View y, View h, CView x, CView branch, Saved& saved) const {
  const Statistics s = take_statistics(ctx.saved, *this, x);
  compute(ctx, *this, y, h, s, x, branch);
  saved = {branch.empty() ? x : CView(h), s.mean, s.rstd};
}

void Norm::backward(Ctx& ctx, View dx, CView dy, CView dh, const Saved& saved, Grad mode) const {
  if (kind == NormKind::rms)
    return rms_norm_backward(ctx, dx, weight.grad, dy, dh, saved.h, saved.rstd, weight.value, mode);
  const View dbias = bias.empty() ? View{} : bias[0].grad;
  layer_norm_backward(ctx, dx, weight.grad, dbias, dy, dh, saved.h, saved.mean, saved.rstd, weight.value, mode);
}

// A norm of the sum has the bits of a norm with the add before it, so the statistics need not be read, only made anew.
void Norm::again(Ctx& ctx, View y, const Saved& saved) const {
  const ArenaScope scope(ctx.scratch);
  compute(ctx, *this, y, {}, take_statistics(ctx.scratch, *this, saved.h), saved.h, {});
}

}  // namespace rw
