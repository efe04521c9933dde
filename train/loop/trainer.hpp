// A training run: data in, checkpoints, metrics and samples out, from a step to the last one.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sampler/batch.hpp"
#include "train/config/layers.hpp"
#include "train/loop/evaluator.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/metrics.hpp"
#include "train/loop/progress.hpp"
#include "train/loop/run_folder.hpp"
#include "train/loop/run_status.hpp"
#include "train/loop/tensorboard.hpp"
#include "train/loop/timed_length.hpp"
#include "train/loop/training_data.hpp"

namespace rw {

struct TrainerOptions {
  std::vector<std::string> arguments;  // of the process
  bool json = false, quiet = false;
  int64_t stop_after = 0;  // steps that this process makes at most; then as after a signal. 0: no limit
  double (*clock)() = monotonic_seconds;
};

struct FinetuneOptions {
  std::filesystem::path from;        // a checkpoint, or a run: its newest
  std::vector<ConfigLayer> layers;   // over the checkpoint's model and the defaults of a fine-tuning
  bool untrained_positions = false;  // sequences may be longer than what the model was trained on
};

struct TrainingResult {
  bool finished = false;  // else it was interrupted, and everything is saved
  int64_t step = 0;
  double loss = kNone, val_loss = kNone, val_bits_per_byte = kNone, best_val = kNone;
  std::filesystem::path checkpoint;
};

class Trainer {
 public:
  // A new run. Throws UserError: what is wrong with settings or data, before the folder is made.
  static TrainingResult pretrain(Resolved settings, const TrainerOptions& options);
  // A new run that begins with the weights of a checkpoint. Throws UserError: as pretrain does, as load_model and
  // resolve_finetune (train/config/finetune.hpp) do; Exit::data if the data have another tokenizer than the checkpoint.
  static TrainingResult finetune(const FinetuneOptions& finetune, const TrainerOptions& options);
  // All checks of a new run, and the memory that it would take; nothing is made.
  static MemoryPlan dry_run(Resolved settings);
  static MemoryPlan dry_run(const FinetuneOptions& finetune);
  // The run in `folder` goes on from its newest good checkpoint; `changes` are layers over its settings, of which only
  // those that change nothing that was trained are taken.
  static TrainingResult resume(const std::filesystem::path& folder, std::span<const ConfigLayer> changes,
                               const TrainerOptions& options);

 private:
  static constexpr int64_t kEvaluations = 10;      // of a run, unless told otherwise; in a given time fewer
  static constexpr double kEvaluationShare = 0.2;  // where they would take more than this of it
  struct Start;

  // settings.model.context is the length of training sequences, model.context the longest ever trained.
  Trainer(Resolved settings, const ModelConfig& model, TrainingData data, RunFolder folder,
          const TrainerOptions& options);
  static TrainingResult begin(Start start, const TrainerOptions& options);
  int64_t measured_length();  // steps that fit the time that the run is given; those measured leave no trace
  void introduce(const char* verb);
  TrainingResult run();  // run_steps, and what the folder says of its end
  TrainingResult run_steps(std::string& stopped_by);
  void fill(int64_t step);      // the engine's batch, with the samples of the step (from 0)
  void launch(int64_t step);    // from 1
  void train_step(bool ahead);  // ahead: with the next step launched before this one is over, if nothing comes between
  double learning_rate_at(int64_t step);  // from 1
  bool pauses_after(int64_t step) const;  // evaluates or saves there, whatever happens, or ends
  void report_step();
  void evaluate();
  void sample();
  void try_evaluation();
  void append_metrics();
  void save();
  void conclude(RunStatus::State state, const std::string& why);  // how the run stands, and the report on it
  bool due(int64_t every, int64_t step) const { return every > 0 && (step % every == 0 || step == total_); }
  // In steps, of what the setting `asked` says; 0: ten times in the run.
  int64_t interval(int64_t asked) const { return asked > 0 ? asked : std::max<int64_t>(1, total_ / kEvaluations); }
  bool interval_over(int64_t asked, int64_t step) const;
  bool evaluation_due() const;
  int64_t asked_eval() const { return settings_.settings.run.eval_every; }
  int64_t asked_save() const;
  void show_length();
  double elapsed() const { return elapsed_before_ + options_.clock() - started_; }

  Resolved settings_;
  TrainingData data_;
  RunFolder folder_;
  TrainerOptions options_;
  Engine engine_;
  Sampler sampler_;
  std::optional<Evaluator> evaluator_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<EventWriter> events_;
  std::unique_ptr<Progress> progress_;

  std::string parent_;         // CheckpointMeta::parent
  std::vector<int64_t> ends_;  // CheckpointMeta::ends
  int64_t step_ = 0, total_ = 0;
  int64_t last_ = std::numeric_limits<int64_t>::max();  // step after which this process stops
  std::optional<TimedLength> timed_;         // of a run that is given a time, as long as it runs: then total_ is its
  double position_ = 0;                      // TimedLength::position() to begin with
  double started_ = 0, elapsed_before_ = 0;  // on the clock; what the run took in earlier processes
  double reserve_ = 0, evaluating_ = 0;      // seconds of the last evaluation and saving; of all by this process
  double seconds_ = 0, ema_ = kNone, val_loss_ = kNone, val_bits_ = kNone, best_val_ = kNone;
  bool is_best_ = false;
  StepReport report_;
  std::vector<Metric> row_;  // of metrics.jsonl, at this step
  std::filesystem::path saved_;
  int64_t saved_step_ = -1;
};

}  // namespace rw
