// Hugging Face's files of a tokenizer.
#pragma once
#include <string>

#include "data/tokenizer/tokenizer.hpp"

namespace rw {

// tokenizer.json, with which AutoTokenizer gives the ids of `tokenizer` (for SentencePiece but for texts with U+2581,
// which it takes for a space). One that was read from a tokenizer.json gives that file again.
std::string to_tokenizer_json(const Tokenizer& tokenizer);

// tokenizer_config.json beside it; context: model_max_length.
std::string to_tokenizer_config_json(const Tokenizer& tokenizer, int64_t context);

}  // namespace rw
