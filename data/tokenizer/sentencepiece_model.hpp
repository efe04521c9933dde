// The file of a SentencePiece model, a protocol buffer: what is needed of it, read and written. Source:
// sentencepiece_model.proto of SentencePiece.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/vocabulary.hpp"

namespace rw {

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    Vocabulary::Type type = Vocabulary::Type::normal;
  };
  std::vector<Piece> pieces;
  bool is_bpe = false;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  int32_t unknown = 0, bos = 1, eos = 2, padding = -1;
  std::string normalization;  // its name
  bool has_charsmap = false;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Throws UserError(Exit::data) if it is no protocol buffer of this kind.
SentencePieceModel read_sentencepiece_model(std::string_view bytes);
std::string write_sentencepiece_model(const SentencePieceModel& model);  // without charsmap

// The same model with add_dummy_prefix false: of a field that stands twice the later value holds.
std::string without_dummy_prefix(const std::string& bytes);

}  // namespace rw
