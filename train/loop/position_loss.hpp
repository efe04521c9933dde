// Loss by how far into its window a target stands: what longer contexts are judged by.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "train/loop/evaluator.hpp"

namespace rw {

inline constexpr std::string_view kPositionMetric = "val_loss_by_position/";  // with the bucket's name behind it

// Positions 0, 1, 2-3, 4-7, ... of a window of T tokens, which saw 1, 2, ... tokens before their target.
class PositionLoss {
 public:
  explicit PositionLoss(int64_t length);  // T

  void add(const Evaluation& evaluation, double share);  // of a corpus, in the mixture

  struct Bucket {
    std::string name;  // "4-7"
    double loss;       // nats per target: the mean over the corpora that have targets there, by their shares
  };
  std::vector<Bucket> buckets() const;  // those with targets

 private:
  int64_t length_;
  std::vector<double> loss_, share_;  // sums, by bucket
};

}  // namespace rw
