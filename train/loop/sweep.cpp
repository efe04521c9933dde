#include "train/loop/sweep.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "train/loop/text_scorer.hpp"

namespace rw {
namespace {

constexpr int64_t kParts = 16;

}  // namespace

void check_lengths(std::span<const int64_t> lengths) {
  const char* const advice = "such as 512,1k,2k,4k";
  if (lengths.empty() || lengths.front() < 1) throw UserError(Exit::usage, "there is no length to try", advice);
  if (!std::ranges::is_sorted(lengths, std::less_equal()))
    throw UserError(Exit::usage, "the lengths do not ascend", advice);
}

Sweep::Sweep(const TokenData& data, SweepOptions options) : data_(&data), options_(std::move(options)) {
  SweepOptions& o = options_;
  const auto refuse = [](const std::string& what, const char* advice) { throw UserError(Exit::usage, what, advice); };
  check_lengths(o.lengths);
  if (o.score_last == 0) o.score_last = o.lengths.front();
  if (o.segment == 0) o.segment = o.lengths.front();
  if (o.score_last < 1 || o.score_last > o.lengths.front())
    refuse("the last " + std::to_string(o.score_last) + " tokens cannot be scored at each length",
           "all lengths score the same tokens: at most as many as the shortest has");
  if (o.texts < 1) refuse("there is no text to try", "at least 1");
  if (o.segment < 1) refuse("a segment of " + std::to_string(o.segment) + " tokens cannot be repeated", "at least 1");
  const auto wanted = static_cast<uint64_t>(std::max(o.lengths.back() + 1, o.segment));
  if (data.size() < wanted)
    throw UserError(Exit::data, data.name() + " has " + std::to_string(data.size()) + " tokens",
                    "a text of the longest length has " + std::to_string(wanted) + "; give longer data or less length");
}

std::vector<int32_t> Sweep::text(SweepText kind, int64_t index) const {
  const int64_t longest = options_.lengths.back() + 1;
  const int64_t fresh = kind == SweepText::natural ? longest : std::min(options_.segment, longest);
  const auto room = static_cast<uint64_t>(data_->size()) - static_cast<uint64_t>(fresh);
  const uint64_t begin =
      options_.texts == 1 ? 0 : room * static_cast<uint64_t>(index) / static_cast<uint64_t>(options_.texts - 1);
  std::vector<int32_t> out(static_cast<size_t>(longest));
  data_->read(begin, std::span(out).first(static_cast<size_t>(fresh)));
  for (auto t = static_cast<size_t>(fresh); t < out.size(); ++t) out[t] = out[t - static_cast<size_t>(fresh)];
  return out;
}

SweepResult Sweep::run(Model& model, SweepText kind) const {
  const int64_t longest = options_.lengths.back(), parts = std::min(kParts, longest);
  TextScorer scorer(model, longest, options_.phase);
  SweepResult out;
  for (const int64_t length : options_.lengths) out.cells.push_back({.length = length});
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = longest * part / parts;
    out.by_position.push_back({.first = first, .count = longest * (part + 1) / parts - first});
  }
  const auto k = options_.score_last;
  for (int64_t index = 0; index < options_.texts; ++index) {
    const std::vector<int32_t> ids = text(kind, index);
    for (SweepCell& cell : out.cells) {
      const int64_t count = cell.length == longest ? longest : k;
      scorer.score(ids, cell.length, count);
      const double* nll = scorer.nll().data();
      const int32_t* correct = scorer.correct().data();
      for (int64_t t = count - k; t < count; ++t) cell.loss += nll[t], cell.accuracy += correct[t], ++cell.targets;
      if (cell.length != longest) continue;
      for (SweepPart& part : out.by_position)
        for (int64_t t = part.first; t < part.first + part.count; ++t) part.loss += nll[t], part.accuracy += correct[t];
    }
  }
  for (SweepCell& cell : out.cells)
    cell.loss /= static_cast<double>(cell.targets), cell.accuracy /= static_cast<double>(cell.targets);
  for (SweepPart& part : out.by_position) {
    const auto targets = static_cast<double>(part.count * options_.texts);
    part.loss /= targets, part.accuracy /= targets;
  }
  return out;
}

}  // namespace rw
