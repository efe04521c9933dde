// Losses of the last targets of a text, by a model with the positions that it has: one text at a time, without
// documents in it.
#pragma once
#include <memory>
#include <span>

#include "layers/transformer/model.hpp"
#include "train/loop/workspace.hpp"

namespace rw {

class TextScorer {
 public:
  // For texts of up to `longest` tokens. UserError(Exit::memory) where their arenas do not fit.
  TextScorer(Model& model, int64_t longest, Phase phase = Phase::inference);

  // Of the last `count` targets of the last `length` ones of `text`, which has at least one token more: the model reads
  // `length` tokens, and its positions are prepared for so many and left prepared. 1 ≤ count ≤ length ≤ longest.
  void score(std::span<const int32_t> text, int64_t length, int64_t count);

  // Of the last score(): negative log-likelihoods in nats, and 1 where the target is the likeliest id.
  std::span<const double> nll() const { return {nll_.view().as<double>().data, count_}; }
  std::span<const int32_t> correct() const { return {correct_.view().as<int32_t>().data, count_}; }

 private:
  void score(Ctx& ctx, int64_t length, int64_t count);

  Model& model_;
  DType dtype_;
  Phase phase_;
  Buffer token_, target_, position_, nll_, correct_;
  std::unique_ptr<Workspace> workspace_;
  size_t count_ = 0;
};

}  // namespace rw
