// A small tokenizer.json for tests.
#pragma once
#include <nlohmann/json.hpp>

#include "data/tokenizer/byte_alphabet.hpp"
#include "data/tokenizer/vocabulary.hpp"

namespace rw::test {

// The 256 bytes, pieces of merges, and "<|endoftext|>".
inline Vocabulary small_byte_pairs(const std::string& pattern = "gpt-2") {
  Vocabulary out;
  for (int byte = 0; byte < 256; ++byte) out.pieces.push_back(letter_of(static_cast<unsigned char>(byte)));
  const std::pair<const char*, const char*> merges[] = {
      {"h", "e"},   {"t", "he"}, {" ", "the"},     {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {"\n", "\n"}, {" ", " "},
      {"  ", "  "}, {"1", "2"},  {"\xC3", "\xA9"}, {"a", "b"}, {"ab", "c"},  {"b", "c"},    {"a", "bc"}};
  for (const auto& [left, right] : merges) {
    out.merges.emplace_back(letters_of(left), letters_of(right));
    const std::string piece = letters_of(std::string(left) + right);
    if (std::find(out.pieces.begin(), out.pieces.end(), piece) == out.pieces.end()) out.pieces.push_back(piece);
  }
  out.types.assign(out.pieces.size(), Vocabulary::Type::normal);
  out.pieces.push_back("<|endoftext|>");
  out.types.push_back(Vocabulary::Type::control);
  out.pattern = pattern;
  out.bos = out.eos = static_cast<int32_t>(out.pieces.size()) - 1;
  return out;
}

inline nlohmann::json small_json(const std::string& pattern = "gpt-2") {
  return nlohmann::json::parse(tokenizer_file_of(small_byte_pairs(pattern)).bytes);
}

inline std::unique_ptr<Tokenizer> made_of(const nlohmann::json& file) {
  return make_tokenizer({"tokenizer.json", file.dump()});
}

}  // namespace rw::test
