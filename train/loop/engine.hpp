// A model in training: its parameters, gradients and moments, the memory that a step needs, and the step itself.
//
// One optimizer step over S sequences of T tokens, cut into micro-batches, with n the number of targets of all of them:
//
//   loss = Σ nll / n,   g = Σ_micro ∂(Σ nll / n),   g' = g · min(1, clip / ‖g‖),   AdamW(g')
//
// so how the step is cut changes nothing but rounding. Frozen tensors (trained_ranges.hpp) have no part in g, so none
// in its norm, and keep their bits.
//
// In bf16 the model computes with weights that are rounded after every step; those that learn, and are saved, are f32,
// as are gradients and moments.
#pragma once
#include <limits>
#include <memory>

#include "core/memory/mirror.hpp"
#include "layers/parameters.hpp"
#include "layers/rotary/drawn_positions.hpp"
#include "layers/transformer/model.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/loop/trained_ranges.hpp"
#include "train/loop/workspace.hpp"

namespace rw {

struct EngineOptions {
  Device device{};
  DType dtype = DType::f32;  // of weights and activations; bf16 on a GPU only
  int64_t sequences = 1;     // S, of one optimizer step
  int64_t micro_batch = 1;   // sequences of one forward; need not divide S
  int64_t length = 1;        // T
  bool documents = true;     // attention stays inside documents: first_key is obeyed
  PositionDraw draw_positions = PositionDraw::none;
  int64_t position_range = 0;  // of positions drawn below one; at least length
  Recompute recompute = Recompute::none;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0, clip = 0;
  uint64_t seed = 1;
  std::string freeze = {};  // patterns for the names of tensors that are not trained
  bool graph = false;       // on a GPU: steps run as CUDA graphs, but for positions of equal mean
};

// Bytes, by what they are for.
struct MemoryPlan {
  size_t weights = 0, gradients = 0, moments = 0, activations = 0, scratch = 0, workspace = 0, tokens = 0;
  size_t total() const { return weights + gradients + moments + activations + scratch + workspace + tokens; }
};

class Engine {
 public:
  // The memory that an Engine takes, from a dry run of its own step; nothing of that size is allocated.
  static MemoryPlan plan(const ModelConfig&, const EngineOptions&);

  // Weights are zero until initialise() or a checkpoint sets them. UserError: Exit::memory if there is not enough;
  // Exit::usage if options.freeze fits no tensor, or all, or the device does not compute in the dtype.
  Engine(const ModelConfig&, const EngineOptions&);

  void initialise();  // weights drawn, moments zero
  // What a checkpoint holds, in host memory. On a device: as it was when pull_state() was called last, and changes of
  // it are taken over by push_state().
  std::vector<StateTensor> state();
  void pull_state() const;
  void push_state();
  const Model& model() const { return model_; }
  const EngineOptions& options() const { return options_; }
  const MemoryPlan& memory() const { return plan_; }
  const TrainedRanges& ranges() const { return ranges_; }

  // To be filled by the caller before a step: i32 [S, T], in host memory. Each step has its own.
  View token() const { return part_of(flight_after(launched_).tokens.host(), kToken); }
  View target() const { return part_of(flight_after(launched_).tokens.host(), kTarget); }
  View first_key() const { return part_of(flight_after(launched_).tokens.host(), kFirstKey); }

  struct StepResult {
    double loss = std::numeric_limits<double>::quiet_NaN();  // nats per target
    double grad_norm = 0;
    int64_t targets = 0;
    double lr = 0;
  };
  // Puts a step on the device's queue, behind at most one other, and does not wait for it. `step` counts from 1. With
  // no target at all there is nothing to learn: nothing is updated, not even by weight decay, and loss is NaN; a
  // micro-batch without one adds nothing. A step whose gradient is not finite updates nothing.
  void launch(int64_t step, double lr);
  bool in_flight() const { return waited_ < launched_; }
  // Waits for the step that was launched first. Throws UserError(Exit::non_finite), naming the first bad tensor.
  StepResult wait();
  StepResult step(int64_t step, double lr) {
    launch(step, lr);
    return wait();
  }

  // Where evaluations and samples are computed too: large enough for an Evaluator with micro_batch rows of T tokens and
  // for a Generator of T tokens.
  Ctx& context() { return workspace_->ctx; }

 private:
  Engine(const ModelConfig&, const EngineOptions&, bool dry);
  void bind() { bind_parameters(model_, low_.view().empty() ? value_.device() : low_.view(), grad_); }
  void round_weights();
  enum Part : int64_t { kToken, kTarget, kFirstKey, kPosition, kParts };

  // What belongs to one step; two of them may be on their way.
  struct Flight {
    explicit Flight(const EngineOptions&);
    Mirror tokens;     // kParts times S rows
    Buffer turned_by;  // [S, T] in host memory, with positions of equal mean
    Mirror nll, norm;
    Event uploaded, done;
    int64_t step = 0;
    StepResult result;
  };
  View part_of(View tokens, Part part) const { return rows(tokens, part * options_.sequences, options_.sequences); }
  // Of the step that is launched after n others.
  Flight& flight_after(int64_t n) { return flights_[static_cast<size_t>(n) % flights_.size()]; }
  const Flight& flight_after(int64_t n) const { return flights_[static_cast<size_t>(n) % flights_.size()]; }
  Batch batch(const Flight&, int64_t first, int64_t count) const;
  void set_positions(const Flight&) const;
  void run_micro_batches(Ctx&, const Flight&, View nll, double scale) const;
  void compute(Ctx&, const Flight&) const;
  [[noreturn]] void report_non_finite(const Flight&);

  EngineOptions options_;
  Model model_;
  ParamLayout layout_;
  TrainedRanges ranges_;
  MemoryPlan plan_;
  Mirror value_, m_, v_;
  Buffer low_;  // value_ rounded, which a model in bf16 computes with
  Buffer grad_;
  std::unique_ptr<Workspace> workspace_;
  OwnStream uploads_;  // beside the steps
  std::vector<Flight> flights_;
  int64_t launched_ = 0, waited_ = 0;  // steps
  Buffer clip_;
  Recording recording_;
  bool warm_ = false;     // a step was computed: what later ones find there is made
  bool stepped_ = false;  // the moments are no longer zero
};

}  // namespace rw
