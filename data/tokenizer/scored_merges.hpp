// SentencePiece merges the neighbours whose joint piece has the highest score, the leftmost of equals; Hugging Face
// those whose pair has the lowest rank. From one to the other.
#pragma once
#include "data/tokenizer/vocabulary.hpp"

namespace rw {

using Merges = std::vector<std::pair<std::string, std::string>>;

// All pairs that make a piece, by its score: ranks with which the ids are the same, also where several pairs make one
// piece, since only neighbours that overlap could tell them apart, and merging from left to right leaves none such.
// Throws UserError(Exit::data) if two pieces that pairs make have the same score.
Merges merges_of_scores(const Vocabulary& vocabulary);

// Scores with which merges_of_scores(vocabulary) has the same pairs for each piece and the pieces in the same order.
// Throws UserError(Exit::data) if there are none.
std::vector<float> scores_of_merges(const Vocabulary& vocabulary, const Merges& merges);

}  // namespace rw
