// Windows of tokens as the model takes them. Rows of a batch are independent.
#pragma once
#include "data/sampler/sampler.hpp"

namespace rw {

// Each i32 [B, T], row-major.
//   targets[b, t]    the token after tokens[b, t], or kIgnore (core/base/ignore.hpp): where that is of a prompt
//                    (prepare.hpp), and where another row has it
//   first_key[b, t]  index in the row of the first token of the document of tokens[b, t]; 0 if that began earlier
struct BatchView {
  int64_t rows = 0;     // B
  int64_t context = 0;  // T
  std::span<int32_t> tokens, targets, first_key;
};

// The samples first_sample ... first_sample + B - 1 of the run. Without doc_mask all of first_key is 0.
void fill_batch(const DataSet& data, const Sampler& sampler, uint64_t first_sample, bool doc_mask,
                const BatchView& batch);

// Windows over a row of N tokens in which, together, every token but the first and those of prompts is a target exactly
// once, seen with at least T - stride tokens before it (as far as there are so many). Window w begins at token
// w · stride.
class EvaluationWindows {
 public:
  // 0 < stride ≤ T. `limit`: about so many targets, in windows spread evenly over the row; 0: all.
  EvaluationWindows(const TokenData& data, int64_t context, int64_t stride, uint64_t limit = 0);
  uint64_t count() const { return count_; }

  // Windows first ... first + B - 1; those beyond count() are padding. Targets that another window has, and padding,
  // are kIgnore; padding is token 0.
  void fill(uint64_t first, bool doc_mask, const BatchView& batch) const;

 private:
  const TokenData* data_;
  int64_t context_, stride_;
  uint64_t all_ = 0, count_ = 0;
};

}  // namespace rw
