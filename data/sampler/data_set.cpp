#include "data/sampler/data_set.hpp"

#include <cmath>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"

namespace rw {

namespace {

struct Part {
  std::string path;
  double share;
};

[[noreturn]] void malformed(std::string_view text, const std::string& why) {
  throw UserError(Exit::usage, "cannot read the data '" + std::string(text) + "'",
                  why + "\nname a folder, or a mixture with shares:  a:0.7,b:0.3");
}

// A colon belongs to the path unless a number follows it to the end of the part.
std::vector<Part> parse(std::string_view text) {
  std::vector<Part> parts;
  size_t with_share = 0;
  double sum = 0;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    std::string part(rest.substr(0, comma));
    double share = 1;
    if (const size_t colon = part.rfind(':'); colon != part.npos && colon + 1 < part.size()) {
      char* end = nullptr;
      const double number = std::strtod(part.c_str() + colon + 1, &end);
      if (*end == '\0') {
        if (!std::isfinite(number) || number <= 0) malformed(text, "a share is to be above 0");
        share = number;
        part.resize(colon);
        ++with_share;
      }
    }
    if (part.empty()) malformed(text, "a name is missing");
    sum += share;
    parts.push_back({std::move(part), share});
    if (comma == rest.npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (with_share != 0 && with_share != parts.size()) malformed(text, "either all parts have a share, or none");
  for (Part& part : parts) part.share /= sum;
  return parts;
}

std::string describe(const TokenData& data) {
  return data.name() + " has " + std::to_string(data.vocab()) + " tokens of tokenizer " +
         (data.tokenizer_hash().empty() ? "(not known)" : data.tokenizer_hash().substr(0, 8));
}

}  // namespace

DataSet::DataSet(std::vector<Corpus> corpora) : corpora_(std::move(corpora)) {
  RW_CHECK(!corpora_.empty());
  const TokenData& first = corpora_[0].data;
  for (const Corpus& corpus : corpora_)
    if (corpus.data.tokenizer_hash() != first.tokenizer_hash() || corpus.data.vocab() != first.vocab())
      throw UserError(
          Exit::data, "tokenizer mismatch",
          describe(first) + ", " + describe(corpus.data) +
              "\nprepare both with one tokenizer:  ropewalk data prepare --tokenizer TOK --out DIR TEXT...");
}

DataSet DataSet::open(std::string_view text, Split split, int64_t vocab) {
  std::vector<Corpus> corpora;
  for (const Part& part : parse(text)) corpora.push_back({TokenData::open(part.path, split, vocab), part.share});
  return DataSet(std::move(corpora));
}

bool DataSet::has(std::string_view text, Split split) {
  for (const Part& part : parse(text))
    if (!TokenData::has(part.path, split)) return false;
  return true;
}

uint64_t DataSet::tokens() const {
  uint64_t sum = 0;
  for (const Corpus& corpus : corpora_) sum += corpus.data.size();
  return sum;
}

}  // namespace rw
