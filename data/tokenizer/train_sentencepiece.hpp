// Learns a byte-pair vocabulary with SentencePiece: byte fallback, identity normalisation, no dummy prefix, spaces
// kept, digits apart; <unk> 0, <s> 1 (document_start), </s> 2, then the bytes. No piece goes on behind a word with a
// space. Runs of spaces are pieces where they are frequent, and newlines are learnt like punctuation (".\n", "\n\n"),
// which takes 3 to 6 % fewer tokens than newlines in bytes. Words of all text are counted first, and only these counts
// are learnt from, so that memory and time do not grow with the text.
#pragma once
#include "data/corpus/documents.hpp"
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

struct TrainedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  uint64_t bytes = 0;  // of the text
  uint64_t documents = 0;
  uint64_t words = 0;  // distinct ones learnt from
};

inline constexpr int64_t kLeastVocab = 300, kMostVocab = 1 << 20;

// Equal inputs give equal files. Throws UserError: Exit::usage for a vocabulary outside [kLeastVocab, kMostVocab];
// Exit::data for the inputs (documents.hpp), or if there is too little text for the vocabulary, naming the largest that
// fits.
TrainedTokenizer train_sentencepiece(std::span<const std::filesystem::path> inputs, const DocumentOptions& documents,
                                     int64_t vocab);

}  // namespace rw
