// A model at growing lengths of text: loss and accuracy of the same last tokens, seen with more and more before them.
// A model that uses its context has a loss that falls with length; one that is lost beyond its trained length has not
// (spec/positions.md 9.0, 9.4).
#pragma once
#include "data/token_data.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

enum class SweepText {
  natural,  // stretches of the data
  repeated  // a segment of the data, again and again: the later copies can be read off the first
};

struct SweepOptions {
  std::vector<int64_t> lengths{};  // tokens, ascending, at least 1
  int64_t score_last = 0;          // K: targets of each text, the last ones; 0: the shortest length
  int64_t texts = 8;               // of each kind, spread evenly over the data
  int64_t segment = 0;             // tokens of a repeated one; 0: the shortest length
  Phase phase = Phase::inference;  // whose positions the model has
};

struct SweepCell {
  int64_t length = 0;
  double loss = 0;      // nats
  double accuracy = 0;  // share of targets that are the likeliest id
  uint64_t targets = 0;
};

// Sums over the positions of the longest text, in up to 16 equal parts.
struct SweepPart {
  int64_t first = 0, count = 0;
  double loss = 0, accuracy = 0;
};

struct SweepResult {
  std::vector<SweepCell> cells;        // one for each length
  std::vector<SweepPart> by_position;  // all targets of the longest texts
};

void check_lengths(std::span<const int64_t> lengths);  // UserError(Exit::usage): none, below 1, not ascending

class Sweep {
 public:
  // UserError(Exit::usage): no or unordered lengths, a K beyond the shortest one, no texts; Exit::data: the data are
  // shorter than one text and its last target.
  Sweep(const TokenData& data, SweepOptions options);

  const SweepOptions& options() const { return options_; }

  // With the model's positions as they are. They are prepared for each length, and left prepared for the last.
  SweepResult run(Model& model, SweepText kind) const;

 private:
  std::vector<int32_t> text(SweepText kind, int64_t index) const;  // of the longest length and one target more

  const TokenData* data_;
  SweepOptions options_;
};

}  // namespace rw
