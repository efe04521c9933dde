// How often each word of a text occurs: all that learning byte pairs needs of it. A word is a run of spaces with what
// follows up to the next space, newlines included; it ends also where a tab, U+2581, U+2585 or a zero byte stands,
// which no piece of SentencePiece may hold, or where it gets too long.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rw {

class WordCounts {
 public:
  explicit WordCounts(size_t limit = 500'000) : limit_(limit) {}
  void add(std::string_view text);  // whole UTF-8 characters

  // Words and counts, the most frequent first, then in the order of their bytes. Characters so rare that all of them
  // together are less than 0.05 % of the text, or that there are more than `alphabet` of, split the words they are in.
  std::vector<std::pair<std::string, uint64_t>> words(size_t alphabet) const;

 private:
  void count(std::string_view word, uint64_t times);
  void prune();  // of the rarest, until a half of the limit is left; so memory is bounded

  size_t limit_;
  std::unordered_map<std::string, uint64_t> words_;
};

}  // namespace rw
