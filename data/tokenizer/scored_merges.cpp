#include "data/tokenizer/scored_merges.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"

namespace rw {

namespace {

// Ids of the pieces that merging can meet.
std::unordered_map<std::string, size_t> normal_pieces(const Vocabulary& vocabulary) {
  std::unordered_map<std::string, size_t> ids;
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id)
    if (vocabulary.types[id] == Vocabulary::Type::normal && vocabulary.pieces[id].find(' ') == std::string::npos)
      ids.emplace(vocabulary.pieces[id], id);
  return ids;
}

// The longest left part first.
Merges pairs_of(const std::string& piece, const std::unordered_map<std::string, size_t>& ids) {
  Merges pairs;
  for (size_t at = piece.size(); at-- > 1;) {
    if (is_utf8_continuation(piece[at])) continue;
    std::pair<std::string, std::string> pair(piece.substr(0, at), piece.substr(at));
    if (ids.contains(pair.first) && ids.contains(pair.second)) pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace

Merges merges_of_scores(const Vocabulary& vocabulary) {
  RW_CHECK(vocabulary.scores.size() == vocabulary.pieces.size());
  const auto ids = normal_pieces(vocabulary);
  std::vector<std::pair<size_t, Merges>> made;  // pieces that pairs make
  for (const auto& [piece, id] : ids)
    if (Merges pairs = pairs_of(piece, ids); !pairs.empty()) made.emplace_back(id, std::move(pairs));
  const auto score = [&](const auto& item) { return vocabulary.scores[item.first]; };
  std::ranges::sort(made, [&](const auto& a, const auto& b) {
    return score(a) != score(b) ? score(a) > score(b) : a.first < b.first;
  });
  Merges all;
  for (size_t i = 0; i < made.size(); ++i) {
    if (i > 0 && score(made[i]) == score(made[i - 1]))
      throw UserError(Exit::data,
                      "the pieces '" + vocabulary.pieces[made[i - 1].first] + "' and '" +
                          vocabulary.pieces[made[i].first] + "' of the tokenizer have the same score",
                      "its merges cannot be written as a list of pairs by rank");
    std::ranges::move(made[i].second, std::back_inserter(all));
  }
  return all;
}

std::vector<float> scores_of_merges(const Vocabulary& vocabulary, const Merges& merges) {
  const auto ids = normal_pieces(vocabulary);
  std::vector<float> scores(vocabulary.pieces.size(), 0);
  float score = 0;
  const auto refuse = [&](const std::string& piece) {
    throw UserError(Exit::data, "the tokenizer's merges cannot be written as scores of pieces",
                    "SentencePiece would merge other pairs into '" + piece + "'");
  };
  for (size_t i = 0; i < merges.size();) {
    const std::string piece = merges[i].first + merges[i].second;
    std::set<std::pair<std::string, std::string>> pairs;
    for (; i < merges.size() && merges[i].first + merges[i].second == piece; ++i) pairs.insert(merges[i]);
    const auto found = ids.find(piece);
    const Merges all = pairs_of(piece, ids);
    if (found == ids.end() || scores[found->second] != 0 || !std::ranges::is_permutation(pairs, all)) refuse(piece);
    scores[found->second] = --score;
  }
  for (size_t id = 0; id < scores.size(); ++id) {  // characters, and pieces that nothing makes
    const std::string& piece = vocabulary.pieces[id];
    if (scores[id] != 0 || !ids.contains(piece)) continue;
    if (!pairs_of(piece, ids).empty()) refuse(piece);
    scores[id] = --score;
  }
  return scores;
}

}  // namespace rw
