// The text /meta of a token file (prepare.hpp).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

struct TokenSource {
  std::string name;
  uint64_t bytes = 0, documents = 0;  // of its text in this split
};

struct TokenMeta {
  int64_t vocab = 0;
  int32_t document_start = 0;
  std::string tokenizer_kind, tokenizer_hash, tokenizer_file;
  uint64_t bytes = 0, documents = 0, tokens = 0;
  uint64_t prompt_tokens = 0;  // of all documents; with 0 the text is of version 1, else 2
  std::vector<TokenSource> sources;
  std::string command;
};

std::string to_text(const TokenMeta& meta);

// `name` is for messages. Throws UserError(Exit::data): not such a text, or of a newer version.
TokenMeta parse_token_meta(const std::string& name, std::string_view text);

}  // namespace rw
