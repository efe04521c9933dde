// The kinds of tokenizers, for tokenizer.cpp and the trainer.
#pragma once
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

inline constexpr char kBytesFile[] = "tokenizer.bytes";
inline constexpr char kSentencePieceFile[] = "tokenizer.model";
inline constexpr char kJsonFile[] = "tokenizer.json";

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(TokenizerFile file);  // UserError(Exit::data)

std::string byte_piece(unsigned char byte);  // "<0x0A>"

}  // namespace rw
