#include "train/report/record.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/file/file.hpp"
#include "train/checkpoint/parent.hpp"
#include "train/config/run_toml.hpp"
#include "train/loop/position_loss.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::report {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kLargestText = uint64_t{256} << 20;  // bytes of a text

// Empty if the file is not there; the problem is noted if it cannot be read.
std::string text_in(const fs::path& file, std::vector<std::string>& problems) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  try {
    return read_text(file, kLargestText);
  } catch (const UserError& error) {
    problems.push_back(std::string(error.what()) + ": " + error.advice);
    return {};
  }
}

// Of a run's folder; nothing if there is no run.toml.
std::optional<Resolved> settings_in(const fs::path& folder, std::vector<std::string>& problems) {
  const std::string toml = text_in(folder / "run.toml", problems);
  if (toml.empty()) return {};
  std::vector<UserError> found;
  std::optional<Resolved> out;
  try {
    out = resolve(std::vector{parse_run_toml(toml)}, &found);
  } catch (const UserError& error) {
    found.push_back(error);
  }
  for (const UserError& problem : found) problems.emplace_back(problem.what());
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// What a run has left by going on from an earlier step.
void forget_later(std::vector<SampleText>& samples, int64_t step) {
  while (!samples.empty() && samples.back().step >= step) samples.pop_back();
}

}  // namespace

void Metrics::add(const MetricsRow& row) {
  if (!step_.empty() && row.step <= step_.back()) {
    step_.erase(std::ranges::lower_bound(step_, row.step), step_.end());
    for (auto& [name, column] : columns_) {
      const auto keep = std::ranges::lower_bound(column.row, static_cast<uint32_t>(step_.size())) - column.row.begin();
      column.row.resize(static_cast<size_t>(keep));
      column.value.resize(static_cast<size_t>(keep));
    }
  }
  const auto at = static_cast<uint32_t>(step_.size());
  step_.push_back(row.step);
  for (const Metric& metric : row.metrics) {
    Column& column = columns_[metric.name];
    if (!column.row.empty() && column.row.back() == at) continue;  // a name twice in a line
    column.row.push_back(at);
    column.value.push_back(metric.value);
  }
}

std::vector<Point> Metrics::curve(std::string_view x, std::string_view y) const {
  const auto of_y = columns_.find(y), of_x = columns_.find(x);
  const bool by_step = x == "step";
  std::vector<Point> out;
  if (of_y == columns_.end() || (!by_step && of_x == columns_.end())) return out;
  const Column& column = of_y->second;
  for (size_t i = 0, j = 0; i < column.row.size(); ++i) {
    Point p{static_cast<double>(step_[column.row[i]]), column.value[i]};
    if (!by_step) {
      const Column& other = of_x->second;
      while (j < other.row.size() && other.row[j] < column.row[i]) ++j;
      if (j == other.row.size() || other.row[j] != column.row[i]) continue;
      p.x = other.value[j];
    }
    if (std::isfinite(p.x) && std::isfinite(p.y)) out.push_back(p);
  }
  return out;
}

std::vector<double> Metrics::values(std::string_view name) const {
  std::vector<double> out;
  if (const auto column = columns_.find(name); column != columns_.end())
    std::ranges::copy_if(column->second.value, std::back_inserter(out), [](double v) { return std::isfinite(v); });
  return out;
}

std::vector<Metrics::Bucket> Metrics::loss_by_position() const {
  std::vector<Bucket> out;
  for (auto it = columns_.lower_bound(kPositionMetric); it != columns_.end() && it->first.starts_with(kPositionMetric);
       ++it) {
    Bucket bucket;
    const std::string_view range = std::string_view(it->first).substr(kPositionMetric.size());
    if (std::from_chars(range.data(), range.data() + range.size(), bucket.first).ec != std::errc()) continue;
    bucket.loss = curve("step", it->first);
    if (!bucket.loss.empty()) out.push_back(std::move(bucket));
  }
  std::ranges::sort(out, {}, &Bucket::first);
  return out;
}

std::string Start::fact(std::string_view name) const {
  const auto at = std::ranges::find(facts, name, [](const auto& fact) { return std::string_view(fact.first); });
  return at == facts.end() ? "" : at->second;
}

// ## step 120, 2026-11-24 22:19:39 UTC
//
// temperature 0.8, top-p 0.95
//
//     the text, indented
std::vector<SampleText> parse_samples(std::string_view markdown) {
  constexpr std::string_view kHead = "## step ", kIndent = "    ";
  std::vector<SampleText> out;
  for (std::string_view line : lines_of(markdown)) {
    if (line.starts_with(kHead)) {
      line.remove_prefix(kHead.size());
      SampleText sample;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), sample.step);
      if (error != std::errc()) continue;
      line.remove_prefix(static_cast<size_t>(end - line.data()));
      if (line.starts_with(", ")) sample.date = line.substr(2);
      forget_later(out, sample.step);
      out.push_back(std::move(sample));
    } else if (!out.empty() && line.starts_with(kIndent)) {
      out.back().text.append(line.substr(kIndent.size())).append("\n");
    } else if (!out.empty() && !line.empty()) {
      out.back().about = line;
    }
  }
  for (SampleText& sample : out)
    while (sample.text.ends_with('\n')) sample.text.pop_back();
  return out;
}

// The command, which may have several lines, up to "  date ..."; then indented facts and variables.
std::vector<Start> parse_starts(std::string_view text) {
  std::vector<Start> out;
  std::string command;
  bool in_facts = false;
  for (const std::string_view line : lines_of(text)) {
    if (!in_facts && line.starts_with("  date ")) {
      out.push_back({.command = command.substr(0, command.find_last_not_of('\n') + 1), .facts = {}, .environment = {}});
      command.clear();
      in_facts = true;
    }
    if (!in_facts) {
      if (!command.empty() || !line.empty()) command.append(line).append("\n");
      continue;
    }
    if (!line.starts_with("  ")) {
      in_facts = false;
      if (!line.empty()) command.append(line).append("\n");
      continue;
    }
    const std::string_view entry = line.substr(2);
    const size_t end = entry.find_first_of(" =");
    if (entry.starts_with('\'') || (end != entry.npos && entry[end] == '=')) {
      out.back().environment.emplace_back(entry);
    } else {
      const size_t value = entry.find_first_not_of(' ', std::min(end, entry.size()));
      out.back().facts.emplace_back(entry.substr(0, end), value == entry.npos ? "" : entry.substr(value));
    }
  }
  return out;
}

Record read_record(const fs::path& given) {
  Record record;
  record.folder = check_run(given);
  record.status = read_status(record.folder);
  record.in_use = run_in_use(record.folder);
  const fs::path metrics = record.folder / "metrics.jsonl";
  std::error_code ignored;
  if (fs::exists(metrics, ignored)) for_metrics(metrics, [&](const MetricsRow& row) { record.metrics.add(row); });
  record.samples = parse_samples(text_in(record.folder / "samples.md", record.problems));
  record.starts = parse_starts(text_in(record.folder / "command.txt", record.problems));
  record.settings = settings_in(record.folder, record.problems);
  if (const auto parent = parse_parent(record.status ? record.status->parent : "")) {
    const fs::path checkpoint = parent->folder;  // RUN/checkpoints/step-000120
    std::vector<std::string> not_ours;
    record.parent_settings = settings_in(checkpoint.parent_path().parent_path(), not_ours);
  }
  return record;
}

}  // namespace rw::report
