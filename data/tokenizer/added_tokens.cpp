#include "data/tokenizer/added_tokens.hpp"

#include <algorithm>

namespace rw {

void AddedTokens::add(const std::string& spelling, int32_t id) {
  ids_[spelling] = id;
  longest_ = std::max(longest_, spelling.size());
  auto& lengths = lengths_[static_cast<unsigned char>(spelling[0])];
  if (std::ranges::find(lengths, spelling.size()) == lengths.end()) lengths.push_back(spelling.size());
  std::ranges::sort(lengths, std::greater());
}

std::vector<AddedTokens::Match> AddedTokens::find(std::string_view text) const {
  std::vector<Match> matches;
  if (longest_ == 0) return matches;
  std::string spelling;
  for (size_t at = 0; at < text.size();) {
    size_t step = 1;
    for (size_t length : lengths_[static_cast<unsigned char>(text[at])]) {
      if (length > text.size() - at) continue;
      spelling.assign(text, at, length);
      const auto found = ids_.find(spelling);
      if (found == ids_.end()) continue;
      matches.push_back({at, at + length, found->second});
      step = length;
      break;
    }
    at += step;
  }
  return matches;
}

}  // namespace rw
