// How a run begins, or goes on: checks, folder, weights, length.
#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/checkpoint/parent.hpp"
#include "train/config/finetune.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/validate.hpp"
#include "train/loop/extension.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/trainer.hpp"

namespace rw {
namespace {

constexpr size_t kTimedSteps = 3;  // measured before a run that is given a time

void use_threads(const Settings& s) {
  if (s.train.threads > 0) set_threads(static_cast<int>(s.train.threads));
}

// How the same model can be trained in so much memory: with the largest part of the micro-batch, rather than with more
// computation.
std::string what_fits(const ModelConfig& model, EngineOptions options, double available) {
  const int64_t asked = options.micro_batch;
  for (const Recompute recompute : {options.recompute, Recompute::block}) {
    options.recompute = recompute;
    for (options.micro_batch = asked; options.micro_batch > 0; options.micro_batch /= 2)
      if (static_cast<double>(Engine::plan(model, options).total()) <= available)
        return "--micro-batch " + std::to_string(options.micro_batch) +
               (recompute == Recompute::block ? " --recompute block" : "") + " would fit";
  }
  return "no --micro-batch would fit, not even with --recompute block: a smaller --context or model is needed";
}

// What must hold, of settings that are valid and their data, before a run is made or goes on.
MemoryPlan check_start(const Settings& settings, const ModelConfig& model, const TrainingData& data) {
  const Sampler long_enough(data.train, settings.model.context, 0);
  const EngineOptions options = engine_options(settings);
  const MemoryPlan plan = Engine::plan(model, options);
  const double available = available_memory(options.device);
  if (static_cast<double>(plan.total()) > available)
    check_memory(plan.total(), memory_table(plan) + "\n" + what_fits(model, options, available), options.device);
  return plan;
}

// Both have the same tensors, maybe of another type.
void copy_weights(Engine& to, Model& from) {
  std::vector<StateTensor> source;
  from.each([&](const Param& p) { add_state(source, p); });
  const std::vector<StateTensor> target = to.state();
  RW_CHECK(source.size() == target.size(), source.size(), target.size());
  for (size_t i = 0; i < source.size(); ++i) {
    const View in = source[i].value, out = target[i].value;
    RW_CHECK(source[i].name == target[i].name && in.shape == out.shape, source[i].name, target[i].name);
    visit_dtype<double, float>(in.dtype, [&]<class From>() {
      visit_dtype<double, float>(out.dtype, [&]<class To>() {
        for (int64_t r = 0; r < out.rows(); ++r)
          for (int64_t c = 0; c < out.width(); ++c) out.as<To>()[r][c] = static_cast<To>(in.as<From>()[r][c]);
      });
    });
  }
  to.push_state();
}

}  // namespace

// All that a new run begins with.
struct Trainer::Start {
  Resolved settings;
  ModelConfig model;
  TrainingData data;
  MemoryPlan plan;
  std::optional<LoadedModel> parent;

  std::string proof();  // of an extension of the parent's positions; empty if there is none

