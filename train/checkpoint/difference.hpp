// In what two checkpoints differ.
#pragma once
#include "train/checkpoint/checkpoint.hpp"

namespace rw {

struct TensorDifference {
  std::string name;
  double relative = 0;  // ‖a − b‖ / ‖a‖; infinite if a is zero and b is not; NaN if a number of either is not finite
  double most = 0;  // max |a − b|
};

struct CheckpointDifference {
  struct Text {
    std::string name, a, b;
  };
  std::vector<Text> facts;                  // step, tokens, tokenizer, ...
  std::vector<Text> model, settings;        // by the names of the settings
  std::vector<std::string> only_a, only_b;  // tensors
  std::vector<Text> shapes;                 // tensors of both with different shapes, which are not compared
  std::vector<Text> dtypes;                 // and with different types, which are
  std::vector<TensorDifference> tensors;    // that differ: what is not finite first, then the largest `relative`
  int64_t equal = 0;                        // tensors of the same shape and type that are the same, bit for bit
  double relative = 0;                      // of all compared tensors as one vector
};

// Weights only; moments are left alone.
CheckpointDifference difference(const Checkpoint& a, const Checkpoint& b);

}  // namespace rw
