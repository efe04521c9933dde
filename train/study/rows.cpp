#include "train/study/rows.hpp"

#include <algorithm>

#include "core/base/check.hpp"

namespace rw::study {
namespace {

constexpr ModelRow kModels[] = {
    {"plain", "positions=rope"},
    {"log n", "positions=rope log_n=trained"},
    {"inverse leaky", "positions=inverse_leaky"},
    {"inverse leaky, log n", "positions=inverse_leaky log_n=trained"},
    {"inverse leaky, log n, w N/2, g 32", "positions=inverse_leaky log_n=trained window=N/2 far_step=32"},
    {"inverse leaky, log n, base 80000", "positions=inverse_leaky log_n=trained rope_base=80000"},
    {"hwfa", "positions=hwfa"},
    {"hwfa2, 1 full", "positions=hwfa2 full_layers=1 full_window=N/2 log_n=trained"},
    {"hwfa2, 2 full", "positions=hwfa2 full_layers=2 full_window=N/2 log_n=trained"},
    {"query norm", "key_norm=query"},
    {"key norm", "key_norm=key"},
    {"cosine", "key_norm=cosine"},
};

constexpr Row kRows[] = {
    {"Baseline", "plain", "", 49.41, 24.17, 23.16},
    {"Baseline + log n", "log n", "", 49.40, 24.60, 24.02},
    {"PI", "plain", "rope=linear factor=8", 49.41, 15.04, 13.54},
    {"PI + log n", "log n", "rope=linear factor=8", 49.40, 14.99, 16.51},
    {"NTK-old", "plain", "rope=ntk_old factor=8", 49.41, 51.28, 39.27},
    {"NTK-old + log n", "log n", "rope=ntk_old factor=8", 49.40, 61.71, 43.75},
    {"NTK-fixed", "plain", "rope=ntk_fixed factor=8", 49.41, 51.86, 39.61},
    {"NTK-fixed + log n beyond", "plain", "rope=ntk_fixed factor=8 log_n=beyond", 49.41, 55.94, 41.11},
    {"NTK-fixed + log n", "log n", "rope=ntk_fixed factor=8", 49.40, 62.85, 44.14},
    {"NTK-mixed", "plain", "rope=ntk_mixed factor=8", 49.41, 53.09, 40.12},
    {"NTK-mixed + log n beyond", "plain", "rope=ntk_mixed factor=8 log_n=beyond", 49.41, 59.11, 42.38},
    {"NTK-mixed + log n", "log n", "rope=ntk_mixed factor=8", 49.40, 68.91, 45.41},
    {"YaRN", "plain", "rope=yarn factor=8", 49.41, 80.10, 47.45},
    {"YaRN + log n", "log n", "rope=yarn factor=8", 49.40, 82.57, 46.52},
    {"ReRoPE w N/8", "plain", "positions=rerope window=N/8", 49.41, 69.39, 45.19},
    {"ReRoPE w N/8 + log n beyond", "plain", "positions=rerope window=N/8 log_n=beyond", 49.41, 78.58, 47.42},
    {"ReRoPE w N/8 + log n", "log n", "positions=rerope window=N/8", 49.40, 84.38, 48.14},
    {"ReRoPE w N/4", "plain", "positions=rerope window=N/4", 49.41, 76.11, 47.82},
    {"ReRoPE w N/4 + log n beyond", "plain", "positions=rerope window=N/4 log_n=beyond", 49.41, 82.28, 48.78},
    {"ReRoPE w N/4 + log n", "log n", "positions=rerope window=N/4", 49.40, 85.47, 48.87},
    {"ReRoPE w N/2", "plain", "positions=rerope window=N/2", 49.41, 77.90, 48.48},
    {"ReRoPE w N/2 + log n beyond", "plain", "positions=rerope window=N/2 log_n=beyond", 49.41, 82.40, 48.85},
    {"ReRoPE w N/2 + log n", "log n", "positions=rerope window=N/2", 49.40, 85.12, 49.07},
    {"ReRoPE w 3N/4", "plain", "positions=rerope window=3N/4", 49.41, 70.72, 48.15},
    {"ReRoPE w 3N/4 + log n beyond", "plain", "positions=rerope window=3N/4 log_n=beyond", 49.41, 76.42, 48.31},
    {"ReRoPE w 3N/4 + log n", "log n", "positions=rerope window=3N/4", 49.40, 83.24, 48.62},
    {"ReRoPE w N", "plain", "positions=rerope window=N", 49.41, 7.09, 8.25},
    {"ReRoPE w N + log n beyond", "plain", "positions=rerope window=N log_n=beyond", 49.41, 7.08, 8.25},
    {"ReRoPE w N + log n", "log n", "positions=rerope window=N", 49.40, 15.84, 10.83},
    {"Leaky w N/4 g 1/64 + log n", "log n", "positions=leaky window=N/4 far_step=1/64", 49.40, 85.29, 48.96},
    {"Leaky w N/4 g 1/32 + log n", "log n", "positions=leaky window=N/4 far_step=1/32", 49.40, 85.31, 49.03},
    {"Leaky w N/4 g 1/16 + log n", "log n", "positions=leaky window=N/4 far_step=1/16", 49.40, 85.15, 49.10},
    {"Leaky w N/4 g 1/8 + log n", "log n", "positions=leaky window=N/4 far_step=1/8", 49.40, 80.00, 48.11},
    {"Leaky w N/2 g 1/64 + log n", "log n", "positions=leaky window=N/2 far_step=1/64", 49.40, 84.60, 49.03},
    {"Leaky w N/2 g 1/32 + log n", "log n", "positions=leaky window=N/2 far_step=1/32", 49.40, 84.30, 48.97},
    {"Leaky w N/2 g 1/16 + log n", "log n", "positions=leaky window=N/2 far_step=1/16", 49.40, 83.59, 48.87},
    {"Leaky w N/2 g 1/8 + log n", "log n", "positions=leaky window=N/2 far_step=1/8", 49.40, 69.80, 45.72},
    {"Window w N", "plain", "positions=window window=N"},
    {"Streaming", "plain", "positions=streaming"},
    {"Lambda", "plain", "positions=lambda"},
    {"Inverse Leaky", "inverse leaky", ""},
    {"Inverse Leaky + log n", "inverse leaky, log n", "", 49.38, 82.25, 48.32},
    {"Inverse Leaky w N/2 g 32 + log n", "inverse leaky, log n, w N/2, g 32", ""},
    {"Inverse Leaky, base 80000 + log n", "inverse leaky, log n, base 80000", "", 49.62, 81.15, 48.85},
    {"HWFA", "hwfa", "", 48.70, 80.84, 48.15},
    {"HWFA2, 1 full", "hwfa2, 1 full", "", 49.32, 82.41, 49.37},
    {"HWFA2, 2 full", "hwfa2, 2 full", "", 49.46, 84.43, 49.36},
    {"Query norm", "query norm", "", 49.55, 22.45, 22.18},
    {"Key norm", "key norm", "", 49.60, 61.08, 47.69},
    {"Key norm, YaRN", "key norm", "rope=yarn factor=8", 49.60, 84.19, 47.44},
    {"Key norm, ReRoPE w N/4", "key norm", "positions=rerope window=N/4", 49.60, 77.76, 47.73},
    {"Cosine", "cosine", "", 49.73, 58.90, 46.98},
    {"Cosine, YaRN", "cosine", "rope=yarn factor=8", 49.73, 83.40, 47.80},
    {"Cosine, ReRoPE w N/4", "cosine", "positions=rerope window=N/4", 49.73, 77.82, 47.80},
};

constexpr Claim kClaims[] = {
    {1, "repeated: PI < Baseline"},
    {1, "repeated: Baseline < NTK-old < NTK-mixed < ReRoPE w N/2"},
    {1, "repeated: NTK-old < NTK-fixed < NTK-mixed"},
    {2, "repeated: NTK-fixed < NTK-fixed + log n beyond < NTK-fixed + log n"},
    {2, "natural: NTK-fixed < NTK-fixed + log n beyond < NTK-fixed + log n"},
    {2, "repeated: NTK-mixed < NTK-mixed + log n beyond < NTK-mixed + log n"},
    {2, "natural: NTK-mixed < NTK-mixed + log n beyond < NTK-mixed + log n"},
    {2, "repeated: ReRoPE w N/2 < ReRoPE w N/2 + log n beyond < ReRoPE w N/2 + log n"},
    {2, "natural: ReRoPE w N/2 < ReRoPE w N/2 + log n beyond < ReRoPE w N/2 + log n"},
    {3, "repeated: ReRoPE w N/8 < ReRoPE w N/4"},
    {3, "repeated: ReRoPE w 3N/4 < ReRoPE w N/2"},
    {3, "repeated: ReRoPE w N < Baseline"},
    {4, "repeated: Leaky w N/4 g 1/8 + log n < Leaky w N/4 g 1/16 + log n"},
    {4, "repeated: Leaky w N/2 g 1/8 + log n < Leaky w N/2 g 1/16 + log n"},
    {5, "repeated: NTK-mixed + log n < Inverse Leaky + log n < ReRoPE w N/2 + log n"},
    {5, "natural: NTK-mixed + log n < Inverse Leaky + log n < ReRoPE w N/2 + log n"},
    {5, "repeated: HWFA < Inverse Leaky + log n"},
    {6, "repeated: HWFA < HWFA2, 2 full"},
    {6, "natural: HWFA < HWFA2, 2 full"},
    {6, "trained: HWFA < HWFA2, 2 full"},
    {7, "repeated: Baseline < Key norm"},
    {7, "natural: Baseline < Key norm"},
    {7, "repeated: Baseline < Cosine"},
    {7, "natural: Baseline < Cosine"},
    {7, "repeated: Query norm < Key norm"},
    {9, "natural: Window w N < Streaming"},
};

constexpr std::string_view kColumns[] = {"trained", "repeated", "natural"};

}  // namespace

std::span<const ModelRow> models() { return kModels; }
std::span<const Row> rows() { return kRows; }
std::span<const Claim> claims() { return kClaims; }
std::string_view name_of(Column column) { return kColumns[static_cast<size_t>(column)]; }

const Row& row_named(std::string_view name) {
  const auto found = std::ranges::find(kRows, name, &Row::name);
  RW_CHECK(found != std::end(kRows), name);
  return *found;
}

ParsedClaim parse_claim(std::string_view text) {
  const size_t colon = text.find(": ");
  const auto column = std::ranges::find(kColumns, text.substr(0, std::min(colon, text.size())));
  RW_CHECK(colon != text.npos && column != std::end(kColumns), text);
  ParsedClaim claim{.column = static_cast<Column>(column - std::begin(kColumns)), .rows = {}};
  for (size_t at = colon + 2; at <= text.size();) {
    const size_t end = std::min(text.find(" < ", at), text.size());
    claim.rows.push_back(row_named(text.substr(at, end - at)).name);
    at = end + 3;
  }
  RW_CHECK(claim.rows.size() > 1, text);
  return claim;
}

}  // namespace rw::study
