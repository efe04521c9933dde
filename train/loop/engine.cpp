#include "train/loop/engine.hpp"

#include <cmath>
#include <cstring>

#include "core/base/user_error.hpp"
#include "layers/loss/linear_cross_entropy.hpp"
#include "optim/adamw.hpp"
#include "optim/clip.hpp"
#include "train/loop/evaluator.hpp"
#include "train/loop/generator.hpp"

namespace rw {
namespace {

int64_t count_targets(View target) {
  int64_t count = 0;
  for (int64_t r = 0; r < target.rows(); ++r)
    for (int64_t c = 0; c < target.width(); ++c) count += target.as<int32_t>()[r][c] != kIgnore;
  return count;
}

bool is_finite(CView v) {
  bool finite = true;
  visit_dtype<double, float>(v.dtype, [&]<class T>() {
    for (int64_t r = 0; r < v.rows() && finite; ++r)
      for (int64_t c = 0; c < v.width() && finite; ++c) finite = std::isfinite(v.as<T>()[r][c]);
  });
  return finite;
}

double sum(CView v) {
  double total = 0;
  visit_dtype<double, float>(v.dtype, [&]<class T>() {
    for (int64_t i = 0; i < v.width(); ++i) total += static_cast<double>(v.as<T>().data[i]);
  });
  return total;
}

double first(CView v) {
  double value = 0;
  visit_dtype<double, float>(v.dtype, [&]<class T>() { value = static_cast<double>(*v.as<T>().data); });
  return value;
}

}  // namespace

Engine::Engine(const ModelConfig& config, const EngineOptions& options, bool dry)
    : options_(options),
      model_(config),
      layout_(lay_out_parameters(model_)),
      ranges_(trained_ranges(model_, layout_, options.freeze)) {
  const EngineOptions& o = options_;
  RW_CHECK(o.sequences > 0 && o.micro_batch > 0 && o.length > 0, o.sequences, o.micro_batch, o.length);
  options_.micro_batch = std::min(o.micro_batch, o.sequences);
  const bool ranged = has_range(o.draw_positions);
  RW_CHECK(o.draw_positions == PositionDraw::none || model_.config.rotary());
  RW_CHECK(!ranged || o.position_range >= o.length, o.position_range, o.length);
  model_.prepare_positions(o.device, o.dtype, ranged ? o.position_range : o.length);

  // Token views: token, target, first_key, and the positions of a micro-batch.
  const int64_t rows_of_tokens = 3 * o.sequences + o.micro_batch;
  token_buffer_ = Buffer(o.device, {rows_of_tokens, o.length}, DType::i32);
  const auto part = [&](int64_t at, int64_t count) { return rows(token_buffer_.view(), at, count); };
  token_ = part(0, o.sequences), target_ = part(o.sequences, o.sequences);
  first_key_ = part(2 * o.sequences, o.sequences);
  position_ = part(3 * o.sequences, o.micro_batch);
  count_positions(position_, {});
  if (o.draw_positions == PositionDraw::equal_mean) turned_by_ = Buffer(o.device, position_.shape, DType::f64);

  // The dry run: parameters at addresses that nobody may touch.
  Arena nowhere = Arena::measuring("parameters", o.device);
  const auto fake = [&](DType dtype) { return nowhere.take({layout_.elements}, dtype, "parameters"); };
  bind_parameters(model_, fake(o.dtype), fake(accumulator(o.dtype)));
  const View norm = nowhere.take({1}, accumulator(o.dtype), "norm"), clip = nowhere.take({1}, norm.dtype, "clip");
  const View nll = nowhere.take({o.sequences * o.length}, accumulator(o.dtype), "nll");
  const View flat = nowhere.take({layout_.elements}, accumulator(o.dtype), "gradient");
  const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) { run_micro_batches(ctx, nll, 1, 1); },
                                            [&](Ctx& ctx) { clip_factor(ctx, norm, clip, flat, o.clip); },
                                            [&](Ctx& ctx) { Evaluator::dry_run(ctx, model_, o.micro_batch, o.length); },
                                            [&](Ctx& ctx) { Generator::dry_run(ctx, model_, o.length); }};
  const ArenaSizes sizes = measure(o.device, work);

  const auto elements = static_cast<size_t>(layout_.elements);
  plan_ = {.weights = elements * size_of(o.dtype),
           .gradients = elements * size_of(accumulator(o.dtype)),
           .moments = 2 * elements * size_of(accumulator(o.dtype)),
           .activations = sizes.saved,
           .scratch = sizes.scratch,
           .tokens = static_cast<size_t>(rows_of_tokens * o.length) * size_of(DType::i32) +
                     static_cast<size_t>(turned_by_.view().shape.elements()) * size_of(DType::f64)};
  if (dry) return;

  value_ = Buffer(o.device, {layout_.elements}, o.dtype);
  for (Buffer* buffer : {&grad_, &m_, &v_}) *buffer = Buffer(o.device, {layout_.elements}, accumulator(o.dtype));
  bind_parameters(model_, value_, grad_);
  workspace_ = std::make_unique<Workspace>(o.device, sizes);
  nll_ = Buffer(o.device, nll.shape, nll.dtype);
  norm_ = Buffer(o.device, {1}, norm.dtype), clip_ = Buffer(o.device, {1}, norm.dtype);
}

