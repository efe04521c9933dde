// The kinds of tokenizers, for tokenizer.cpp and the trainer, and what they share.
#pragma once
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

inline constexpr char kBytesFile[] = "tokenizer.bytes";
inline constexpr char kSentencePieceFile[] = "tokenizer.model";
inline constexpr char kJsonFile[] = "tokenizer.json";

inline constexpr size_t kMostPieces = size_t{1} << 22;
inline constexpr char kSpaceMark[] = "\xE2\x96\x81";  // U+2581 "▁", which SentencePiece writes for a space

// How text is cut into words, by GGUF's names.
inline constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr char kLlama3Pattern[] = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr char kQwen2Pattern[] = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                                        R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The pre-tokenizer Digits knows the digits of Unicode 17.
#define RW_DIGITS R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])"
inline constexpr char kDigitPattern[] = RW_DIGITS, kDigitsPattern[] = RW_DIGITS "+";
#undef RW_DIGITS

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(TokenizerFile file);  // UserError(Exit::data)
std::unique_ptr<Tokenizer> make_json_tokenizer(TokenizerFile file);           // UserError(Exit::data)

std::string byte_piece(unsigned char byte);       // "<0x0A>"
int byte_of_piece(std::string_view piece);        // -1: it is not like that
std::string shown_piece(std::string_view piece);  // without control characters

}  // namespace rw
