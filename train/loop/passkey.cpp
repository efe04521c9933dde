#include "train/loop/passkey.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/philox.hpp"
#include "core/base/user_error.hpp"
#include "train/loop/sweep.hpp"
#include "train/loop/text_scorer.hpp"

namespace rw {
namespace {

constexpr int64_t kDigits = 5;  // of a key; also the ids of a marker and of a key of ids
constexpr int64_t kMostTrials = 100'000;

uint32_t draw(uint64_t seed, int64_t trial, int64_t element) {
  return philox({static_cast<uint32_t>(trial), static_cast<uint32_t>(element), 0, name_word("passkey")},
                philox_key(seed))[0];
}

}  // namespace

Passkey::Passkey(const TokenData& data, const Tokenizer* tokenizer, PasskeyOptions options)
    : data_(&data), options_(std::move(options)) {
  const PasskeyOptions& o = options_;
  const auto refuse = [](const std::string& what, const char* advice) { throw UserError(Exit::usage, what, advice); };
  check_lengths(o.lengths);
  if (o.depths.empty()) refuse("there is no depth to try", "such as 0,25%,50%,75%,100%");
  if (!std::ranges::all_of(o.depths, [](double d) { return d >= 0 && d <= 1; }))
    refuse("a depth is not between 0 and 1", "0 is the beginning of the text, 100% its end, before the question");
  if (!std::ranges::is_sorted(o.depths, std::less_equal()))
    refuse("the depths do not ascend", "such as 0,25%,50%,75%,100%");
  if (o.trials < 1 || o.trials > kMostTrials)
    refuse(std::to_string(o.trials) + " trials cannot be made", "at least 1, at most 100000");
  int64_t most = 0;
  for (int64_t trial = 0; trial < o.trials; ++trial) {
    parts_.push_back(tokenizer ? text_parts(*tokenizer, trial) : id_parts(trial));
    most = std::max(most, parts_.back().size());
  }
  if (o.lengths.front() < most)
    refuse("a length of " + std::to_string(o.lengths.front()) + " has no room for a key",
           ("needle, question and key take " + std::to_string(most) + " tokens").c_str());
  const uint64_t there = data.size() - data.document_starts().size(), wanted = static_cast<uint64_t>(o.lengths.back());
  if (there < wanted)
    throw UserError(
        Exit::data, data.name() + " has " + std::to_string(there) + " tokens inside documents",
        "a text of the longest length takes up to " + std::to_string(wanted) + "; give longer data or less length");
}

Passkey::Parts Passkey::text_parts(const Tokenizer& tokenizer, int64_t trial) const {
  const std::string key = std::to_string(10'000 + draw(options_.seed, trial, 0) % 90'000);
  const auto ids = [&](const std::string& text) { return tokenizer.encode_part(text, false); };
  Parts out{.before = {tokenizer.document_start()},
            .needle = ids("\nThe pass key is " + key + ". Remember it. " + key + " is the pass key.\n"),
            .question = ids("\nWhat is the pass key? The pass key is " + key),
            .key = {}};
  // The tokens with digits of the key in them; a space before them belongs to the question where it is its own token.
  std::string bytes;
  while (bytes.size() < key.size() && !out.question.empty()) {
    bytes.insert(0, tokenizer.bytes(out.question.back()));
    out.key.insert(out.key.begin(), out.question.back());
    out.question.pop_back();
  }
  if (!bytes.ends_with(key))
    throw UserError(Exit::data, "the tokenizer cannot write the key " + key, "use keys of ids:  --passkey ids");
  return out;
}

Passkey::Parts Passkey::id_parts(int64_t trial) const {
  Parts out;
  const auto id = [&](int64_t element) {
    return static_cast<int32_t>(draw(options_.seed, trial, element) % static_cast<uint32_t>(data_->vocab()));
  };
  for (int64_t i = 0; i < kDigits; ++i) out.question.push_back(id(i)), out.key.push_back(id(kDigits + i));
  out.needle = out.question;
  out.needle.insert(out.needle.end(), out.key.begin(), out.key.end());
  return out;
}

Passkey::Ids Passkey::haystack(int64_t count, int64_t trial) const {
  const uint64_t size = data_->size();
  uint64_t at = (size - static_cast<uint64_t>(options_.lengths.back())) * static_cast<uint64_t>(trial) /
                static_cast<uint64_t>(options_.trials);
  Ids out;
  for (; out.size() < static_cast<size_t>(count); at = (at + 1) % size)
    if (!std::ranges::binary_search(data_->document_starts(), at)) out.push_back(data_->token(at));
  return out;
}

PasskeyText Passkey::text(int64_t length, double depth, int64_t trial) const {
  const Parts& parts = parts_[static_cast<size_t>(trial)];
  const Ids hay = haystack(length + 1 - parts.size(), trial);
  const auto cut = hay.begin() + std::llround(depth * static_cast<double>(hay.size()));
  PasskeyText out;
  const auto append = [&](auto first, auto last) {
    out.ids.insert(out.ids.end(), first, last);
    return static_cast<int64_t>(out.ids.size());
  };
  append(parts.before.begin(), parts.before.end());
  out.needle = append(hay.begin(), cut);
  out.needle_end = append(parts.needle.begin(), parts.needle.end());
  append(cut, hay.end());
  append(parts.question.begin(), parts.question.end());
  append(parts.key.begin(), parts.key.end());
  out.key = static_cast<int64_t>(parts.key.size());
  return out;
}

PasskeyResult Passkey::run(Model& model) const {
  const PasskeyOptions& o = options_;
  TextScorer scorer(model, o.lengths.back());
  const std::vector<std::vector<double>> zeros(o.depths.size(), std::vector<double>(o.lengths.size()));
  PasskeyResult out{.accuracy = zeros, .loss = zeros};
  for (size_t l = 0; l < o.lengths.size(); ++l)
    for (size_t d = 0; d < o.depths.size(); ++d) {
      int64_t found = 0, tokens = 0;
      double nll = 0;
      for (int64_t trial = 0; trial < o.trials; ++trial) {
        const PasskeyText one = text(o.lengths[l], o.depths[d], trial);
        scorer.score(one.ids, o.lengths[l], one.key);
        found += std::ranges::all_of(scorer.correct(), [](int32_t correct) { return correct == 1; });
        for (const double v : scorer.nll()) nll += v, ++tokens;
      }
      out.accuracy[d][l] = static_cast<double>(found) / static_cast<double>(o.trials);
      out.loss[d][l] = nll / static_cast<double>(tokens);
    }
  return out;
}

}  // namespace rw
