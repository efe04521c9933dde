#include "train/loop/engine.hpp"

#include <cmath>

#include "core/base/user_error.hpp"
#include "core/device/copy.hpp"
#include "core/math/gemm.hpp"
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
  visit_dtype<double, float, bf16>(v.dtype, [&]<class T>() {
    for (int64_t r = 0; r < v.rows() && finite; ++r)
      for (int64_t c = 0; c < v.width() && finite; ++c)
        finite = std::isfinite(static_cast<std::conditional_t<std::is_same_v<T, bf16>, float, T>>(v.as<T>()[r][c]));
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
  const bool on_cpu = o.device.kind == Device::cpu;
  if (o.dtype == (on_cpu ? DType::bf16 : DType::f64))
    throw UserError(Exit::usage, std::string(on_cpu ? "the CPU" : "a GPU") + " does not train in " + name_of(o.dtype),
                    on_cpu ? "--device cuda, or --dtype f32" : "--dtype f32 or bf16, or --device cpu");
  RW_CHECK(o.sequences > 0 && o.micro_batch > 0 && o.length > 0, o.sequences, o.micro_batch, o.length);
  options_.micro_batch = std::min(o.micro_batch, o.sequences);
  const bool ranged = has_range(o.draw_positions);
  RW_CHECK(o.draw_positions == PositionDraw::none || model_.config.rotary());
  RW_CHECK(!ranged || o.position_range >= o.length, o.position_range, o.length);
  model_.prepare_positions(o.device, o.dtype, ranged ? o.position_range : o.length);

  // The dry run: parameters at addresses that nobody may touch.
  Arena nowhere = Arena::measuring("parameters", o.device);
  const auto fake = [&](DType dtype) { return nowhere.take({layout_.elements}, dtype, "parameters"); };
  bind_parameters(model_, fake(o.dtype), fake(accumulator(o.dtype)));
  const View norm = nowhere.take({1}, accumulator(o.dtype), "norm"), clip = nowhere.take({1}, norm.dtype, "clip");
  const View nll = nowhere.take({o.sequences * o.length}, accumulator(o.dtype), "nll");
  const View flat = nowhere.take({layout_.elements}, accumulator(o.dtype), "gradient");
  // On a GPU a second step waits, with its tokens at hand, while one is computed.
  for (int n = on_cpu ? 1 : 2; n > 0; --n) flights_.emplace_back(options_);
  for (const Flight& flight : flights_) count_positions(part_of(flight.tokens.host(), kPosition), {});
  const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) { run_micro_batches(ctx, flights_[0], nll, 1); },
                                            [&](Ctx& ctx) { clip_factor(ctx, norm, clip, flat, o.clip); },
                                            [&](Ctx& ctx) { Evaluator::dry_run(ctx, model_, o.micro_batch, o.length); },
                                            [&](Ctx& ctx) { Generator::dry_run(ctx, model_, o.length); }};
  const ArenaSizes sizes = measure(o.device, work);

  const auto elements = static_cast<size_t>(layout_.elements);
  const size_t low = o.dtype == DType::bf16 ? size_of(o.dtype) : 0;
  plan_ = {.weights = elements * (size_of(accumulator(o.dtype)) + low),
           .gradients = elements * size_of(accumulator(o.dtype)),
           .moments = 2 * elements * size_of(accumulator(o.dtype)),
           .activations = sizes.saved,
           .scratch = sizes.scratch,
           .workspace = on_cpu ? 0 : kGemmWorkspace,
           .tokens = flights_.size() *
                     (static_cast<size_t>(flights_[0].tokens.device().shape.elements()) * size_of(DType::i32) +
                      static_cast<size_t>(flights_[0].turned_by.view().shape.elements()) * size_of(DType::f64))};
  if (dry) return;

  for (Mirror* part : {&value_, &m_, &v_}) *part = Mirror(o.device, {layout_.elements}, accumulator(o.dtype));
  if (o.dtype == DType::bf16) low_ = Buffer(o.device, {layout_.elements}, o.dtype);
  grad_ = Buffer(o.device, {layout_.elements}, accumulator(o.dtype));
  bind();
  workspace_ = std::make_unique<Workspace>(o.device, sizes);
  uploads_ = OwnStream(o.device), recording_ = Recording(o.device);
  clip_ = Buffer(o.device, {1}, norm.dtype);
}

