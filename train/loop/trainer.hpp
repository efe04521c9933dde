// A training run: data in, checkpoints, metrics and samples out, from a step to the last one.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sampler/batch.hpp"
#include "train/config/layers.hpp"
#include "train/loop/evaluator.hpp"
#include "train/loop/metrics.hpp"
#include "train/loop/progress.hpp"
#include "train/loop/run_folder.hpp"
#include "train/loop/run_status.hpp"
#include "train/loop/tensorboard.hpp"
#include "train/loop/training_data.hpp"

namespace rw {

struct TrainerOptions {
  std::vector<std::string> arguments;  // of the process
  bool json = false, quiet = false;
  int64_t stop_after = 0;  // steps that this process makes at most; then as after a signal. 0: no limit
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
  // All checks of a new run, and the memory that it would take; nothing is made.
  static MemoryPlan dry_run(Resolved settings);
  // The run in `folder` goes on from its newest good checkpoint; `changes` are layers over its settings, of which only
  // those that change nothing that was trained are taken.
  static TrainingResult resume(const std::filesystem::path& folder, std::span<const ConfigLayer> changes,
                               const TrainerOptions& options);

 private:
  Trainer(Resolved settings, TrainingData data, RunFolder folder, const TrainerOptions& options);
  void choose_length();  // of a run that is given a time: measures some steps
  void introduce(const char* verb);
  TrainingResult run();  // run_steps, and what the folder says of its end
  TrainingResult run_steps(std::string& stopped_by);
  void fill(int64_t step);  // the engine's batch, with the samples of the step (from 0)
  void train_step();
  void report_step();
  void evaluate();
  void sample();
  void save();
  void conclude(RunStatus::State state, const std::string& why);  // how the run stands, and the report on it
  bool due(int64_t every) const { return every > 0 && (step_ % every == 0 || step_ == total_); }

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

  int64_t step_ = 0, total_ = 0, eval_every_ = 0, save_every_ = 0;
  double seconds_ = 0, ema_ = kNone, val_loss_ = kNone, val_bits_ = kNone, best_val_ = kNone;
  bool is_best_ = false;
  StepReport report_;
  std::vector<Metric> row_;  // of metrics.jsonl, at this step
  std::filesystem::path saved_;
  int64_t saved_step_ = -1;
};

}  // namespace rw
