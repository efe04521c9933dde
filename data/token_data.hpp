// A row of token ids on disk, mapped into memory, of any of these formats:
//   Ropewalk    train.h5 / val.h5 (prepare.hpp), with a manifest, checked before anything is used
//   llm.c       1024 bytes: i32 magic 20240520, version 1, count; then u16 ids (GPT-2: vocab 50257, documents begin at
//               50256); or magic 20240801, version 7, u32 ids (Llama 3: vocab 128256, documents begin at 128000)
//   nanoGPT     u16 ids without a header; vocab from "vocab_size" of meta.json beside it, or from the caller; where
//               documents begin is not known
// Files of llm.c and nanoGPT that a pattern with * or ? names are one row, in the order of their names.
// Source of the layouts: https://github.com/karpathy/llm.c/blob/master/llmc/dataloader.h,
// https://github.com/karpathy/nanoGPT/blob/master/data/shakespeare_char/prepare.py
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.hpp"

namespace rw {

enum class Split { train, val };
const char* name_of(Split split);  // "train", "val"

class TokenData {
 public:
  // `path`: a file, a pattern, or a folder with train.h5 and val.h5, or train.bin and val.bin. `vocab`: of files that
  // do not say theirs; others may have a smaller one, as where a model's embedding has rows to spare; 0: not given.
  // Every id is compared with the vocabulary. Throws UserError: Exit::data if there is nothing to read, the format is
  // unknown, the vocabulary is larger than `vocab`, or an id is too large (its position and value are named);
  // Exit::corrupt if a file is cut off or damaged.
  static TokenData open(const std::filesystem::path& path, Split split = Split::train, int64_t vocab = 0);

  // Whether `path` names a folder with a file for the split, or a file (then: only for train).
  static bool has(const std::filesystem::path& path, Split split);

  TokenData(TokenData&&) noexcept;
  TokenData& operator=(TokenData&&) noexcept;
  ~TokenData();

  const std::string& name() const { return name_; }  // for messages
  uint64_t size() const { return size_; }
  int64_t vocab() const { return vocab_; }
  void read(uint64_t at, std::span<int32_t> to) const;  // ids at ... at + to.size() - 1 ≤ size() - 1
  int32_t token(uint64_t at) const;

  // Where documents begin, ascending. The first is 0, whether or not a document begins there.
  std::span<const uint64_t> document_starts() const;
  uint64_t document_start_of(uint64_t at) const;  // where the document of this token begins

  // Loss mask: the first prompt_tokens()[d] tokens of document d after its document_start are no targets. Empty if all
  // tokens are.
  std::span<const uint64_t> prompt_tokens() const;
  uint64_t targets() const { return targets_; }  // tokens that are targets; the first of the row is nobody's

  uint64_t bytes() const { return bytes_; }  // of the text that targets stand for; 0: not known
  const std::optional<TokenizerFile>& tokenizer() const { return tokenizer_; }
  const std::string& tokenizer_hash() const { return tokenizer_hash_; }  // empty: not known
  std::string_view meta() const;  // the text /meta of a file of ours (token_meta.hpp), else empty

 private:
  TokenData() = default;
  struct Storage;

  std::string name_;
  uint64_t size_ = 0;
  int64_t vocab_ = 0;
  uint64_t targets_ = 0, bytes_ = 0;
  std::optional<TokenizerFile> tokenizer_;
  std::string tokenizer_hash_;
  std::unique_ptr<const Storage> storage_;
};

}  // namespace rw
