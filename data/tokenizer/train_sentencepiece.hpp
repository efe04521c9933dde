// Learns a byte-pair vocabulary with SentencePiece: byte fallback, identity normalisation, no dummy prefix, spaces
// kept, digits apart; <unk> 0, <s> 1 (document_start), </s> 2, then the bytes. Newlines are letters like others.
#pragma once
#include "data/corpus/documents.hpp"
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

struct SentencePieceTraining {
  int64_t vocab = 4096;
  uint64_t max_bytes = uint64_t{64} << 20;  // of text to learn from, taken evenly from the whole; bounds the memory
  uint64_t seed = 1;                        // of that choice
  int threads = 1;                          // the result does not depend on it
};

struct TrainedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  uint64_t bytes = 0;       // of all text
  uint64_t used_bytes = 0;  // learnt from
  uint64_t documents = 0;
};

// Throws UserError: Exit::data for the inputs (documents.hpp) or if there is too little text for the vocabulary, naming
// the largest that fits; Exit::usage for a vocabulary that holds no more than the bytes.
TrainedTokenizer train_sentencepiece(std::span<const std::filesystem::path> inputs, const DocumentOptions& documents,
                                     const SentencePieceTraining& options);

}  // namespace rw
