// What the readers of the formats (token_data.hpp) give: ids in mapped memory, and what is known about them.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file/container.hpp"
#include "data/mapped_file.hpp"
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

// Ids of one file, of two or four bytes each.
struct TokenSegment {
  std::string file;
  std::span<const uint16_t> narrow = {};
  std::span<const uint32_t> wide = {};
  uint64_t begin = 0;  // index of its first id in the row

  uint64_t size() const { return narrow.empty() ? wide.size() : narrow.size(); }
};

struct TokenStorage {
  std::vector<TokenSegment> segments;
  std::vector<MappedFile> files;
  std::optional<Container> container;

  int64_t vocab = 0;
  int32_t document_start = -1;  // documents begin where this id stands; -1: not known, or document_starts is there
  std::span<const uint64_t> document_starts;
  std::span<const uint64_t> prompt_tokens;  // of each document; empty if there are none
  uint64_t all_prompt_tokens = 0;
  std::vector<uint64_t> found_starts;  // what document_starts refers to if it was not read
  uint64_t bytes = 0;
  std::optional<TokenizerFile> tokenizer;
  std::string tokenizer_hash;
};

// Throw UserError, see TokenData::open.
void read_container(const std::filesystem::path& file, TokenStorage& out);
void read_shard(const std::filesystem::path& file, int64_t vocab, TokenStorage& out);  // llm.c or nanoGPT; adds to out

}  // namespace rw
