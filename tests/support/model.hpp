#pragma once
#include <functional>
#include <memory>

#include "layers/loss/linear_cross_entropy.hpp"
#include "layers/parameters.hpp"
#include "layers/transformer/model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/sanitizer.hpp"
#include "train/loop/workspace.hpp"

namespace rw::test {

// A decoder small enough for central differences of every parameter, with grouped heads and everything odd.
inline ModelConfig tiny_config() {
  return {.vocab = 11,
          .layers = 2,
          .width = 12,
          .heads = 4,
          .kv_heads = 2,
          .head_width = 4,
          .hidden = 10,
          .context = 16,
          .rope = {.base = 50}};
}

// A model with storage, arenas and a batch of random tokens, some targets ignored, with documents in it.
struct TestModel {
  TestModel(const ModelConfig& config, DType dtype, int64_t batch_, int64_t length_, bool documents = true)
      : rows(batch_),
        length(length_),
        model(config),
        layout(lay_out_parameters(model)),
        value({}, {layout.elements}, dtype),
        grad({}, {layout.elements}, accumulator(dtype)),
        token({}, {rows, length}, DType::i32),
        target({}, {rows, length}, DType::i32),
        position({}, {rows, length}, DType::i32),
        first_key({}, {rows, length}, DType::i32),
        nll({}, {rows * length}, accumulator(dtype)) {
    bind_parameters(model, value, grad);
    initialise_parameters(model, 7);
    std::mt19937 random(5);
    model.each([&](Param& p) {  // away from ones and zeros, which would hide terms
      visit_dtype<double, float>(dtype, [&]<class T>() {
        std::normal_distribution<double> noise(0, 0.3);
        for (int64_t i = 0; i < p.shape.elements(); ++i) p.value.as<T>().data[i] += static_cast<T>(noise(random));
      });
    });
    for (int64_t r = 0; r < rows; ++r) {
      int32_t start = 0;
      for (int64_t t = 0; t < length; ++t) {
        const auto id = [&] { return static_cast<int32_t>(random() % static_cast<unsigned>(config.vocab)); };
        token.view().as<int32_t>()[r][t] = id();
        target.view().as<int32_t>()[r][t] = random() % 5 == 0 ? kIgnore : id();
        position.view().as<int32_t>()[r][t] = static_cast<int32_t>(t);
        if (documents && random() % 4 == 0) start = static_cast<int32_t>(t);
        first_key.view().as<int32_t>()[r][t] = start;
      }
    }
    model.prepare_positions({}, dtype, std::max(length, config.context));
    const std::function<void(Ctx&)> work[] = {
        [&](Ctx& ctx) {
          const Draws draws{.dropout = config.dropout, .key = {}};
          for (Recompute recompute : {Recompute::none, Recompute::norms, Recompute::block})
            model.forward_backward(ctx, nll, batch(), draws, 1, Grad::overwrite, recompute);
        },
        [&](Ctx& ctx) {
          model.logits(ctx, ctx.scratch.take({rows * length, config.vocab}, dtype, "logits"), batch());
        }};
    workspace = std::make_unique<Workspace>(Device{}, measure({}, work));
  }

  Batch batch() const { return {token, target, position, first_key}; }
  Batch batch(int64_t first, int64_t count) const {
    const auto part = [&](const Buffer& b) { return rw::rows(b.view(), first, count); };
    return {part(token), part(target), part(position), part(first_key)};
  }

  void train(const Batch& b, double scale, Grad mode, Recompute recompute = Recompute::none, int64_t first_sample = 0) {
    const Draws draws{.dropout = model.config.dropout,
                      .key = {.seed = 3, .step = 1, .sample = static_cast<uint32_t>(first_sample)}};
    const int64_t count = b.token.shape.elements();
    model.forward_backward(workspace->ctx, range_of(nll.view(), {0, count, false}, {count}), b, draws, scale, mode,
                           recompute);
  }
  double loss() {  // Σ nll, by a forward with the same dropout
    train(batch(), 0, Grad::overwrite);
    double total = 0;
    for (double v : values(nll)) total += v;
    return total;
  }
  std::vector<double> logits() {
    Ctx& ctx = workspace->ctx;
    Buffer out({}, {rows * length, model.config.vocab}, value.view().dtype);
    model.logits(ctx, out, batch());
    return values(out);
  }

  static std::vector<double> values(CView v) {
    std::vector<double> out;
    visit_dtype<double, float>(v.dtype, [&]<class T>() {
      for (int64_t r = 0; r < v.rows(); ++r)
        for (int64_t c = 0; c < v.width(); ++c) out.push_back(static_cast<double>(v.as<T>()[r][c]));
    });
    return out;
  }

  int64_t rows, length;
  Model model;
  ParamLayout layout;
  Buffer value, grad, token, target, position, first_key, nll;
  std::unique_ptr<Workspace> workspace;
};

// For each parameter: how far its gradient is from central differences of `loss`, relative to its largest entry. With a
// sanitizer, in every 13th element.
template <class L>
std::vector<std::pair<std::string, double>> parameter_gradient_errors(L& layer, const std::function<double()>& loss,
                                                                      const std::function<void()>& backward) {
  constexpr double kStep = 1e-5;
  constexpr size_t kStride = kSanitizer ? 13 : 1;
  backward();
  std::vector<std::pair<std::string, double>> out;
  std::vector<Param> params;
  layer.each([&](const Param& p) { params.push_back(p); });
  std::vector<std::vector<double>> analytic;
  for (const Param& p : params) analytic.push_back(TestModel::values(p.grad));
  for (size_t i = 0; i < params.size(); ++i) {
    double most = 0;
    double* at = params[i].value.template as<double>().data;
    for (size_t e = 0; e < analytic[i].size(); e += kStride) {
      const double kept = at[e];
      at[e] = kept + kStep;
      const double up = loss();
      at[e] = kept - kStep;
      const double down = loss();
      at[e] = kept;
      most = std::max(most, std::abs((up - down) / (2 * kStep) - analytic[i][e]));
    }
    out.emplace_back(params[i].name(), most / largest(analytic[i]));
  }
  return out;
}

}  // namespace rw::test
