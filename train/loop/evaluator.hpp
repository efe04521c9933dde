// Losses of a model on a row of tokens.
#pragma once
#include <functional>

#include "core/memory/mirror.hpp"
#include "data/sampler/batch.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

struct Evaluation {
  double nll = 0;  // nats, of all targets together
  uint64_t targets = 0;
  std::vector<double> nll_by_position;  // index in the window; divided by targets_by_position: a mean
  std::vector<uint64_t> targets_by_position;

  double loss() const { return nll / static_cast<double>(targets); }  // nats per target; NaN if there is none
};

// Bits per byte of a text of `bytes` bytes of which all `targets` have a loss of `loss` nats in the mean. NaN if the
// bytes are not known.
double bits_per_byte(double loss, uint64_t targets, uint64_t bytes);

class Evaluator {
 public:
  // What run() computes, for sizing the arenas by a dry run.
  static void dry_run(Ctx&, const Model&, int64_t rows, int64_t length);

  // `rows` windows of `length` tokens at a time, in the arenas of ctx. All three have to live as long.
  Evaluator(Ctx& ctx, const Model& model, int64_t rows, int64_t length);

  // on_target(nll) is called for every target in the order of the text (may be empty).
  Evaluation run(const EvaluationWindows& windows, bool doc_mask, const std::function<void(double)>& on_target = {});

 private:
  Ctx& ctx_;
  const Model& model_;
  int64_t rows_, length_;
  Mirror token_, target_, first_key_, position_, nll_;
};

}  // namespace rw