Engine::Flight::Flight(const EngineOptions& o)
    : tokens(o.device, {kParts * o.sequences, o.length}, DType::i32),
      nll(o.device, {o.sequences * o.length}, accumulator(o.dtype)),
      norm(o.device, {1}, accumulator(o.dtype)),
      uploaded(o.device),
      done(o.device) {
  if (o.draw_positions == PositionDraw::equal_mean) turned_by = Buffer({}, {o.sequences, o.length}, DType::f64);
}

Engine::Engine(const ModelConfig& config, const EngineOptions& options) : Engine(config, options, false) {}

MemoryPlan Engine::plan(const ModelConfig& config, const EngineOptions& options) {
  return Engine(config, options, true).plan_;
}

void Engine::initialise() {
  const Ctx& ctx = workspace_->ctx;
  bind_parameters(model_, value_.host(), {});
  initialise_parameters(model_, options_.seed);
  value_.upload(ctx);
  round_weights();
  bind();
  if (stepped_)
    for (const Mirror* moment : {&m_, &v_}) fill_zero(ctx, moment->device());
  stepped_ = false;
}

void Engine::pull_state() const {
  for (const Mirror* part : {&value_, &m_, &v_}) part->download(workspace_->ctx);
  synchronize(workspace_->ctx);
}

void Engine::push_state() {
  for (const Mirror* part : {&value_, &m_, &v_}) part->upload(workspace_->ctx);
  round_weights();
  stepped_ = true;
}

// Waits for what was uploaded.
void Engine::round_weights() {
  const Ctx& ctx = workspace_->ctx;
  const Buffer rounded = low_.view().empty() ? Buffer{} : narrowed(value_.host());
  if (!low_.view().empty()) copy(ctx, low_, rounded);
  synchronize(ctx);
}

std::vector<StateTensor> Engine::state() {
  std::vector<StateTensor> out;
  size_t next = 0;
  model_.each([&](const Param& p) {
    const ParamRange& range = layout_.ranges[next++];
    const auto part = [&](const Mirror& flat) { return range_of(flat.host(), range, p.shape); };
    Param in_host = p;
    in_host.value = part(value_);
    add_state(out, in_host, part(m_), part(v_));
  });
  return out;
}

Batch Engine::batch(const Flight& flight, int64_t first_row, int64_t count) const {
  const auto part = [&](Part p) { return rows(part_of(flight.tokens.device(), p), first_row, count); };
  const View drawn = flight.turned_by.view();
  return {part(kToken), part(kTarget), part(kPosition), options_.documents ? part(kFirstKey) : View{},
          drawn.empty() ? drawn : rows(drawn, first_row, count)};
}

void Engine::set_positions(const Flight& flight) const {
  const View position = part_of(flight.tokens.host(), kPosition);
  if (options_.documents && model_.config.rotary()) count_positions(position, part_of(flight.tokens.host(), kFirstKey));
  const PositionDraw kind = options_.draw_positions;
  const auto length = static_cast<size_t>(options_.length);
  for (int64_t r = 0; kind != PositionDraw::none && r < options_.sequences; ++r) {
    const DrawKey key{
        .seed = options_.seed, .step = static_cast<uint32_t>(flight.step), .sample = static_cast<uint32_t>(r)};
    if (kind == PositionDraw::equal_mean)
      draw_equal_mean({flight.turned_by.view().as<double>()[r], length}, key);
    else
      draw_positions({position.as<int32_t>()[r], length}, kind, options_.position_range, key);
  }
}

