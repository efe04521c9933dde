// How a run begins: checks, folder, length, the lines at its start.
#include <algorithm>

#include "core/base/isa.hpp"
#include "core/base/parallel.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/units.hpp"
#include "train/config/validate.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/trainer.hpp"

namespace rw {
namespace {

constexpr size_t kTimedSteps = 3, kMostTimedSteps = 30;  // measured to turn a time into steps,
constexpr double kTimedShare = 0.02;                     // for about this share of it
constexpr int64_t kEvaluations = 10;                     // of a run, unless told otherwise

void use_threads(const Settings& s) {
  if (s.train.threads > 0) set_threads(static_cast<int>(s.train.threads));
}

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

  std::vector<ConfigLayer> layers = {parse_run_toml(meta.settings)};
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

// The steps that fit the time, with evaluations. The steps that are measured leave no trace.
void Trainer::choose_length() {
  const Settings& s = settings_.settings;
  engine_.initialise();
  std::vector<double> took;
  const double begin = monotonic_seconds();
  while (took.size() < kTimedSteps ||
         (took.size() < kMostTimedSteps && monotonic_seconds() - begin < kTimedShare * s.train.time)) {
    const double start = monotonic_seconds();
    fill(static_cast<int64_t>(took.size()));
    engine_.step(1, 0);
    took.push_back(monotonic_seconds() - start);
  }
  std::ranges::sort(took);
  const double step = took[took.size() / 2];
  double left = s.train.time - (monotonic_seconds() - begin);
  if (data_.val && s.run.eval_every == 0) {  // a forward costs a third of a step
    const double per_token = step / static_cast<double>(engine_.options().sequences * engine_.options().length);
    left -= kEvaluations * static_cast<double>(s.run.eval_tokens) * per_token / 3;
  }
  total_ = std::max<int64_t>(1, static_cast<int64_t>(left / step));
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

}  // namespace rw
