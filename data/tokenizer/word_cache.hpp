// Words already encoded by this thread, for the tokenizer that it used last: most words of a text come again and again.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rw {

class WordCache {
 public:
  static uint64_t new_owner();  // a number for each tokenizer of the process

  // Appends the ids of the word, which encode(word) -> std::vector<int32_t> gives where they are not known.
  template <class Encode>
  static void append(uint64_t owner, std::string_view word, std::vector<int32_t>& ids, Encode&& encode) {
    if (word.size() > kLongest) {
      const std::vector<int32_t> more = encode(word);
      ids.insert(ids.end(), more.begin(), more.end());
      return;
    }
    thread_local WordCache cache;
    if (cache.owner_ != owner || cache.words_.size() >= kMost) {
      cache.words_.clear();
      cache.owner_ = owner;
    }
    auto known = cache.words_.find(word);
    if (known == cache.words_.end()) known = cache.words_.emplace(word, encode(word)).first;
    ids.insert(ids.end(), known->second.begin(), known->second.end());
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };
  static constexpr size_t kMost = 200'000;
  static constexpr size_t kLongest = 64;  // bytes

  uint64_t owner_ = 0;
  std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> words_;
};

}  // namespace rw
