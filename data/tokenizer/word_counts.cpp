#include "data/tokenizer/word_counts.hpp"

#include <algorithm>

#include "data/corpus/utf8.hpp"

namespace rw {

namespace {

constexpr size_t kLongestWord = 128;  // bytes; a piece has at most 16 characters
constexpr uint64_t kRare = 2000;      // one in so many characters may be left out

bool is_reserved(std::string_view character) {
  return character == "\t" || character == "\xE2\x96\x81" || character == "\xE2\x96\x85" ||
         character == std::string_view("\0", 1);
}

std::string_view character_at(std::string_view text, size_t at) {
  return text.substr(at, static_cast<size_t>(utf8_length(text.substr(at, 4))));
}

}  // namespace

void WordCounts::add(std::string_view text) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = character_at(text, at);
    const bool reserved = is_reserved(character);
    const bool new_word = at > begin && ((character == " " && text[at - 1] != ' ') || at - begin >= kLongestWord);
    if (reserved || new_word) {
      count(text.substr(begin, at - begin), 1);
      begin = at;
    }
    at += character.size();
    if (reserved) begin = at;
  }
  count(text.substr(begin), 1);
}

void WordCounts::count(std::string_view word, uint64_t times) {
  if (word.empty()) return;
  words_[std::string(word)] += times;
  if (words_.size() > limit_) prune();
}

void WordCounts::prune() {
  for (uint64_t rarest = 1; words_.size() > limit_ / 2; rarest *= 2)
    std::erase_if(words_, [&](const auto& item) { return item.second <= rarest; });
}

std::vector<std::pair<std::string, uint64_t>> WordCounts::words(size_t alphabet) const {
  const auto by_count = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  std::unordered_map<std::string, uint64_t> characters;
  uint64_t all = 0;
  for (const auto& [word, times] : words_)
    for (size_t at = 0; at < word.size();) {
      const std::string_view character = character_at(word, at);
      characters[std::string(character)] += times;
      all += times;
      at += character.size();
    }
  std::vector<std::pair<std::string, uint64_t>> kept(characters.begin(), characters.end());
  std::ranges::sort(kept, by_count);
  uint64_t covered = 0;
  size_t n = 0;
  while (n < std::min(kept.size(), alphabet) && covered < all - all / kRare) covered += kept[n++].second;
  for (size_t i = n; i < kept.size(); ++i) characters.erase(kept[i].first);

  WordCounts split(SIZE_MAX);
  for (const auto& [word, times] : words_) {
    size_t begin = 0;
    for (size_t at = 0; at < word.size();) {
      const std::string_view character = character_at(word, at);
      at += character.size();
      if (characters.contains(std::string(character))) continue;
      split.count(std::string_view(word).substr(begin, at - character.size() - begin), times);
      begin = at;
    }
    split.count(std::string_view(word).substr(begin), times);
  }
  std::vector<std::pair<std::string, uint64_t>> out(split.words_.begin(), split.words_.end());
  std::ranges::sort(out, by_count);
  return out;
}

}  // namespace rw
