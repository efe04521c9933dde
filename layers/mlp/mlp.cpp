#include "layers/mlp/mlp.hpp"

#include "layers/mlp/swiglu.hpp"

namespace rw {
namespace {

std::vector<Param::Part> up_parts(const std::string& prefix, MlpKind kind, int64_t hidden) {
  if (kind == MlpKind::swiglu) return {{prefix + "gate_proj", hidden}, {prefix + "up_proj", hidden}};
  return {{prefix + "up_proj", hidden}};
}

GeluForm form_of(MlpKind kind) { return kind == MlpKind::gelu ? GeluForm::exact : GeluForm::tanh; }

}  // namespace

static_assert(Layer<Mlp>);

Mlp::Mlp(const std::string& prefix, MlpKind kind_, int64_t width, int64_t hidden_, bool with_bias, double init_std,
         double init_std_down)
    : kind(kind_),
      hidden(hidden_),
      up(up_parts(prefix, kind, hidden), width, with_bias, init_std),
      down({{prefix + "down_proj", width}}, hidden, with_bias, init_std_down) {}

void Mlp::activate(Ctx& ctx, View y, CView product) const {
  if (kind == MlpKind::swiglu)
    swiglu_forward(ctx, y, columns(product, 0, hidden), columns(product, hidden, hidden));
  else
    gelu_forward(ctx, y, product, form_of(kind));
}

void Mlp::forward(Ctx& ctx, View y, CView x, bool keep, Saved& saved) const {
  const ArenaScope scope(ctx.scratch);
  const auto shape_of = [&](int64_t width) {
    Shape shape = x.shape;
    shape.dim[static_cast<size_t>(shape.rank - 1)] = width;
    return shape;
  };
  saved.product = ctx.saved.take(shape_of(up.weight.shape.dim[0]), x.dtype, "mlp.product");
  up.forward(ctx, saved.product, x, saved.up);
  const View activation = (keep ? ctx.saved : ctx.scratch).take(shape_of(hidden), x.dtype, "mlp.activation");
  activate(ctx, activation, saved.product);
  down.forward(ctx, y, activation, saved.down);
  if (!keep) saved.down.x = {};
}

void Mlp::backward(Ctx& ctx, View dx, CView dy, const Saved& saved, Grad mode) const {
  const ArenaScope scope(ctx.scratch);
  Shape shape = dy.shape;
  shape.dim[static_cast<size_t>(shape.rank - 1)] = hidden;
  Linear::Saved of_down = saved.down;
  if (of_down.x.empty()) {
    const View activation = ctx.scratch.take(shape, dy.dtype, "mlp.activation");
    activate(ctx, activation, saved.product);
    of_down.x = activation;
  }
  const View dactivation = ctx.scratch.take(shape, dy.dtype, "mlp.dactivation");
  down.backward(ctx, dactivation, dy, of_down, mode);
  const View product = saved.product;  // becomes its own gradient
  if (kind == MlpKind::swiglu) {
    const View gate = columns(product, 0, hidden), linear = columns(product, hidden, hidden);
    swiglu_backward(ctx, gate, linear, dactivation, gate, linear);
  } else {
    gelu_backward(ctx, product, dactivation, product, form_of(kind));
  }
  up.backward(ctx, dx, product, saved.up, mode);
}

}  // namespace rw
