#include <algorithm>
#include <array>
#include <unordered_map>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/added_tokens.hpp"
#include "data/tokenizer/byte_alphabet.hpp"
#include "data/tokenizer/byte_pairs.hpp"
#include "data/tokenizer/hugging_face.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/nfc.hpp"
#include "data/tokenizer/split_pattern.hpp"
#include "data/tokenizer/word_cache.hpp"

namespace rw {

namespace {

using Prefix = HuggingFaceTokenizer::Prefix;

constexpr std::string_view kMark = kSpaceMark;

bool is_ascii(char byte) { return static_cast<unsigned char>(byte) < 0x80; }

// What each id stands for. Special tokens and the unknown one stand for nothing.
std::vector<std::string> bytes_of(const HuggingFaceTokenizer& from) {
  std::vector<std::string> all = from.pieces;
  for (int32_t id = 0; id < from.model_vocab; ++id) {
    std::string& text = all[static_cast<size_t>(id)];
    if (from.bytes) {
      if (auto bytes = bytes_of_letters(text)) text = *std::move(bytes);
    } else if (const int byte = from.byte_fallback ? byte_of_piece(text) : -1; byte >= 0) {
      text.assign(1, static_cast<char>(byte));
    } else {
      for (size_t at = 0; (at = text.find(kMark, at)) != text.npos; ++at) text.replace(at, kMark.size(), 1, ' ');
    }
  }
  for (const auto& added : from.added) all[static_cast<size_t>(added.id)] = added.special ? "" : added.content;
  if (from.unknown >= 0) all[static_cast<size_t>(from.unknown)].clear();
  return all;
}

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(TokenizerFile file, HuggingFaceTokenizer from)
      : Tokenizer(std::move(file), bytes_of(from), from.document_start, from.prefix != Prefix::none),
        from_(std::move(from)) {
    for (const std::string& pattern : from_.patterns) patterns_.emplace_back(pattern);
    for (const auto& added : from_.added)
      (added.normalized ? added_normalized_ : added_)
          .add(added.normalized ? normalized(added.content, true) : added.content,
               added.special ? AddedTokens::kText : added.id);
    for (const auto& [left, right, merged] : from_.merges) {
      pairs_.add(left, right, merged);
      splits_at_spaces_ =
          splits_at_spaces_ && !(piece_of(right).starts_with(kMark) && !piece_of(left).ends_with(kMark));
    }
    std::vector<bool> special(from_.pieces.size());
    for (const auto& added : from_.added) special[static_cast<size_t>(added.id)] = added.special;
    byte_ids_.fill(-1);
    for (int32_t id = 0; id < from_.model_vocab; ++id) {
      const std::string& piece = piece_of(id);
      if (!from_.bytes)
        if (const int byte = byte_of_piece(piece); byte >= 0) byte_ids_[static_cast<size_t>(byte)] = id;
      if (utf8_length(piece.substr(0, 4)) == static_cast<int>(piece.size())) {
        if (!from_.bytes && !special[static_cast<size_t>(id)])
          characters_.emplace(code_point(piece), id);
        else if (const auto byte = from_.bytes ? bytes_of_letters(piece) : std::nullopt)
          byte_ids_[static_cast<unsigned char>((*byte)[0])] = id;
      }
      if (from_.ignore_merges && !special[static_cast<size_t>(id)]) words_.emplace(from_.bytes ? bytes(id) : piece, id);
    }
    if (from_.byte_fallback && !from_.bytes)
      for (int id : byte_ids_)
        if (id < 0)
          throw UserError(Exit::data, "unusable tokenizer: it has byte_fallback, but no pieces for all bytes",
                          "there are to be 256, from <0x00> to <0xFF>");
    splits_at_spaces_ = splits_at_spaces_ && !from_.ignore_merges && characters_.contains(code_point(kMark));
  }

  std::string_view kind() const override { return "bpe"; }
  std::string piece(int32_t id) const override { return shown_piece(piece_of(id)); }

  std::vector<int32_t> encode_part(std::string_view text, bool first) const override {
    std::vector<int32_t> ids;
    for (size_t at = 0; at < text.size();) {
      const size_t length = valid_utf8_prefix(text.substr(at));
      if (length > 0) append_text(ids, text.substr(at, length), first && at == 0);
      at += length;
      if (at < text.size()) append_byte(ids, static_cast<unsigned char>(text[at++]));
    }
    return ids;
  }

