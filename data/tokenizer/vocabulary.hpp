// A tokenizer taken apart, so that it can be written in another format.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "data/tokenizer/tokenizer.hpp"

namespace rw {

struct Vocabulary {
  // byte_pairs: pieces are bytes in GPT-2's alphabet (space is "Ġ"), merged by rank inside the words of `pattern`.
  // sentencepiece: pieces are text with "▁" for a space, merged by score, with a piece "<0x0A>" for each byte.
  enum class Kind { byte_pairs, sentencepiece };
  enum class Type : uint8_t { normal = 1, unknown, control, user, unused, byte };  // numbers as in SentencePiece, GGUF

  Kind kind = Kind::byte_pairs;
  std::vector<std::string> pieces;  // of each id
  std::vector<Type> types;
  std::vector<float> scores;                                // sentencepiece
  std::vector<std::pair<std::string, std::string>> merges;  // byte_pairs, by rank
  std::string pattern;        // how text is cut before merging, by its name in GGUF: "gpt-2", "llama-bpe", "qwen2", ...
  bool space_prefix = false;  // a space is put before a text
  int32_t bos = -1, eos = -1, unknown = -1, padding = -1;
};

Vocabulary vocabulary_of(const Tokenizer& tokenizer);

// A tokenizer that gives the ids that the vocabulary's own tool gives. Throws UserError(Exit::data), naming what is not
// known (a pattern) or wrong (ids without a piece, a piece twice, merges of what is no piece).
TokenizerFile tokenizer_file_of(const Vocabulary& vocabulary);

}  // namespace rw
