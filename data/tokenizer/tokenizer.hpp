// Text to token ids and back. Every text, also one that is not UTF-8, comes back, decode(encode(text)) == text, but
// where a tokenizer of Hugging Face itself loses something: one that normalizes (NFC) gives back the normalized text,
// one whose vocabulary lacks bytes leaves them out or gives its unknown token, one that puts a space before texts gives
// one too many behind an added token. Bytes that are not UTF-8 become the tokens of single bytes.
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
  std::string name;   // "tokenizer.bytes", "tokenizer.model" or "tokenizer.json"; says the kind
  std::string bytes;  // its content
};

std::string hash_of(const TokenizerFile& file);  // XXH3-128 of name, a zero byte, and content: 32 hexadecimal digits

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual std::string_view kind() const = 0;        // "bytes", "sentencepiece" or "bpe"
  virtual std::string piece(int32_t id) const = 0;  // one line to show: "▁the", "<0x0A>", "<s>"

  // Never document_start or another control id.
  std::vector<int32_t> encode(std::string_view text) const { return encode_part(text, true); }

  // The same for a long text in parts: encode(a + b) is encode_part(a, true) and then encode_part(b, false) if
  // a.size() is a cut: cut(text) is the last place inside a text that goes on, whole UTF-8 characters, where it may be
  // cut, whatever follows; 0: there is none.
  virtual std::vector<int32_t> encode_part(std::string_view text, bool first) const = 0;
  virtual size_t cut(std::string_view text) const = 0;

  int64_t vocab() const { return static_cast<int64_t>(bytes_.size()); }
  int32_t document_start() const { return document_start_; }  // stands before the first token of every document
  const TokenizerFile& file() const { return file_; }
  const std::string& hash() const { return hash_; }

  // The bytes that an id stands for; none for a control id. Not always whole UTF-8 characters. 0 ≤ id < vocab.
  const std::string& bytes(int32_t id) const { return bytes_[static_cast<size_t>(id)]; }
  // Of a text from its beginning: the bytes of all ids, without the space that stands before them if space_prefix.
  std::string decode(std::span<const int32_t> ids) const;
  // encode puts a space before a text, as Llama 2's does; also before one that begins with a space, other than
  // LlamaTokenizer of transformers 5 with a tokenizer.model.
  bool space_prefix() const { return space_prefix_; }

 protected:
  Tokenizer(TokenizerFile file, std::vector<std::string> bytes, int32_t document_start, bool space_prefix);

 private:
  TokenizerFile file_;
  std::string hash_;
  std::vector<std::string> bytes_;  // of each id
  int32_t document_start_;
  bool space_prefix_;
};

// Ids 0 to 255 are the bytes, 256 is document_start.
std::unique_ptr<Tokenizer> make_bytes_tokenizer();

// Throws UserError(Exit::data) if the file's name is unknown or its content is not such a tokenizer.
std::unique_ptr<Tokenizer> make_tokenizer(TokenizerFile file);

// From a tokenizer's file, the folder it lies in, or a folder whose subfolder tokenizer/ it lies in (a run, prepared
// data); also the word "bytes". Of tokenizer.json and tokenizer.model in one folder the former is taken. Throws
// UserError(Exit::data), naming what was looked for.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);

// Writes the tokenizer's file into the folder, which is made if need be. UserError(Exit::write).
void save_tokenizer(const TokenizerFile& file, const std::filesystem::path& folder);

}  // namespace rw
