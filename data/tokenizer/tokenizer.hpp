// Text to token ids and back. Every text, also one that is not UTF-8, comes back as it was:
// decode(encode(text)) == text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

// What a tokenizer is made from and stored as, in tokenizer/ of a run, in token files and in checkpoints.
struct TokenizerFile {
  std::string name;   // "tokenizer.bytes" or "tokenizer.model"; says the kind
  std::string bytes;  // its content
};

std::string hash_of(const TokenizerFile& file);  // XXH3-128 of name, a zero byte, and content: 32 hexadecimal digits

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual std::string_view kind() const = 0;                             // "bytes" or "sentencepiece"
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;  // never document_start or another control id
  virtual std::string piece(int32_t id) const = 0;                       // one line to show: "▁the", "<0x0A>", "<s>"

  int64_t vocab() const { return static_cast<int64_t>(bytes_.size()); }
  int32_t document_start() const { return document_start_; }  // stands before the first token of every document
  const TokenizerFile& file() const { return file_; }
  const std::string& hash() const { return hash_; }

  // The bytes that an id stands for; none for a control id. Not always whole UTF-8 characters. 0 ≤ id < vocab.
  const std::string& bytes(int32_t id) const { return bytes_[static_cast<size_t>(id)]; }
  std::string decode(std::span<const int32_t> ids) const;  // the bytes of all of them

 protected:
  Tokenizer(TokenizerFile file, std::vector<std::string> bytes, int32_t document_start);

 private:
  TokenizerFile file_;
  std::string hash_;
  std::vector<std::string> bytes_;  // of each id
  int32_t document_start_;
};

// Ids 0 to 255 are the bytes, 256 is document_start.
std::unique_ptr<Tokenizer> make_bytes_tokenizer();

// Throws UserError(Exit::data) if the file's name is unknown or its content is not such a tokenizer.
std::unique_ptr<Tokenizer> make_tokenizer(TokenizerFile file);

// From a tokenizer's file, the folder it lies in, or a folder whose subfolder tokenizer/ it lies in (a run, prepared
// data); also the word "bytes". Throws UserError(Exit::data), naming what was looked for.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);

// Writes the tokenizer's file into the folder, which is made if need be. UserError(Exit::write).
void save_tokenizer(const TokenizerFile& file, const std::filesystem::path& folder);

}  // namespace rw
