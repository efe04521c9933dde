// Whether a model came through a file of another format as it was.
#pragma once
#include "layers/transformer/model.hpp"

namespace rw {

inline constexpr int64_t kVerifiedTokens = 256;
inline constexpr int64_t kCheapProducts = int64_t{1} << 31;  // of weights and tokens

struct LogitDifference {
  double largest = 0;  // |Δ|
  double scale = 0;    // the largest |logit| of the first model
  int64_t tokens = 0;  // of the longest text
};

// Of two bound f32 or f64 models of one vocabulary, after the same drawn tokens: kVerifiedTokens, or as many as the
// trained length N of `a` has; with rotary positions also 2 N, where that costs no more than kCheapProducts. For this
// both are prepared anew, and remain so. rw::Error if their frequencies and factors, which cost nothing, differ by more
// than 1e-6, the float of a file, for texts of 1, N, N + 1 or 16 N tokens. Throws UserError(Exit::memory).
LogitDifference compare_logits(Model& a, Model& b);
inline LogitDifference compare_logits(Model& a, Model&& b) { return compare_logits(a, b); }

// "compared the logits of up to 256 tokens: largest difference 0 of 12.3". rw::Error if it is more than `most` of the
// scale.
std::string verdict(const LogitDifference& difference, double most);

}  // namespace rw
