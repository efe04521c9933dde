// What a tokenizer.json of Hugging Face says, as far as it is supported: byte-pair encoding over the bytes (GPT-2,
// Llama 3, Qwen, SmolLM) or over characters with "▁" for a space (Llama 2).
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

struct HuggingFaceTokenizer {
  // Where a space is put before a text, or before what follows an added token.
  enum class Prefix {
    none,
    always,        // normalizer Prepend
    unless_space,  // pre-tokenizer Metaspace "always": not before a space
    first,         // Metaspace "first": only before the first text, not before a space
  };
  struct Added {
    std::string content;
    int32_t id;
    bool special;     // stands for no text and is never made from text
    bool normalized;  // looked for in the normalized text
  };

  std::vector<std::string> pieces;  // of each id, as the file spells them
  int32_t model_vocab = 0;          // ids below are the model's; added tokens may stand among them, or behind
  std::vector<Added> added;
  std::vector<std::array<int32_t, 3>> merges;  // left, right, merged: in the order of their ranks
  bool bytes = false;                          // pieces are bytes in GPT-2's alphabet; else "▁" is a space
  std::vector<std::string> patterns;           // bytes: how text is cut, one pattern after the other
  bool nfc = false;
  Prefix prefix = Prefix::none;
  bool split_spaces = false;   // Metaspace: a word begins at each space
  bool byte_fallback = false;  // characters without a piece are written in bytes, "<0x0A>"; else as `unknown`
  bool fuse_unknown = false;
  bool ignore_merges = false;  // a word that is a piece is that piece
  int32_t unknown = -1;
  int32_t document_start = -1;
};

// Normalizers: none, NFC, Prepend "▁", Replace " " by "▁", and sequences of them. Pre-tokenizers: ByteLevel, before it
// Split (regular expression or text, Isolated) and Digits; or Metaspace, or none. The post-processor is not applied:
// ids are those of the text alone. document_start is the special token that its template puts before a text; else one
// that it names; else the first there is of "<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "<|endoftext|>",
// "<|end_of_text|>", "</s>", "<eos>" among the special tokens.
// Throws UserError(Exit::data), naming what is not supported, or what is wrong: an id twice or missing, merges of what
// is no piece, a value of another type.
HuggingFaceTokenizer read_tokenizer_json(std::string_view text);

// Ids; -1: none. bos is document_start; the others are the first there is of "</s>", "<|end_of_text|>",
// "<|endoftext|>", "<eos>" (or document_start), the model's unknown token, and of "<pad>", "<|pad|>", "[PAD]".
struct SpecialTokens {
  int32_t bos, eos, unknown, padding;
};
SpecialTokens special_tokens_of(const HuggingFaceTokenizer& tokenizer);

}  // namespace rw
