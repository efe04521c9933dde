// Which numbers of a model are trained: all but the tensors that --freeze names. A tensor is a part of a parameter, as
// checkpoints store it (`ropewalk inspect --tensors`), so of joined projections one can be frozen alone. A tied head is
// the embedding.
#pragma once
#include <string_view>
#include <vector>

#include "layers/parameters.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

// Ranges of the flat buffers, ascending.
struct TrainedRanges {
  std::vector<ParamRange> trained;  // neighbours with the same decay are one, with the gap between them
  std::vector<ParamRange> frozen;
  int64_t trained_count = 0, count = 0;  // numbers, without gaps
};

// `freeze`: patterns for names, with commas between: * stands for any characters, ? for one, [abc] for one of these.
// Throws UserError(Exit::usage) if a pattern matches no tensor, or nothing is left to train.
// Source of the patterns: IEEE Std 1003.1, fnmatch.
TrainedRanges trained_ranges(Model& model, const ParamLayout& layout, std::string_view freeze);

}  // namespace rw