  size_t cut(std::string_view text) const override {
    // The last stretch between added tokens; near the end of the text one may stand of which only a part is seen.
    size_t begin = 0, end = text.size() - std::min(text.size(), added_.longest());
    const auto matches = added_.find(text);
    for (const auto& match : matches)
      if (match.id != AddedTokens::kText && match.begin < end) begin = match.end;
    while (end > begin && (end == text.size() || !is_ascii(text[end])))
      --end;  // what is before is normalized by itself
    if (end <= begin) return 0;
    const std::string normal = normalized(text.substr(begin, end - begin), false);
    size_t from = 0;
    const size_t to = normal.size() - std::min(normal.size(), added_normalized_.longest());
    const auto more = added_normalized_.find(normal);
    for (const auto& match : more)
      if (match.id != AddedTokens::kText && match.begin < to) from = match.end;
    if (to <= from) return 0;
    const std::string_view certain = std::string_view(normal).substr(from, to - from);
    std::vector<size_t> ends;
    words(certain, true, ends);

    // From the back, places before ASCII, with the same place in the normalized text.
    size_t normal_at = normal.size(), known = end;
    for (size_t at = end - 1; at > begin; --at) {
      if (!is_ascii(text[at])) continue;
      normal_at -= normalized(text.substr(at, known - at), false).size();
      known = at;
      while (!ends.empty() && from + ends.back() > normal_at) ends.pop_back();
      if (ends.empty()) return 0;
      if (from + ends.back() == normal_at && !crosses(matches, at) && !crosses(more, normal_at) &&
          ends_alike(certain, ends))
        return at;
    }
    return 0;
  }

 private:
  const std::string& piece_of(int32_t id) const { return from_.pieces[static_cast<size_t>(id)]; }

  static bool crosses(const std::vector<AddedTokens::Match>& matches, size_t at) {
    return std::ranges::any_of(matches, [&](const auto& match) { return match.begin < at && at < match.end; });
  }

  // Whether the text up to the last of `ends` has the same words when it ends there: the end of a text is looked at,
  // too
  // ("\s+(?!\S)"). No pattern is expected to look further than kLookAhead beyond a word.
  bool ends_alike(std::string_view text, std::vector<size_t> ends) const {
    constexpr size_t kLookAhead = 4096;
    const size_t end = ends.back();
    const auto near = std::ranges::partition_point(ends, [&](size_t place) { return place + kLookAhead < end; });
    const size_t begin = near == ends.begin() ? 0 : near[-1];
    std::vector<size_t> alone;
    words(text.substr(begin, end - begin), false, alone);
    return std::ranges::equal(alone.begin(), alone.end(), near, ends.end(), {},
                              [&](size_t place) { return begin + place; });
  }

  std::string normalized(std::string_view text, bool begins) const {
    const std::string plain = from_.nfc ? to_nfc(text) : std::string(text);
    if (from_.bytes) return plain;
    std::string out(from_.prefix == Prefix::always && begins && !plain.empty() ? kMark : "");
    for (char c : plain) c == ' ' ? out += kMark : out += c;
    return out;
  }

  // UTF-8; `first`: nothing is before it.
  void append_text(std::vector<int32_t>& ids, std::string_view text, bool first) const {
    size_t begin = 0;
    const auto stretch = [&](size_t end) {
      if (end > begin) append_stretch(ids, text.substr(begin, end - begin), first || begin > 0, first && begin == 0);
    };
    for (const auto& match : added_.find(text)) {
      if (match.id == AddedTokens::kText) continue;
      stretch(match.begin);
      ids.push_back(match.id);
      begin = match.end;
    }
    stretch(text.size());
  }

  // Text without added tokens; `begins`: of the text or behind an added token.
  void append_stretch(std::vector<int32_t>& ids, std::string_view text, bool begins, bool first) const {
    const std::string normal = normalized(text, begins);
    size_t begin = 0;
    const auto stretch = [&](size_t end) {
      if (end == begin) return;
      const std::string_view part = std::string_view(normal).substr(begin, end - begin);
      const bool prefix = from_.prefix == Prefix::unless_space ? begins || begin > 0
                                                               : from_.prefix == Prefix::first && first && begin == 0;
      if (prefix && !part.starts_with(kMark))
        append_words(ids, std::string(kMark).append(part));
      else
        append_words(ids, part);
    };
    for (const auto& match : added_normalized_.find(normal)) {
      if (match.id == AddedTokens::kText) continue;
      stretch(match.begin);
      ids.push_back(match.id);
      begin = match.end;
    }
    stretch(normal.size());
  }

