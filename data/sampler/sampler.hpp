// Which tokens make which training sample: a pure function of the seed and the sample's index in the run, so that
// nothing is saved, and neither batch size, micro-batches nor ranks change what is trained on.
//
// A sample of context T is a window of T + 1 tokens: T inputs and T targets. A corpus of N tokens is taken as a ring,
// on which its first token follows its last. Epoch e of it draws an offset o in [0, N) and takes each of the W = ⌊N /
// T⌋ windows o + w T ... o + w T + T once, in an order of its own. So every token is left out equally rarely (N mod T
// in an epoch), and windows are cut elsewhere each time.
//
// Mixtures: in every block of 1024 samples each corpus has the same number, 1024 · share rounded by largest remainder,
// at places drawn for the block.
#pragma once
#include "data/sampler/data_set.hpp"

namespace rw {

struct Sample {
  size_t corpus = 0;
  uint64_t begin = 0;  // of its T + 1 tokens, in the corpus, as a ring
  uint64_t epoch = 0;  // of the corpus
};

inline constexpr uint64_t kMixtureBlock = 1024;

class Sampler {
 public:
  // Throws UserError(Exit::data) if a corpus has fewer than T + 1 tokens, naming the longest context that fits, or has
  // a share that rounds to nothing. `data` has to live as long.
  Sampler(const DataSet& data, int64_t context, uint64_t seed);

  Sample operator()(uint64_t index) const;  // index: of the sample in the run, from 0

  uint64_t windows(size_t corpus) const;                 // in an epoch
  double epochs(size_t corpus, uint64_t samples) const;  // of a corpus in the first `samples` of a run, about
  int64_t context() const { return context_; }

 private:
  const DataSet* data_;
  int64_t context_;
  uint64_t seed_;
  std::vector<uint64_t> block_end_;  // places below block_end_[c], not below block_end_[c - 1], are of corpus c
};

}  // namespace rw
