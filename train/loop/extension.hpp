// The proof that a change of positions is in effect: before a fine-tuning begins, the model is tried with its old and
// with its new positions on the same text.
#pragma once
#include <string>

#include "data/token_data.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

// Mean losses, in nats, of texts of `length` tokens of the data, up to the trained length and beyond it.
struct ExtensionProof {
  int64_t trained = 0, length = 0, texts = 0;
  double before[2] = {}, after[2] = {};  // up to `trained`, beyond
  std::string text() const;              // one line
};

// `model` has its old positions, and has them again at the end. Throws UserError(Exit::usage) if the new ones give the
// same losses, beyond the trained length where the text is longer.
ExtensionProof prove_extension(Model& model, const ModelConfig& extended, const TokenData& data, int64_t length);

}  // namespace rw
