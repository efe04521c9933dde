// Tokens that are looked for in a text before it is cut into words, by their exact spelling.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rw {

class AddedTokens {
 public:
  struct Match {
    size_t begin, end;
    int32_t id;  // kText: a special token, which is text
  };
  static constexpr int32_t kText = -1;

  void add(const std::string& spelling, int32_t id);  // not empty; with kText it hides what overlaps it, as others do
  size_t longest() const { return longest_; }         // bytes; 0: none

  // From left to right, the longest of those that begin at the same place, without overlaps.
  std::vector<Match> find(std::string_view text) const;

 private:
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<std::vector<size_t>> lengths_ =
      std::vector<std::vector<size_t>>(256);  // by first byte, the longest first
  size_t longest_ = 0;
};

}  // namespace rw
