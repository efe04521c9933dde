// What Su's posts 10 to 15 publish of length extrapolation, as data: which models are trained, with which positions
// each of them is then used, what came out there, and which orderings stand far apart
// (https://kexue.fm/archives/9675, 9706, 9708, 9728, 9731, 9859; spec/positions.md 9 and 10).
//
// There: about 100 M parameters, single-head gated attention units, Post Norm, N = 512, tested at 8 N; here multi-head
// Pre Norm. Windows are written as parts of N.
#pragma once
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rw::study {

inline constexpr int64_t kFactor = 8;  // longest texts are so many times N

struct ModelRow {
  std::string_view name, settings;  // "positions=hwfa window=N/8"
};
std::span<const ModelRow> models();

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct Row {
  std::string_view name;
  std::string_view model;      // of models()
  std::string_view positions;  // put over the model's own, for texts of 8 N
  double trained = kUnknown;   // published accuracies in percent: at N with the positions of the training,
  double repeated = kUnknown;  // at 8 N with repeated texts among them,
  double natural = kUnknown;   // and without
};
std::span<const Row> rows();
const Row& row_named(std::string_view name);  // rw::Error if there is none

enum class Column { trained, repeated, natural };
std::string_view name_of(Column column);

// "repeated: A < B < C": that accuracies of rows ascend.
struct Claim {
  int number;  // of spec/positions.md 10
  std::string_view text;
};
std::span<const Claim> claims();

struct ParsedClaim {
  Column column;
  std::vector<std::string_view> rows;
};
ParsedClaim parse_claim(std::string_view text);  // rw::Error if a column or a row is unknown

}  // namespace rw::study
