#include "train/loop/evaluator.hpp"

#include <limits>
#include <numbers>

#include "core/device/copy.hpp"
#include "layers/loss/linear_cross_entropy.hpp"

namespace rw {

double bits_per_byte(double loss, uint64_t targets, uint64_t bytes) {
  if (bytes == 0) return std::numeric_limits<double>::quiet_NaN();
  return loss * static_cast<double>(targets) / (static_cast<double>(bytes) * std::numbers::ln2);
}

void Evaluator::dry_run(Ctx& ctx, const Model& model, int64_t rows, int64_t length) {
  Arena nowhere = Arena::measuring("tokens", ctx.device);
  const auto take = [&] { return nowhere.take({rows, length}, DType::i32, "tokens"); };
  const DType dtype = accumulator(model.embedding.value.dtype);
  model.evaluate(ctx, nowhere.take({rows * length}, dtype, "nll"), {take(), take(), take(), take()});
}

Evaluator::Evaluator(Ctx& ctx, const Model& model, int64_t rows, int64_t length)
    : ctx_(ctx), model_(model), rows_(rows), length_(length) {
  for (Mirror* m : {&token_, &target_, &first_key_, &position_}) *m = Mirror(ctx.device, {rows, length}, DType::i32);
  nll_ = Mirror(ctx.device, {rows * length}, accumulator(model.embedding.value.dtype));
  count_positions(position_.host(), {});
}

Evaluation Evaluator::run(const EvaluationWindows& windows, bool doc_mask,
                          const std::function<void(double)>& on_target) {
  const auto ids = [&](const Mirror& m) {
    return std::span(m.host().as<int32_t>().data, static_cast<size_t>(rows_ * length_));
  };
  const BatchView fill{rows_, length_, ids(token_), ids(target_), ids(first_key_)};
  const Batch batch{token_.device(), target_.device(), position_.device(),
                    doc_mask ? CView(first_key_.device()) : CView{}};
  Evaluation out;
  out.nll_by_position.resize(static_cast<size_t>(length_));
  out.targets_by_position.resize(static_cast<size_t>(length_));
  for (uint64_t first = 0; first < windows.count(); first += static_cast<uint64_t>(rows_)) {
    windows.fill(first, doc_mask, fill);
    if (doc_mask && model_.config.rotary()) count_positions(position_.host(), first_key_.host());
    for (const Mirror* m : {&token_, &target_, &first_key_, &position_}) m->upload(ctx_);
    model_.evaluate(ctx_, nll_.device(), batch);
    nll_.download(ctx_);
    synchronize(ctx_);
    visit_dtype<double, float>(nll_.host().dtype, [&]<class T>() {
      for (size_t i = 0; i < fill.targets.size(); ++i) {
        if (fill.targets[i] == kIgnore) continue;
        const auto nll = static_cast<double>(nll_.host().as<T>().data[i]);
        const size_t position = i % static_cast<size_t>(length_);
        out.nll += nll, ++out.targets;
        out.nll_by_position[position] += nll, ++out.targets_by_position[position];
        if (on_target) on_target(nll);
      }
    });
  }
  return out;
}

}  // namespace rw