  static Start pretrain(Resolved settings);
  static Start finetune(const FinetuneOptions& options);
};

Trainer::Start Trainer::Start::pretrain(Resolved settings) {
  validate(settings);
  use_threads(settings.settings);
  TrainingData data = TrainingData::open(settings.settings);
  const ModelConfig model = settings.settings.model;
  const MemoryPlan plan = check_start(settings.settings, model, data);
  return {std::move(settings), model, std::move(data), plan, {}};
}

Trainer::Start Trainer::Start::finetune(const FinetuneOptions& options) {
  LoadedModel parent = load_model(options.from);
  FinetuneSettings s = resolve_finetune(parent.model.config, options.layers, options.untrained_positions);
  validate(s.resolved);
  use_threads(s.resolved.settings);
  TrainingData data = TrainingData::open(s.resolved.settings, &parent.meta);
  set_finetune_length(s.resolved, data.train.tokens());
  const MemoryPlan plan = check_start(s.resolved.settings, s.model, data);
  return {std::move(s.resolved), s.model, std::move(data), plan, std::move(parent)};
}

std::string Trainer::Start::proof() {
  if (position_fingerprint(parent->model.config) == position_fingerprint(model)) return "";
  const int64_t length = settings.settings.model.context;
  for (const DataSet* set : {data.val ? &*data.val : nullptr, &data.train})
    for (const Corpus& corpus : set ? std::span<const Corpus>(set->corpora()) : std::span<const Corpus>())
      if (static_cast<int64_t>(corpus.data.size()) > length)
        return prove_extension(parent->model, model, corpus.data, length).text();
  return "";
}

MemoryPlan Trainer::dry_run(Resolved settings) { return Start::pretrain(std::move(settings)).plan; }
MemoryPlan Trainer::dry_run(const FinetuneOptions& options) { return Start::finetune(options).plan; }

TrainingResult Trainer::pretrain(Resolved settings, const TrainerOptions& options) {
  return begin(Start::pretrain(std::move(settings)), options);
}
TrainingResult Trainer::finetune(const FinetuneOptions& finetune, const TrainerOptions& options) {
  return begin(Start::finetune(finetune), options);
}

TrainingResult Trainer::begin(Start start, const TrainerOptions& options) {
  const Settings::Run& run = start.settings.settings.run;
  if (run.out.empty()) throw UserError(Exit::usage, "no run folder is given", "--out runs/NAME");
  std::string parent;
  if (start.parent) parent = to_text(parent_of(start.parent->folder, start.parent->meta.step));
  const std::string proof = start.parent ? start.proof() : "";
  RunFolder folder = RunFolder::create(run.out, run.overwrite);
  Trainer trainer(std::move(start.settings), start.model, std::move(start.data), std::move(folder), options);
  if (trainer.total_ == 0) trainer.total_ = trainer.measured_length();
  trainer.engine_.initialise();
  std::vector<std::string> skipped;
  if (start.parent) {
    copy_weights(trainer.engine_, start.parent->model);
    trainer.parent_ = parent, trainer.ends_ = start.parent->meta.ends;
    skipped = start.parent->skipped;
    start.parent.reset();  // its memory is needed
  }
  if (trainer.data_.tokenizer) trainer.folder_.write_tokenizer(std::array{trainer.data_.tokenizer->file()});
  trainer.introduce(parent.empty() ? "new run" : "fine-tuning");
  for (const std::string& why : skipped) trainer.progress_->warning("passed over " + why);
  if (!proof.empty()) trainer.progress_->note("extended " + proof);
  if (!parent.empty() && trainer.evaluator_) {  // what it begins with
    trainer.try_evaluation();
    trainer.append_metrics();
  }
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
  ModelConfig model = settings.settings.model;
  model.context = model_from_json(meta.model).context;  // a fine-tuning may train shorter sequences
  check_start(settings.settings, model, data);

  Trainer trainer(std::move(settings), model, std::move(data), std::move(folder), options);
  trainer.parent_ = meta.parent, trainer.ends_ = meta.ends;
  checkpoint.load(trainer.engine_.state());
  trainer.engine_.push_state();
  trainer.step_ = trainer.saved_step_ = meta.step;
  trainer.saved_ = checkpoint.folder();
  trainer.seconds_ = state("seconds", 0);
  trainer.ema_ = state("ema", kNone);
  trainer.val_loss_ = meta.val_loss.value_or(kNone);
  trainer.best_val_ = meta.best_val.value_or(kNone);
  trainer.elapsed_before_ = state("elapsed", trainer.seconds_);
  if (const double time = trainer.settings_.settings.train.time; time > 0) {
    const double step = static_cast<double>(meta.step), left = std::max(0.0, time - trainer.elapsed_before_);
    const bool same_length = saved.settings.train.time == time;
    const double total = same_length ? state("total_steps", step) : step + left / (trainer.elapsed_before_ / step);
    trainer.total_ = static_cast<int64_t>(total);
    trainer.position_ = same_length ? state("position", step / total) : step / total;
  }
  trainer.introduce("resumed");
  for (const std::string& why : skipped) trainer.progress_->warning("passed over " + why);
  return trainer.run();
}

int64_t Trainer::measured_length() {
  engine_.initialise();
  std::array<double, kTimedSteps> took;
  for (size_t i = 0; i < kTimedSteps; ++i) {
    const double start = options_.clock();
    fill(static_cast<int64_t>(i));
    engine_.step(1, 0);
    took[i] = options_.clock() - start;
  }
  std::ranges::sort(took);
  const double left = settings_.settings.train.time - elapsed();
  return std::max<int64_t>(1, static_cast<int64_t>(left / took[kTimedSteps / 2]));
}

}  // namespace rw
