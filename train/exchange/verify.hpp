// Whether a model came through a file of another format as it was.
#pragma once
#include "layers/transformer/model.hpp"

namespace rw {

inline constexpr int64_t kVerifiedTokens = 256;

struct LogitDifference {
  double largest = 0;  // |Δ|
  double scale = 0;    // the largest |logit| of the first model
  int64_t tokens = 0;
};

// Of two bound f32 or f64 models of one vocabulary, after the same kVerifiedTokens drawn tokens, or as many as their
// context takes. Throws UserError(Exit::memory).
LogitDifference compare_logits(const Model& a, const Model& b);

// "compared the logits of 256 tokens: largest difference 0 of 12.3". rw::Error if it is more than `most` of the scale.
std::string verdict(const LogitDifference& difference, double most);

}  // namespace rw
