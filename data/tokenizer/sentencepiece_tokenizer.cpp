#include <sentencepiece_processor.h>

#include <array>
#include <atomic>
#include <unordered_map>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/sentencepiece_log.hpp"

namespace rw {

namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which SentencePiece writes for a space
constexpr size_t kMaxVocab = size_t{1} << 22;

UserError unusable(const std::string& why) {
  return UserError(Exit::data, "unusable tokenizer", why + "\nmake one:  ropewalk tokenizer train --out tok TEXT...");
}

std::unique_ptr<SentencePieceProcessor> load(const std::string& bytes) {
  quiet_sentencepiece();
  auto processor = std::make_unique<SentencePieceProcessor>();
  if (bytes.empty() || !processor->LoadFromSerializedProto(bytes).ok())
    throw unusable("it is not a SentencePiece model, or a damaged one");
  if (static_cast<size_t>(processor->GetPieceSize()) > kMaxVocab) throw unusable("its vocabulary is too large");
  if (processor->bos_id() < 0 || !processor->IsControl(processor->bos_id()))
    throw unusable("it has no <s>, which begins a document");
  return processor;
}

int byte_of(const std::string& piece) {
  return static_cast<int>(std::stoul(piece.substr(3, 2), nullptr, 16));  // "<0x0A>"
}

std::vector<std::string> bytes_of(const SentencePieceProcessor& processor) {
  std::vector<std::string> all;
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    std::string& text = all.emplace_back();
    if (processor.IsControl(id) || processor.IsUnknown(id) || processor.IsUnused(id)) continue;
    text = processor.IdToPiece(id);
    if (processor.IsByte(id)) {
      text.assign(1, static_cast<char>(byte_of(text)));
      continue;
    }
    for (size_t at = 0; (at = text.find(kSpace, at)) != text.npos; ++at) text.replace(at, kSpace.size(), 1, ' ');
  }
  return all;
}

// Whether no piece goes on with a space behind another character. Then no merge does either, and words can be encoded
// each for itself.
bool splits_at_spaces(const SentencePieceProcessor& processor) {
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    const std::string& piece = processor.IdToPiece(id);
    for (size_t at = piece.find(kSpace, 1); at != piece.npos; at = piece.find(kSpace, at + 1))
      if (at < kSpace.size() || piece.compare(at - kSpace.size(), kSpace.size(), kSpace) != 0) return false;
  }
  return true;
}

// Words already encoded by this thread, for the tokenizer it used last. Most words of a text come again and again, and
// SentencePiece takes microseconds for each.
struct WordCache {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };
  uint64_t owner = 0;
  std::unordered_map<std::string, std::vector<int>, Hash, std::equal_to<>> words;
};
constexpr size_t kCachedWords = 200'000;
constexpr size_t kLongestCachedWord = 64;  // bytes

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(TokenizerFile model, std::unique_ptr<SentencePieceProcessor> processor)
      : Tokenizer(std::move(model), bytes_of(*processor), processor->bos_id()),
        processor_(std::move(processor)),
        splits_at_spaces_(splits_at_spaces(*processor_)) {
    byte_ids_.fill(-1);
    for (int id = 0; id < processor_->GetPieceSize(); ++id)
      if (processor_->IsByte(id)) byte_ids_[static_cast<size_t>(byte_of(processor_->IdToPiece(id)))] = id;
    for (int id : byte_ids_)
      if (id < 0) throw unusable("it has no pieces for single bytes (it was made without byte fallback)");
    for (const char* text : {"a", "  a  b ", "\n\n \t\xEF\xAC\x81\xE2\x84\xAB\xCC\x81", "<s></s><unk><0x41>"})
      if (decode(encode(text)) != text)
        throw unusable("it changes texts: it was made with normalisation, or with a space put before or taken away");
  }

  std::string_view kind() const override { return "sentencepiece"; }
  std::string piece(int32_t id) const override {
    std::string shown;
    for (char c : processor_->IdToPiece(id)) {
      const auto byte = static_cast<unsigned char>(c);
      shown += byte < ' ' || byte == 0x7F ? byte_piece(byte) : std::string(1, c);
    }
    return shown;
  }

  // What SentencePiece would change, U+2581, zero and bytes that are not UTF-8, is written in bytes.
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    size_t begin = 0, at = 0;
    while (at < text.size()) {
      int length = utf8_length(text.substr(at, 4));
      const bool plain = length > 0 && text[at] != 0 && text.substr(at, static_cast<size_t>(length)) != kSpace;
      if (!plain) {
        append(ids, text.substr(begin, at - begin));
        length = std::max(length, 1);
        for (int i = 0; i < length; ++i)
          ids.push_back(byte_ids_[static_cast<unsigned char>(text[at + static_cast<size_t>(i)])]);
      }
      at += static_cast<size_t>(length);
      if (!plain) begin = at;
    }
    append(ids, text.substr(begin));
    return ids;
  }

 private:
  // Of text that SentencePiece leaves as it is.
  void append(std::vector<int32_t>& ids, std::string_view text) const {
    size_t begin = 0;
    for (size_t at = 1; splits_at_spaces_ && at < text.size(); ++at) {
      if (text[at] != ' ' || text[at - 1] == ' ') continue;
      append_word(ids, text.substr(begin, at - begin));
      begin = at;
    }
    if (begin < text.size()) append_word(ids, text.substr(begin));
  }

  void append_word(std::vector<int32_t>& ids, std::string_view word) const {
    thread_local WordCache cache;
    if (cache.owner != number_ || cache.words.size() >= kCachedWords) cache = {number_, {}};
    if (const auto known = cache.words.find(word); known != cache.words.end()) {
      ids.insert(ids.end(), known->second.begin(), known->second.end());
      return;
    }
    std::vector<int> more;
    const auto status = processor_->Encode(word, &more);
    RW_CHECK(status.ok(), status.ToString());
    ids.insert(ids.end(), more.begin(), more.end());
    if (word.size() <= kLongestCachedWord) cache.words.emplace(word, std::move(more));
  }

  static uint64_t next_number() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  std::unique_ptr<SentencePieceProcessor> processor_;
  std::array<int, 256> byte_ids_;
  bool splits_at_spaces_;
  const uint64_t number_ = next_number();  // of all tokenizers of the process, for the cache
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(TokenizerFile file) {
  auto processor = load(file.bytes);
  return std::make_unique<SentencePieceTokenizer>(std::move(file), std::move(processor));
}

}  // namespace rw
