// Token files for a study, in nanoGPT's layout (data/token_data.hpp): FOLDER/{train,val,test}.bin and meta.json.
//
// Repeats are sections of 4 N tokens, each a segment of p tokens again and again, p uniform in N/4 .. 5N/8. With
// shorter ones a small model finds ways to copy that go by distance, and comes late or never to the one that goes by
// content.
//
//   copy    train and val: sections only, of random ids; those of a segment differ.
//           test: all ids in random order, again and again, of which segments are taken.
//   mixed   train: a text, after each stretch of it a section of a passage of the text; sections make a given share of
//           the whole. A small model that sees little text does not learn to copy from it without. val: the
//           held-out text.
#pragma once
#include <filesystem>

#include "data/token_data.hpp"

namespace rw::study {

struct CopyTexts {
  int64_t context = 0, vocab = 0;
  uint64_t tokens = 0, seed = 1;
};

// Whole or not at all. UserError(Exit::write).
void write_copy_texts(const std::filesystem::path& folder, const CopyTexts& options);

// share in (0, 1). Besides: UserError(Exit::usage) for a vocabulary above 65536, Exit::data for less than N tokens.
void write_mixed_texts(const std::filesystem::path& folder, const TokenData& train, const TokenData& val,
                       int64_t context, double share, uint64_t seed);

}  // namespace rw::study
