// One row of tokens or a mixture of several, all of one tokenizer.
#pragma once
#include <string_view>

#include "data/token_data.hpp"

namespace rw {

struct Corpus {
  TokenData data;
  double share = 1;  // of the samples; all sum to 1
};

class DataSet {
 public:
  // "folder", or "a:0.7,b:0.3" (shares are divided by their sum; without them the corpora have equal ones). Throws
  // UserError: Exit::usage if the text is otherwise; Exit::data if two corpora differ in tokenizer or vocabulary,
  // naming both; and what TokenData::open throws.
  static DataSet open(std::string_view text, Split split, int64_t vocab = 0);
  explicit DataSet(std::vector<Corpus> corpora);

  // Whether every corpus of the text has the split.
  static bool has(std::string_view text, Split split);

  const std::vector<Corpus>& corpora() const { return corpora_; }
  int64_t vocab() const { return corpora_[0].data.vocab(); }
  const std::string& tokenizer_hash() const { return corpora_[0].data.tokenizer_hash(); }
  const std::optional<TokenizerFile>& tokenizer() const { return corpora_[0].data.tokenizer(); }
  uint64_t tokens() const;  // of all corpora

 private:
  std::vector<Corpus> corpora_;
};

}  // namespace rw
