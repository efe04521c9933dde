// What came out, beside what is published.
#include <algorithm>
#include <cmath>

#include "train/report/chart.hpp"
#include "train/report/html.hpp"
#include "train/report/page.hpp"
#include "train/study/study.hpp"

namespace rw::study {
namespace {

// Rows of the charts: one of each method.
constexpr std::string_view kDrawn[] = {"Baseline",
                                       "PI",
                                       "NTK-mixed",
                                       "YaRN",
                                       "ReRoPE w N/2",
                                       "ReRoPE w N/2 + log n",
                                       "Inverse Leaky + log n",
                                       "HWFA",
                                       "HWFA2, 2 full",
                                       "Key norm"};

std::string digits(double value) {
  if (std::isnan(value)) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string text_of(const Mean& m) {
  std::string text = digits(m.value);
  if (m.low < m.high) text += " (" + digits(m.low) + " to " + digits(m.high) + ")";
  return text;
}

bool has(const Outcome& outcome, std::string_view row) {
  return std::ranges::any_of(outcome.results, [&](const Result& r) { return r.row == row; });
}

int64_t seeds_of(const Outcome& outcome) {
  int64_t most = 0;
  for (const Result& r : outcome.results) most = std::max(most, r.seed);
  return most;
}

struct Line {
  std::string text;
  Verdict verdict;
};

std::string name_of(Verdict verdict) {
  return verdict == Verdict::holds ? "holds" : verdict == Verdict::fails ? "does not hold" : "not tried";
}

std::vector<std::vector<std::string>> table_rows(const Outcome& outcome, bool natural) {
  std::vector<std::vector<std::string>> out;
  for (const Row& row : rows()) {
    if (!has(outcome, row.name)) continue;
    std::vector<std::string> line = {std::string(row.name)};
    for (const Column column : {Column::trained, Column::repeated, Column::natural})
      if (natural || column != Column::natural) line.push_back(text_of(mean(outcome, row.name, column)));
    for (const double published : {row.trained, row.repeated, row.natural}) line.push_back(digits(published));
    out.push_back(line);
  }
  return out;
}

std::vector<std::string> table_head(const Outcome& outcome, bool natural) {
  const std::string n = std::to_string(outcome.context), longest = std::to_string(kFactor * outcome.context);
  std::vector<std::string> head = {"row", n + " (train)", longest + " repeated"};
  if (natural) head.push_back(longest + " natural");
  for (const char* published : {"Su: 512 (train)", "4096 repeat", "4096 non-repeat"}) head.emplace_back(published);
  return head;
}

std::vector<Line> claim_lines(const Outcome& outcome) {
  std::vector<Line> out;
  for (const Claim& claim : claims()) {
    const ParsedClaim parsed = parse_claim(claim.text);
    const Verdict verdict = judge(outcome, parsed);
    if (verdict == Verdict::unknown) continue;
    std::string text = std::to_string(claim.number) + ", " + std::string(study::name_of(parsed.column)) + ": ";
    for (const std::string_view row : parsed.rows) {
      if (row != parsed.rows.front()) text += " < ";
      text += std::string(row) + " " + digits(mean(outcome, row, parsed.column).value);
    }
    out.push_back({text, verdict});
  }
  return out;
}

std::string about(Kind kind, const Outcome& outcome) {
  return "Models trained on texts of N = " + std::to_string(outcome.context) + " tokens, used on up to " +
         std::to_string(kFactor) + " N; the mean of " + std::to_string(seeds_of(outcome)) +
         (seeds_of(outcome) == 1 ? " seed" : " seeds (lowest to highest)") +
         ". Accuracy in percent: the share of all tokens that are the likeliest id. Repeated texts are a segment "
         "again and again, of " +
         (kind == Kind::copy ? "N/8, N/4 or 2 N random ids."
                             : "an eighth, a quarter or a half of the length; natural ones are held-out text.") +
         " \"(train)\" has the positions of the training. Su's models are single-head gated attention units with Post "
         "Norm, of about 100 M parameters; these are multi-head, with Pre Norm.";
}

report::Chart chart(const Outcome& outcome, Column column) {
  report::Chart out{.title = "Accuracy on " + std::string(study::name_of(column)) + " text",
                    .unit = "%",
                    .x_name = "tokens of the text",
                    .from_zero = true};
  for (int64_t length = outcome.context; length <= kFactor * outcome.context; length *= 2)
    out.x_ticks.push_back({static_cast<double>(length), std::to_string(length)});
  int index = 0;
  for (const std::string_view row : kDrawn) {
    if (!has(outcome, row)) continue;
    report::Line line{.name = std::string(row), .run = index++, .dots = true};
    for (int64_t length = outcome.context; length <= kFactor * outcome.context; length *= 2)
      line.points.push_back({static_cast<double>(length), mean(outcome, row, column, length).value});
    line.value = digits(line.points.back().y) + " %";
    out.lines.push_back(std::move(line));
  }
  return out;
}

}  // namespace

Mean mean(const Outcome& outcome, std::string_view row, Column column, int64_t length) {
  Mean out;
  double sum = 0, count = 0;
  const auto add = [&](double share) {
    const double percent = 100 * share;
    sum += percent, ++count;
    out.low = std::fmin(out.low, percent), out.high = std::fmax(out.high, percent);
  };
  for (const Result& r : outcome.results) {
    if (r.row != row) continue;
    if (column == Column::trained) add(r.trained);
    for (const Cell& c : r.cells)
      if (c.column == column && c.length == length) add(c.accuracy);
  }
  if (count > 0) out.value = sum / count;
  return out;
}

Mean mean(const Outcome& outcome, std::string_view row, Column column) {
  return mean(outcome, row, column, column == Column::trained ? outcome.context : kFactor * outcome.context);
}

Verdict judge(const Outcome& outcome, const ParsedClaim& claim) {
  std::vector<double> values;
  for (const std::string_view row : claim.rows) values.push_back(mean(outcome, row, claim.column).value);
  if (std::ranges::any_of(values, [](double v) { return std::isnan(v); })) return Verdict::unknown;
  return std::ranges::is_sorted(values, std::less_equal()) ? Verdict::holds : Verdict::fails;
}

std::string to_markdown(Kind kind, const Outcome& outcome) {
  const bool natural = kind != Kind::copy;
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const std::string& cell : cells) text += " " + cell + " |";
    return text + "\n";
  };
  const std::vector<std::string> head = table_head(outcome, natural);
  std::string out = about(kind, outcome) + "\n\n" + line(head) + "| ---";
  for (size_t i = 1; i < head.size(); ++i) out += " | ---:";
  out += " |\n";
  for (const auto& row : table_rows(outcome, natural)) out += line(row);
  out += "\nOrderings that are far apart in Su's tables:\n\n";
  for (const Line& claim : claim_lines(outcome)) out += "- " + name_of(claim.verdict) + ": " + claim.text + "\n";
  return out;
}

std::string to_html(Kind kind, const Outcome& outcome) {
  const bool natural = kind != Kind::copy;
  std::vector<std::vector<report::Cell>> cells;
  for (const auto& row : table_rows(outcome, natural)) {
    std::vector<report::Cell> line;
    for (const std::string& text : row) line.push_back({.text = text, .number = !line.empty()});
    cells.push_back(line);
  }
  std::vector<std::vector<report::Cell>> judged;
  for (const Line& claim : claim_lines(outcome))
    judged.push_back(
        {{.text = claim.text}, {.text = name_of(claim.verdict), .accent = claim.verdict == Verdict::fails}});
  const std::string title = "Study of length extrapolation: " + std::string(kKinds[static_cast<size_t>(kind)]);
  return report::page(title, "study",
                      report::element("p", about(kind, outcome)) +
                          report::section("curves", "Accuracy over the length",
                                          report::figure(chart(outcome, Column::repeated)) +
                                              report::figure(chart(outcome, Column::natural))) +
                          report::section("table", "Table", report::table(table_head(outcome, natural), cells)) +
                          report::section("orderings", "Orderings", report::table({"ordering", "here"}, judged)));
}

}  // namespace rw::study