Engine::Engine(const ModelConfig& config, const EngineOptions& options) : Engine(config, options, false) {}

MemoryPlan Engine::plan(const ModelConfig& config, const EngineOptions& options) {
  return Engine(config, options, true).plan_;
}

void Engine::initialise() {
  initialise_parameters(model_, options_.seed);
  if (stepped_)
    for (const Buffer& b : {std::cref(m_), std::cref(v_)}) std::memset(b.view().data, 0, plan_.moments / 2);
  stepped_ = false;
}

std::vector<StateTensor> Engine::state() {
  std::vector<StateTensor> out;
  size_t next = 0;
  model_.each([&](const Param& p) {
    const ParamRange& range = layout_.ranges[next++];
    add_state(out, p, range_of(m_.view(), range, p.shape), range_of(v_.view(), range, p.shape));
  });
  return out;
}

Batch Engine::batch(int64_t first_row, int64_t count) const {
  const auto part = [&](View v) { return rows(v, first_row, count); };
  const View turned_by = turned_by_.view().empty() ? View{} : rows(turned_by_.view(), 0, count);
  return {part(token_), part(target_), rows(position_, 0, count), options_.documents ? part(first_key_) : View{},
          turned_by};
}

void Engine::draw_batch(int64_t step, int64_t first_row, int64_t count) {
  const PositionDraw kind = options_.draw_positions;
  const auto length = static_cast<size_t>(options_.length);
  for (int64_t r = 0; kind != PositionDraw::none && r < count; ++r) {
    const DrawKey key{
        .seed = options_.seed, .step = static_cast<uint32_t>(step), .sample = static_cast<uint32_t>(first_row + r)};
    if (kind == PositionDraw::equal_mean)
      draw_equal_mean({turned_by_.view().as<double>()[r], length}, key);
    else
      draw_positions({position_.as<int32_t>()[r], length}, kind, options_.position_range, key);
  }
}

void Engine::run_micro_batches(Ctx& ctx, View nll, int64_t step, double scale) {
  const int64_t length = options_.length;
  const View by_sequence = reshape(nll, {options_.sequences, length});
  for (int64_t at = 0; at < options_.sequences; at += options_.micro_batch) {
    const int64_t count = std::min(options_.micro_batch, options_.sequences - at);
    if (!ctx.dry && options_.documents && model_.config.rotary())
      count_positions(rows(position_, 0, count), rows(first_key_, at, count));
    if (!ctx.dry) draw_batch(step, at, count);
    const Draws draws{
        .dropout = model_.config.dropout,
        .key = {.seed = options_.seed, .step = static_cast<uint32_t>(step), .sample = static_cast<uint32_t>(at)}};
    model_.forward_backward(ctx, reshape(rows(by_sequence, at, count), {count * length}), batch(at, count), draws,
                            scale, at == 0 ? Grad::overwrite : Grad::accumulate, options_.recompute);
  }
}

Engine::StepResult Engine::step(int64_t step, double lr) {
  Ctx& ctx = workspace_->ctx;
  StepResult result;
  result.targets = count_targets(target_);
  if (result.targets == 0) return result;
  run_micro_batches(ctx, nll_, step, 1.0 / static_cast<double>(result.targets));
  for (const ParamRange& range : ranges_.frozen) {
    const View frozen = range_of(grad_.view(), range, {range.count});
    std::memset(frozen.data, 0, static_cast<size_t>(range.count) * size_of(frozen.dtype));
  }
  clip_factor(ctx, norm_, clip_, grad_, options_.clip);
  result.loss = sum(nll_) / static_cast<double>(result.targets);
  result.grad_norm = first(norm_);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) report_non_finite(step, result.loss);
  stepped_ = true;
  for (const ParamRange& run : ranges_.trained) {
    const auto part = [&](const Buffer& b) { return range_of(b.view(), run, {run.count}); };
    adamw(ctx, part(value_), part(m_), part(v_), part(grad_), clip_,
          {.lr = lr,
           .beta1 = options_.beta1,
           .beta2 = options_.beta2,
           .eps = options_.eps,
           .weight_decay = run.decay ? options_.weight_decay : 0,
           .step = step});
  }
  return result;
}

void Engine::report_non_finite(int64_t step, double loss) {
  std::string where = "the loss";
  const auto search = [&](const char* what, auto view_of) {
    bool found = false;
    model_.each([&](const Param& p) {
      if (found || is_finite(view_of(p))) return;
      found = true, where = what + p.name();
    });
    return found;
  };
  if (!search("weight ", [](const Param& p) { return p.value; }))
    search("gradient of ", [](const Param& p) { return p.grad; });
  std::ostringstream text;
  text << "not finite at step " << step << ": " << where << " (loss " << loss << ")";
  throw UserError(
      Exit::non_finite, text.str(),
      "nothing was updated; the last checkpoint is intact\ntry a smaller --lr, a longer --warmup, or --clip 1");
}

}  // namespace rw