void Engine::run_micro_batches(Ctx& ctx, const Flight& flight, View nll, double scale) const {
  const int64_t length = options_.length;
  const View by_sequence = reshape(nll, {options_.sequences, length});
  for (int64_t at = 0; at < options_.sequences; at += options_.micro_batch) {
    const int64_t count = std::min(options_.micro_batch, options_.sequences - at);
    const Draws draws{
        .dropout = model_.config.dropout,
        .key = {
            .seed = options_.seed, .step = static_cast<uint32_t>(flight.step), .sample = static_cast<uint32_t>(at)}};
    model_.forward_backward(ctx, reshape(rows(by_sequence, at, count), {count * length}), batch(flight, at, count),
                            draws, scale, at == 0 ? Grad::overwrite : Grad::accumulate, options_.recompute);
  }
}

// All that the device does for a step.
void Engine::compute(Ctx& ctx, const Flight& flight) const {
  run_micro_batches(ctx, flight, flight.nll.device(), 1.0 / static_cast<double>(flight.result.targets));
  for (const ParamRange& range : ranges_.frozen) fill_zero(ctx, range_of(grad_.view(), range, {range.count}));
  clip_factor(ctx, flight.norm.device(), clip_, grad_, options_.clip);
  for (const ParamRange& run : ranges_.trained) {
    const auto part = [&](View flat) { return flat.empty() ? flat : range_of(flat, run, {run.count}); };
    adamw(ctx, part(value_.device()), part(low_), part(m_.device()), part(v_.device()), part(grad_), clip_,
          {.lr = flight.result.lr,
           .beta1 = options_.beta1,
           .beta2 = options_.beta2,
           .eps = options_.eps,
           .weight_decay = run.decay ? options_.weight_decay : 0,
           .step = flight.step});
  }
  flight.nll.download(ctx), flight.norm.download(ctx);
}

void Engine::launch(int64_t step, double lr) {
  RW_CHECK(launched_ - waited_ < static_cast<int64_t>(flights_.size()), launched_, waited_);
  Ctx& ctx = workspace_->ctx;
  Flight& flight = flight_after(launched_);
  flight.step = step;
  flight.result = {.targets = count_targets(target()), .lr = lr};
  if (flight.result.targets > 0) {
    set_positions(flight);
    Ctx beside = ctx;
    beside.stream = uploads_.get();
    flight.tokens.upload(beside);
    flight.uploaded.record(beside.stream), flight.uploaded.hold_back(ctx.stream);
    const bool records = options_.graph && warm_ && options_.draw_positions != PositionDraw::equal_mean;
    if (records)
      recording_.run(ctx.stream, [&] { compute(ctx, flight); });
    else
      compute(ctx, flight);
    flight.done.record(ctx.stream);
    warm_ = stepped_ = true;
  }
  ++launched_;
}

Engine::StepResult Engine::wait() {
  RW_CHECK(in_flight());
  Flight& flight = flight_after(waited_++);
  StepResult& result = flight.result;
  if (result.targets == 0) return result;
  flight.done.synchronize();
  result.loss = sum(flight.nll.host()) / static_cast<double>(result.targets);
  result.grad_norm = first(flight.norm.host());
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) report_non_finite(flight);
  return result;
}

void Engine::report_non_finite(const Flight& flight) {
  const Ctx& ctx = workspace_->ctx;
  std::string where = "the loss";
  const auto search = [&](const char* what, auto view_of) {
    bool found = false;
    model_.each([&](const Param& p) {
      if (found) return;
      const View view = view_of(p);
      Buffer host({}, view.shape, view.dtype);
      copy(ctx, host, view);
      synchronize(ctx);
      if (is_finite(host)) return;
      found = true, where = what + p.name();
    });
    return found;
  };
  if (!search("weight ", [](const Param& p) { return p.value; }))
    search("gradient of ", [](const Param& p) { return p.grad; });
  std::ostringstream text;
  text << "not finite at step " << flight.step << ": " << where << " (loss " << flight.result.loss << ")";
  const std::string updated = std::isfinite(flight.result.grad_norm) ? "" : "nothing was updated; ";
  throw UserError(Exit::non_finite, text.str(),
                  updated + "the last checkpoint is intact\ntry a smaller --lr, a longer --warmup, or --clip 1");
}

}  // namespace rw
