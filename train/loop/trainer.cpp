#include "train/loop/trainer.hpp"

#include <chrono>
#include <cmath>

#include "core/base/isa.hpp"
#include "core/base/parallel.hpp"
#include "layers/transformer/config.hpp"
#include "optim/schedule.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/units.hpp"
#include "train/config/validate.hpp"
#include "train/loop/generator.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/signals.hpp"
#include "train/loop/utf8_stream.hpp"

namespace rw {
namespace {

constexpr double kEmaShare = 0.05;                       // of the newest loss
constexpr size_t kTimedSteps = 3, kMostTimedSteps = 30;  // measured to turn a time into steps,
constexpr double kTimedShare = 0.02;                     // for about this share of it
constexpr int64_t kEvaluations = 10;                     // of a run, unless told otherwise

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Schedule schedule_of(const Settings& s, int64_t total) {
  const int64_t warmup = s.optimizer.warmup > 0 ? s.optimizer.warmup : std::max<int64_t>(10, total / 50);
  return {.kind = s.optimizer.schedule,
          .lr = s.optimizer.lr,
          .min_share = s.optimizer.min_lr,
          .warmup = std::min(warmup, total),
          .steps = total,
          .decay_share = s.optimizer.decay_share};
}

int64_t sequences_of(const Settings& s) { return s.train.batch / s.model.context; }

BatchView batch_view(const Engine& engine) {
  const EngineOptions& o = engine.options();
  const auto ids = [&](View v) { return std::span(v.as<int32_t>().data, static_cast<size_t>(o.sequences * o.length)); };
  return {o.sequences, o.length, ids(engine.token()), ids(engine.target()), ids(engine.first_key())};
}

void use_threads(const Settings& s) {
  if (s.train.threads > 0) set_threads(static_cast<int>(s.train.threads));
}

}  // namespace

EngineOptions engine_options(const Settings& s) {
  const int64_t sequences = sequences_of(s);
  return {.dtype = s.train.dtype,
          .sequences = sequences,
          .micro_batch =
              s.train.micro_batch > 0 ? std::min(s.train.micro_batch, sequences) : std::min<int64_t>(sequences, 8),
          .length = s.model.context,
          .documents = s.data.doc_mask,
          .recompute = s.train.recompute,
          .beta1 = s.optimizer.beta1,
          .beta2 = s.optimizer.beta2,
          .eps = s.optimizer.eps,
          .weight_decay = s.optimizer.weight_decay,
          .clip = s.optimizer.clip,
          .seed = static_cast<uint64_t>(s.train.seed)};
}

TrainingData TrainingData::open(Settings& settings, const CheckpointMeta* run) {
  const std::string& name = settings.data.data;
  if (name.empty())
    throw UserError(Exit::usage, "no training data is given",
                    "--data FOLDER, made by: ropewalk data prepare --out FOLDER ...");
  // The data of a run with a tokenizer say their vocabulary: that of another tokenizer may differ.
  const int64_t told = run && !run->tokenizer_hash.empty() ? 0 : settings.model.vocab;
  TrainingData out{.train = DataSet::open(name, Split::train, told), .val = {}, .tokenizer = {}};
  if (run && run->tokenizer_hash != out.train.tokenizer_hash())
    throw UserError(Exit::data, "tokenizer mismatch: " + name + " has another one than the run",
                    name + " was made with " + out.train.tokenizer_hash() + " (" + std::to_string(out.train.vocab()) +
                        " tokens), the run has " + run->tokenizer_hash + " (" + std::to_string(settings.model.vocab) +
                        " tokens)\nprepare the texts again, with the tokenizer/ of the run's folder: ropewalk data "
                        "prepare --tokenizer RUN --out FOLDER ...");
  if (DataSet::has(name, Split::val)) out.val = DataSet::open(name, Split::val, settings.model.vocab);
  if (out.train.tokenizer()) out.tokenizer = make_tokenizer(*out.train.tokenizer());
  int64_t& vocab = settings.model.vocab;
  if (vocab != 0 && vocab < out.train.vocab())
    throw UserError(Exit::usage, "--vocab is " + std::to_string(vocab),
                    name + " has " + std::to_string(out.train.vocab()) + " tokens\nleave it out, or give a larger one");
  if (vocab == 0) vocab = out.train.vocab();
  return out;
}

Trainer::Trainer(Resolved settings, TrainingData data, RunFolder folder, const TrainerOptions& options)
    : settings_(std::move(settings)),
      data_(std::move(data)),
      folder_(std::move(folder)),
      options_(options),
      engine_(settings_.settings.model, engine_options(settings_.settings)),
      sampler_(data_.train, settings_.settings.model.context, static_cast<uint64_t>(settings_.settings.train.seed)) {
  if (data_.val)
    evaluator_.emplace(engine_.context(), engine_.model(), engine_.options().micro_batch, engine_.options().length);
  const Settings::Train& train = settings_.settings.train;
  const int64_t per_step = engine_.options().sequences * engine_.options().length;
  total_ = train.steps > 0 ? train.steps : train.tokens > 0 ? (train.tokens + per_step - 1) / per_step : 0;
}

// The steps that fit the time, with evaluations. The steps that are measured leave no trace.
void Trainer::choose_length() {
  const Settings& s = settings_.settings;
  engine_.initialise();
  std::vector<double> took;
  const double begin = now();
  while (took.size() < kTimedSteps || (took.size() < kMostTimedSteps && now() - begin < kTimedShare * s.train.time)) {
    const double start = now();
    fill_batch(data_.train, sampler_, took.size() * static_cast<uint64_t>(engine_.options().sequences), s.data.doc_mask,
               batch_view(engine_));
    engine_.step(1, 0);
    took.push_back(now() - start);
  }
  std::ranges::sort(took);
  const double step = took[took.size() / 2];
  double left = s.train.time - (now() - begin);
  if (data_.val && s.run.eval_every == 0) {  // a forward costs a third of a step
    const double per_token = step / static_cast<double>(engine_.options().sequences * engine_.options().length);
    left -= kEvaluations * static_cast<double>(s.run.eval_tokens) * per_token / 3;
  }
  total_ = std::max<int64_t>(1, static_cast<int64_t>(left / step));
}

namespace {

// What must hold, of settings that are valid and their data, before a run is made or goes on.
MemoryPlan check_start(const Resolved& settings, const TrainingData& data) {
  const Sampler long_enough(data.train, settings.settings.model.context, 0);
  const MemoryPlan plan = Engine::plan(settings.settings.model, engine_options(settings.settings));
  check_memory(plan.total(), memory_table(plan) +
                                 "\nless is needed with a smaller --micro-batch, with --recompute block, or with a "
                                 "smaller --size");
  return plan;
}

}  // namespace

MemoryPlan Trainer::dry_run(Resolved settings) {
  validate(settings);
  const TrainingData data = TrainingData::open(settings.settings);
  return check_start(settings, data);
}

TrainingResult Trainer::pretrain(Resolved settings, const TrainerOptions& options) {
  validate(settings);
  use_threads(settings.settings);
  TrainingData data = TrainingData::open(settings.settings);
  check_start(settings, data);
  const Settings::Run& run = settings.settings.run;
  if (run.out.empty()) throw UserError(Exit::usage, "no run folder is given", "--out runs/NAME");
  RunFolder folder = RunFolder::create(run.out, run.overwrite);
  Trainer trainer(std::move(settings), std::move(data), std::move(folder), options);
  if (trainer.total_ == 0) trainer.choose_length();
  trainer.engine_.initialise();
  trainer.folder_.write_settings(to_toml(trainer.settings_));
  trainer.folder_.write_command(options.arguments);
  if (trainer.data_.tokenizer) trainer.folder_.write_tokenizer(std::array{trainer.data_.tokenizer->file()});
  trainer.introduce("new run");
  return trainer.run();
}

TrainingResult Trainer::resume(const std::filesystem::path& path, std::span<const ConfigLayer> changes,
                               const TrainerOptions& options) {
  RunFolder folder = RunFolder::resume(path);
  std::vector<std::string> skipped;
  const Checkpoint checkpoint = Checkpoint::open(folder.checkpoints(), &skipped);
  const CheckpointMeta& meta = checkpoint.meta();
  if (!checkpoint.has_optimizer())
    throw UserError(Exit::data, checkpoint.folder().string() + " has no optimizer state", "it cannot be resumed from");

  std::vector<ConfigLayer> layers = {parse_toml(meta.settings, "run.toml")};
  Resolved saved = rw::resolve(layers);
  layers.insert(layers.end(), changes.begin(), changes.end());
  Resolved settings = rw::resolve(layers);
  settings.settings.run.out = saved.settings.run.out = path.string();
  check_resume(saved.settings, settings);
  validate(settings);
  use_threads(settings.settings);
  TrainingData data = TrainingData::open(settings.settings, &meta);
  const auto state = [&](const char* name, double otherwise) {
    const auto found = meta.state.find(name);
    return found == meta.state.end() ? otherwise : found->second;
  };
  if (static_cast<double>(data.train.tokens()) != state("data_tokens", 0))
    throw UserError(Exit::data, "the training data have changed since the run began",
                    settings.settings.data.data + " has " + std::to_string(data.train.tokens()) +
                        " tokens now\na run goes on with the data it began with");
  check_start(settings, data);

  Trainer trainer(std::move(settings), std::move(data), std::move(folder), options);
  checkpoint.load(trainer.engine_.state());
  trainer.step_ = trainer.saved_step_ = meta.step;
  trainer.saved_ = checkpoint.folder();
  trainer.seconds_ = state("seconds", 0);
  trainer.ema_ = state("ema", kNone);
  trainer.val_loss_ = meta.val_loss.value_or(kNone);
  trainer.best_val_ = meta.best_val.value_or(kNone);
  const bool same_length = saved.settings.train.time == trainer.settings_.settings.train.time;
  if (trainer.total_ == 0 && same_length) trainer.total_ = static_cast<int64_t>(state("total_steps", 0));
  if (trainer.total_ == 0) {
    const double left = trainer.settings_.settings.train.time - trainer.seconds_;
    trainer.total_ =
        meta.step + static_cast<int64_t>(std::max(0.0, left) / (trainer.seconds_ / static_cast<double>(meta.step)));
  }
  trainer.folder_.write_settings(to_toml(trainer.settings_));
  trainer.folder_.write_command(options.arguments);
  trainer.introduce("resumed");
  for (const std::string& why : skipped) trainer.progress_->warning("passed over " + why);
  return trainer.run();
}

void Trainer::introduce(const char* verb) {
  const Settings& s = settings_.settings;
  const EngineOptions& o = engine_.options();
  eval_every_ = !data_.val ? 0 : s.run.eval_every > 0 ? s.run.eval_every : std::max<int64_t>(1, total_ / kEvaluations);
  save_every_ = s.run.save_every > 0 ? s.run.save_every
                : eval_every_ > 0    ? eval_every_
                                     : std::max<int64_t>(1, total_ / kEvaluations);
  ProgressOptions progress = standard_progress(options_.json, options_.quiet);
  progress.first_step = step_, progress.total_steps = total_;
  progress.log_every = s.run.log_every, progress.eval_every = eval_every_, progress.save_every = save_every_;
  progress.log = [this](std::string_view line) { folder_.log(line); };
  progress_ = std::make_unique<Progress>(std::move(progress));
  metrics_ = std::make_unique<MetricsFile>(folder_.metrics(), step_);
  events_ = std::make_unique<EventWriter>(folder_.tensorboard(), step_);

  std::ostringstream text;
  text << "ropewalk " RW_VERSION " · " << verb << " in " << folder_.path().string();
  if (step_ > 0) text << " after step " << step_;
  text << "\nmachine  CPU, " << threads() << " threads, " << isa_name() << " · " << o.dtype << " · seed " << o.seed;
  text << "\nmodel    " << describe(s.model);
  text << "\ndata     " << integer_text(static_cast<int64_t>(data_.train.tokens()), Unit::integer)
       << " tokens to train on"
       << (data_.val ? ", " + std::to_string(data_.val->tokens()) + " held out" : std::string(", none held out"));
  text << "\nbatch    " << o.sequences * o.length << " tokens = " << o.sequences << " × " << o.length << ", "
       << (o.sequences + o.micro_batch - 1) / o.micro_batch << " micro-batches · " << total_ << " steps · "
       << std::fixed << std::setprecision(1) << sampler_.epochs(0, static_cast<uint64_t>(total_ * o.sequences))
       << " epochs";
  text << "\nmemory   " << memory_line(engine_.memory());
  if (!folder_.moved_aside().empty()) text << "\nan earlier run is now " << folder_.moved_aside().string();
  progress_->note(text.str());
  if (step_ == 0) events_->text("config", 0, "```\n" + to_toml(settings_) + "```");
}

void Trainer::train_step() {
  const double start = now();
  const EngineOptions& o = engine_.options();
  fill_batch(data_.train, sampler_, static_cast<uint64_t>(step_ * o.sequences), settings_.settings.data.doc_mask,
             batch_view(engine_));
  const double lr = learning_rate(schedule_of(settings_.settings, total_), step_ + 1);
  const Engine::StepResult result = engine_.step(step_ + 1, lr);
  ++step_;
  ema_ = std::isnan(ema_) ? result.loss : ema_ + kEmaShare * (result.loss - ema_);
  const double took = now() - start;
  seconds_ += took;
  const int64_t per_step = o.sequences * o.length;
  report_ = {.step = step_,
             .seconds = took,
             .tokens = step_ * per_step,
             .step_tokens = static_cast<double>(per_step),
             .loss = result.loss,
             .ema = ema_,
             .lr = lr,
             .grad_norm = result.grad_norm,
             .memory = resident_memory()};
  progress_->step(report_);
}

void Trainer::report_step() {
  const StepReport& r = report_;
  row_ = {{"tokens", static_cast<double>(r.tokens)},
          {"seconds", seconds_},
          {"loss", r.loss},
          {"ema", r.ema},
          {"lr", r.lr},
          {"grad_norm", r.grad_norm},
          {"tokens_per_second", r.step_tokens / r.seconds},
          {"memory", r.memory}};
  for (const auto& [tag, value] : {std::pair{"train/loss", r.loss},
                                   {"train/lr", r.lr},
                                   {"train/grad_norm", r.grad_norm},
                                   {"train/tokens", static_cast<double>(r.tokens)},
                                   {"perf/tokens_per_s", r.step_tokens / r.seconds},
                                   {"perf/memory_gb", r.memory / 1e9}})
    events_->scalar(tag, step_, value);
}

void Trainer::evaluate() {
  const double start = now();
  const Settings& s = settings_.settings;
  double loss = 0, bits = 0;
  for (const Corpus& corpus : data_.val->corpora()) {
    const EvaluationWindows windows(corpus.data, s.model.context, s.model.context,
                                    static_cast<uint64_t>(s.run.eval_tokens));
    const double of_corpus = evaluator_->run(windows, s.data.doc_mask).loss();
    loss += corpus.share * of_corpus;
    bits += corpus.share * bits_per_byte(of_corpus, corpus.data.size(), corpus.data.bytes());
  }
  val_loss_ = loss, val_bits_ = bits;
  is_best_ = std::isnan(best_val_) || loss < best_val_;
  if (is_best_) best_val_ = loss;
  progress_->evaluation(step_, loss, bits, now() - start, is_best_);
  row_.push_back({"val_loss", loss});
  row_.push_back({"val_bits_per_byte", bits});
  events_->scalar("val/loss", step_, loss);
  if (!std::isnan(bits)) events_->scalar("val/bpb", step_, bits);
}

void Trainer::sample() {
  const Settings::Run& run = settings_.settings.run;
  if (run.sample_tokens == 0 || !data_.tokenizer) return;
  const Tokenizer& tokenizer = *data_.tokenizer;
  Generator generator(engine_.context(), engine_.model(), engine_.options().length);
  std::vector<int32_t> ids = {tokenizer.document_start()};
  for (int32_t id : tokenizer.encode(run.sample_prompt)) ids.push_back(id);
  const SamplingOptions options{.temperature = 0.8, .top_p = 0.95, .seed = engine_.options().seed};
  std::string text = run.sample_prompt;
  auto logits = generator.append(ids);
  for (int64_t i = 0; i < run.sample_tokens; ++i) {
    const int32_t id = draw_token(logits, options, static_cast<uint64_t>(i));
    if (id == tokenizer.document_start()) break;
    text += tokenizer.bytes(id);
    if (i + 1 < run.sample_tokens) logits = generator.append(std::array{id});
  }
  text = printable(text);
  folder_.add_sample(step_, "temperature 0.8, top-p 0.95", text);
  events_->text("samples", step_, text);
  progress_->note("sample   " + text);
}

void Trainer::save() {
  if (saved_step_ == step_) return;
  const double start = now();
  CheckpointMeta meta;
  meta.step = step_, meta.tokens = report_.tokens;
  if (!std::isnan(val_loss_)) meta.val_loss = val_loss_;
  if (!std::isnan(best_val_)) meta.best_val = best_val_;
  meta.state = {{"seconds", seconds_},
                {"ema", ema_},
                {"total_steps", static_cast<double>(total_)},
                {"data_tokens", static_cast<double>(data_.train.tokens())}};
  meta.model = model_to_json(engine_.model().config);
  meta.settings = to_toml(settings_);
  meta.tokenizer_hash = data_.train.tokenizer_hash();
  meta.command = shell_line(options_.arguments);
  meta.version = RW_VERSION;
  std::vector<TokenizerFile> tokenizer;
  if (data_.tokenizer) tokenizer.push_back(data_.tokenizer->file());
  const SavedCheckpoint saved = save_checkpoint(folder_.checkpoints(), meta, engine_.state(), tokenizer,
                                                {.keep = settings_.settings.run.keep, .best = is_best_});
  saved_ = saved.folder, saved_step_ = step_, is_best_ = false;
  progress_->saved(step_, saved.folder.string(), now() - start);
  for (const std::string& warning : saved.warnings) progress_->warning(warning);
}

TrainingResult Trainer::run() {
  const StopSignals signals;
  const int64_t first = step_;
  bool stop = false;
  while (step_ < total_ && !stop) {
    train_step();
    const RunFolder::Request request = folder_.requested();
    const int signal = interrupted();
    stop = signal != 0 || request == RunFolder::Request::stop ||
           (options_.stop_after > 0 && step_ - first >= options_.stop_after);
    const bool evaluates = evaluator_ && due(eval_every_);
    if (evaluates || due(settings_.settings.run.log_every)) report_step();
    if (evaluates) {
      try {  // a checkpoint is worth more than its evaluation
        evaluate();
        sample();
      } catch (const std::exception& error) {
        progress_->warning(std::string("evaluation failed: ") + error.what());
      }
    }
    if (!row_.empty()) metrics_->append(step_, row_);
    row_.clear();
    if (stop || step_ == total_ || due(save_every_) || request != RunFolder::Request::none) save();
    if (request != RunFolder::Request::none) folder_.honoured();
    if (stop && step_ < total_)
      progress_->note(std::string("stopped  ") + (signal ? std::string("by ") + signal_name(signal) : "as asked") +
                      ", everything is saved");
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