  void append_words(std::vector<int32_t>& ids, std::string_view text) const {
    thread_local std::vector<size_t> ends;
    ends.clear();
    words(text, false, ends);
    size_t begin = 0;
    for (size_t end : ends) {
      WordCache::append(number_, text.substr(begin, end - begin), ids,
                        [&](std::string_view word) { return merged(word); });
      begin = end;
    }
  }

  // Where the words of a text end; if it goes on, only of those that are certain.
  void words(std::string_view text, bool goes_on, std::vector<size_t>& ends) const {
    if (!from_.bytes && (from_.split_spaces || splits_at_spaces_)) {
      for (size_t at = text.find(kMark, 1); at != text.npos; at = text.find(kMark, at + 1))
        if (from_.split_spaces || !text.substr(0, at).ends_with(kMark)) ends.push_back(at);
    }
    if (patterns_.empty()) {
      if (!goes_on) ends.push_back(text.size());
      return;
    }
    size_t known = patterns_[0].split(text, goes_on, ends);  // the piece behind the last one goes at least so far
    for (size_t i = 1; i < patterns_.size(); ++i) {
      std::vector<size_t> whole = std::move(ends), inside;
      ends.clear();
      size_t begin = 0;
      for (size_t end : whole) {
        inside.clear();
        patterns_[i].split(text.substr(begin, end - begin), false, inside);
        for (size_t place : inside) ends.push_back(begin + place);
        begin = end;
      }
      if (!goes_on || known <= begin) continue;
      inside.clear();
      known = begin + patterns_[i].split(text.substr(begin, known - begin), true, inside);
      for (size_t place : inside) ends.push_back(begin + place);
    }
  }

  std::vector<int32_t> merged(std::string_view word) const {
    if (from_.ignore_merges)
      if (const auto known = words_.find(std::string(word)); known != words_.end()) return {known->second};
    std::vector<int32_t> symbols;
    bool unknown = false;  // the symbol before
    while (!word.empty()) {
      const auto length = from_.bytes ? 1 : static_cast<size_t>(utf8_length(word.substr(0, 4)));
      if (const int32_t id = symbol(word.substr(0, length)); id >= 0) {
        symbols.push_back(id);
        unknown = false;
      } else if (from_.byte_fallback && !from_.bytes) {
        for (char byte : word.substr(0, length)) symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      } else if (from_.unknown >= 0 && !(unknown && from_.fuse_unknown)) {
        symbols.push_back(from_.unknown);
        unknown = true;
      }
      word.remove_prefix(length);
    }
    pairs_.merge(symbols);
    return symbols;
  }

  int32_t symbol(std::string_view character) const {
    if (from_.bytes) return byte_ids_[static_cast<unsigned char>(character[0])];
    const auto known = characters_.find(code_point(character));
    return known == characters_.end() ? -1 : known->second;
  }

  void append_byte(std::vector<int32_t>& ids, unsigned char byte) const {
    const int32_t id = byte_ids_[byte] >= 0 ? byte_ids_[byte] : from_.unknown;
    if (id >= 0) ids.push_back(id);
  }

  HuggingFaceTokenizer from_;
  std::vector<SplitPattern> patterns_;
  AddedTokens added_, added_normalized_;
  BytePairs pairs_;
  bool splits_at_spaces_ = true;  // no merge goes over a space behind another character
  std::array<int32_t, 256> byte_ids_;
  std::unordered_map<uint32_t, int32_t> characters_;
  std::unordered_map<std::string, int32_t> words_;  // for ignore_merges
  const uint64_t number_ = WordCache::new_owner();
};

}  // namespace

std::unique_ptr<Tokenizer> make_json_tokenizer(TokenizerFile file) {
  HuggingFaceTokenizer from = read_tokenizer_json(file.bytes);
  return std::make_unique<JsonTokenizer>(std::move(file), std::move(from));
}

}  // namespace rw
