// A tokenizer and the keys of a GGUF file.
#pragma once
#include "data/tokenizer/vocabulary.hpp"
#include "train/exchange/gguf.hpp"

namespace rw {

// Nothing if the file has no tokenizer. rows: of the embedding. Throws UserError(Exit::data), naming the key.
std::optional<Vocabulary> gguf_vocabulary(const GgufFile& file, int64_t rows);
// The ids that end a text, besides the one that begins a document: bos, or eos where there is none.
std::vector<int64_t> gguf_ends(const GgufFile& file, const Vocabulary& vocabulary);

// The keys; rows of the embedding beyond the vocabulary become unused tokens "[PAD<id>]". At most three ends are
// written; without any, the id that begins a document ends a text. Null: no tokenizer.
GgufFields gguf_fields(const Vocabulary* vocabulary, int64_t rows, std::span<const int64_t> ends);

}  // namespace rw
