#include <sentencepiece_processor.h>

#include <array>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/corpus/documents.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/sentencepiece_log.hpp"
#include "data/tokenizer/sentencepiece_model.hpp"
#include "data/tokenizer/word_cache.hpp"

namespace rw {

namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSpace = kSpaceMark;

UserError unusable(const std::string& why) {
  return UserError(Exit::data, "unusable tokenizer", why + "\nmake one:  ropewalk tokenizer train --out tok TEXT...");
}

void check(const SentencePieceModel& model) {
  if (model.pieces.size() > kMostPieces) throw unusable("its vocabulary is too large");
  if (model.has_charsmap) throw unusable("its normalization '" + model.normalization + "' changes texts");
  if (model.remove_extra_whitespaces) throw unusable("it has remove_extra_whitespaces, which changes texts");
  if (!model.escape_whitespaces) throw unusable("it has escape_whitespaces false, which is not supported");
  if (model.whitespace_as_suffix) throw unusable("it has treat_whitespace_as_suffix, which is not supported");
}

// Without the space before a text, which encode_part puts there itself, so that parts of texts can be encoded.
std::unique_ptr<SentencePieceProcessor> load(const std::string& bytes) {
  quiet_sentencepiece();
  auto processor = std::make_unique<SentencePieceProcessor>();
  if (bytes.empty() || !processor->LoadFromSerializedProto(without_dummy_prefix(bytes)).ok())
    throw unusable("it is not a SentencePiece model, or a damaged one");
  if (processor->bos_id() < 0 || !processor->IsControl(processor->bos_id()))
    throw unusable("it has no <s>, which begins a document");
  return processor;
}

std::vector<std::string> bytes_of(const SentencePieceProcessor& processor) {
  std::vector<std::string> all;
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    std::string& text = all.emplace_back();
    if (processor.IsControl(id) || processor.IsUnknown(id) || processor.IsUnused(id)) continue;
    text = processor.IdToPiece(id);
    if (processor.IsByte(id)) {
      text.assign(1, static_cast<char>(byte_of_piece(text)));
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

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(TokenizerFile model, std::unique_ptr<SentencePieceProcessor> processor, bool space_prefix)
      : Tokenizer(std::move(model), bytes_of(*processor), processor->bos_id(), space_prefix),
        processor_(std::move(processor)),
        splits_at_spaces_(splits_at_spaces(*processor_)) {
    byte_ids_.fill(-1);
    for (int id = 0; id < processor_->GetPieceSize(); ++id)
      if (processor_->IsByte(id)) byte_ids_[static_cast<size_t>(byte_of_piece(processor_->IdToPiece(id)))] = id;
    for (int id : byte_ids_)
      if (id < 0) throw unusable("it has no pieces for single bytes (it was made without byte fallback)");
    for (const char* text : {"a", "  a  b ", "\n\n \t\xEF\xAC\x81\xE2\x84\xAB\xCC\x81", "<s></s><unk><0x41>"})
      if (decode(encode(text)) != text)
        throw unusable("it changes texts: it was made with normalisation, or with spaces taken away");
  }

  std::string_view kind() const override { return "sentencepiece"; }
  std::string piece(int32_t id) const override { return shown_piece(processor_->IdToPiece(id)); }
  size_t cut(std::string_view text) const override { return splits_at_spaces_ ? cut_before_space(text) : 0; }

  // What SentencePiece would change, U+2581, zero and bytes that are not UTF-8, is written in bytes.
  std::vector<int32_t> encode_part(std::string_view text, bool first) const override {
    std::vector<int32_t> ids;
    std::string with_space;
    if (first && space_prefix() && !text.empty()) text = with_space.append(1, ' ').append(text);
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
    WordCache::append(number_, word, ids, [&](std::string_view unknown) {
      std::vector<int> more;
      const auto status = processor_->Encode(unknown, &more);
      RW_CHECK(status.ok(), status.ToString());
      return more;
    });
  }

  std::unique_ptr<SentencePieceProcessor> processor_;
  std::array<int, 256> byte_ids_;
  bool splits_at_spaces_;
  const uint64_t number_ = WordCache::new_owner();
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(TokenizerFile file) {
  const SentencePieceModel model = read_sentencepiece_model(file.bytes);
  check(model);
  auto processor = load(file.bytes);
  return std::make_unique<SentencePieceTokenizer>(std::move(file), std::move(processor), model.add_dummy_prefix);
}

}  // namespace rw
