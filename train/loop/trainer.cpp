#include "train/loop/trainer.hpp"

#include "optim/schedule.hpp"
#include "train/loop/signals.hpp"

namespace rw {
namespace {

constexpr double kEmaShare = 0.05;  // of the newest loss

Schedule schedule_of(const Settings& s, int64_t total) {
  const int64_t warmup = s.optimizer.warmup > 0 ? s.optimizer.warmup : std::max<int64_t>(10, total / 50);
  return {.kind = s.optimizer.schedule,
          .lr = s.optimizer.lr,
          .min_share = s.optimizer.min_lr,
          .warmup = std::min(warmup, total),
          .steps = total,
          .decay_share = s.optimizer.decay_share};
}

}  // namespace

Trainer::Trainer(Resolved settings, const ModelConfig& model, TrainingData data, RunFolder folder,
                 const TrainerOptions& options)
    : settings_(std::move(settings)),
      data_(std::move(data)),
      folder_(std::move(folder)),
      options_(options),
      engine_(model, engine_options(settings_.settings)),
      sampler_(data_.train, settings_.settings.model.context, static_cast<uint64_t>(settings_.settings.train.seed)) {
  if (data_.val)
    evaluator_.emplace(engine_.context(), engine_.model(), engine_.options().micro_batch, engine_.options().length);
  const Settings::Train& train = settings_.settings.train;
  const int64_t per_step = engine_.options().sequences * engine_.options().length;
  started_ = options_.clock();
  total_ = train.steps > 0 ? train.steps : train.tokens > 0 ? (train.tokens + per_step - 1) / per_step : 0;
}

void Trainer::fill(int64_t step) {
  const EngineOptions& o = engine_.options();
  const auto ids = [&](View v) { return std::span(v.as<int32_t>().data, static_cast<size_t>(o.sequences * o.length)); };
  const BatchView batch{o.sequences, o.length, ids(engine_.token()), ids(engine_.target()), ids(engine_.first_key())};
  fill_batch(data_.train, sampler_, static_cast<uint64_t>(step * o.sequences), settings_.settings.data.doc_mask, batch);
}

double Trainer::learning_rate_at(int64_t step) {
  const Schedule schedule = schedule_of(settings_.settings, total_);
  if (!timed_) return learning_rate(schedule, step);
  timed_->begin_step();
  return timed_->learning_rate(schedule);
}

int64_t Trainer::asked_save() const {
  const Settings::Run& run = settings_.settings.run;
  return run.save_every > 0 || !data_.val ? run.save_every : run.eval_every;
}

bool Trainer::interval_over(int64_t asked, int64_t step) const {
  if (timed_ && asked == 0) return timed_->passed_tenth() || step == total_;
  return due(interval(asked), step);
}

bool Trainer::evaluation_due() const {
  if (!evaluator_ || !interval_over(asked_eval(), step_)) return false;
  if (!timed_ || asked_eval() > 0 || step_ == total_) return true;
  const double now = elapsed(), left = settings_.settings.train.time - now;
  return evaluating_ + reserve_ <= kEvaluationShare * now && 3 * reserve_ <= left;  // with training before the last one
}

void Trainer::show_length() {
  progress_->length(total_, evaluator_ ? interval(asked_eval()) : 0, interval(asked_save()));
}

// In a given time anything may be due after any step.
bool Trainer::pauses_after(int64_t step) const {
  return timed_ || step >= std::min(last_, total_) || interval_over(asked_save(), step) ||
         (evaluator_ && interval_over(asked_eval(), step));
}

void Trainer::launch(int64_t step) {
  fill(step - 1);
  engine_.launch(step, learning_rate_at(step));
}

void Trainer::train_step(bool ahead) {
  const double start = options_.clock();
  const EngineOptions& o = engine_.options();
  if (!engine_.in_flight()) launch(step_ + 1);
  if (ahead && o.device.kind == Device::cuda && !pauses_after(step_ + 1)) launch(step_ + 2);
  const Engine::StepResult result = engine_.wait();
  ++step_;
  if (result.targets > 0) ema_ = std::isnan(ema_) ? result.loss : ema_ + kEmaShare * (result.loss - ema_);
  const double took = options_.clock() - start;
  seconds_ += took;
  if (timed_) {
    timed_->end_step(elapsed(), reserve_);
    total_ = timed_->total();
    show_length();
  }
  const int64_t per_step = o.sequences * o.length;
  report_ = {.step = step_,
             .seconds = took,
             .tokens = step_ * per_step,
             .step_tokens = static_cast<double>(per_step),
             .loss = result.loss,
             .ema = ema_,
             .lr = result.lr,
             .grad_norm = result.grad_norm,
             .memory = resident_memory()};
  progress_->step(report_);
}

TrainingResult Trainer::run() {
  try {
    conclude(RunStatus::State::running, {});
    std::string stopped_by;
    const TrainingResult result = run_steps(stopped_by);
    conclude(result.finished ? RunStatus::State::finished : RunStatus::State::interrupted, stopped_by);
    return result;
  } catch (const std::exception& error) {
    conclude(RunStatus::State::failed, error.what());
    throw;
  }
}

TrainingResult Trainer::run_steps(std::string& stopped_by) {
  const StopSignals signals;
  const Settings& s = settings_.settings;
  if (s.train.time > 0) timed_.emplace(s.train.time, s.optimizer.warmup, step_, elapsed(), total_, position_);
  if (options_.stop_after > 0) last_ = step_ + options_.stop_after;
  RunFolder::Request request = RunFolder::Request::none;
  int signal = 0;
  bool stop = false;
  while (step_ < total_ && !stop) {
    train_step(signal == 0 && request == RunFolder::Request::none);
    request = folder_.requested();
    signal = interrupted();
    const bool pause = !engine_.in_flight();  // else what is asked for comes after the step that is on its way
    stop = pause && (signal != 0 || request == RunFolder::Request::stop || step_ == last_);
    const double after_step = options_.clock();
    const bool evaluates = evaluation_due();
    const bool saves =
        stop || step_ == total_ || interval_over(asked_save(), step_) || (pause && request != RunFolder::Request::none);
    if (evaluates || due(s.run.log_every, step_)) report_step();
    if (evaluates) try_evaluation();
    append_metrics();
    if (saves) save();
    if (saves && (evaluates || !evaluator_)) {
      reserve_ = options_.clock() - after_step;
      evaluating_ += reserve_;
    }
    if (pause && request != RunFolder::Request::none) folder_.honoured();
    if (stop && step_ < total_) {
      stopped_by = signal ? signal_name(signal) : request == RunFolder::Request::stop ? "STOP" : "its limit of steps";
      progress_->note("stopped  by " + stopped_by + ", everything is saved");
    }
  }
  progress_->finish();
  return {.finished = step_ >= total_,
          .step = step_,
          .loss = report_.loss,
          .val_loss = val_loss_,
          .val_bits_per_byte = val_bits_,
          .best_val = best_val_,
          .checkpoint = saved_};
}

}  // namespace rw
