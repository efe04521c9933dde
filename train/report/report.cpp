#include "train/report/report.hpp"

#include <cmath>

#include "core/file/atomic.hpp"
#include "train/loop/machine.hpp"
#include "train/report/html.hpp"
#include "train/report/page.hpp"
#include "train/report/sections.hpp"
#include "train/report/verdict.hpp"

namespace rw::report {
namespace {

std::string verdict_box(const Record& run, bool with_name) {
  constexpr const char* kTones[] = {"good", "neutral", "warning", "bad"};
  const Verdict v = verdict_of(run);
  const Outline o = outline_of(run);
  std::string line = ": step " + std::to_string(o.step);
  if (o.total_steps > 0) line += " of " + std::to_string(o.total_steps);
  if (!std::isnan(o.tokens)) line += ", " + text_of(o.tokens, Quantity::count) + " tokens";
  if (!std::isnan(o.seconds)) line += " in " + text_of(o.seconds, Quantity::duration);
  if (!std::isnan(o.best_val)) line += ", best validation loss " + measured_text(o.best_val);
  if (!std::isnan(o.bits_per_byte)) line += " (" + measured_text(o.bits_per_byte) + " bits per byte)";
  std::string out = std::string("<div class=\"verdict ") + kTones[static_cast<size_t>(v.tone)] + "\">";
  if (with_name) out += element("h3", run.name());
  out += "<p>" + element("strong", v.end) + escape(line + ".") + "</p>";
  for (const std::string& finding : v.findings) out += element("p", finding);
  return out + "</div>\n";
}

std::string summary_table(std::span<const Record> runs) {
  std::vector<std::string> head;
  if (runs.size() > 1) {
    head.emplace_back("");
    for (const Record& run : runs) head.push_back(run.name());
  }
  std::vector<Outline> outlines;
  for (const Record& run : runs) outlines.push_back(outline_of(run));
  std::vector<std::vector<Cell>> rows;
  const auto add = [&](const char* name, const auto& text) {
    std::vector<Cell> row = {{name}};
    bool known = false;
    for (size_t i = 0; i < runs.size(); ++i) {
      row.push_back({text(runs[i], outlines[i])});
      known |= !row.back().text.empty();
    }
    if (known) rows.push_back(std::move(row));
  };
  const auto number = [](double value, Quantity quantity, const std::string& after = {}) {
    return std::isnan(value) ? std::string() : text_of(value, quantity) + after;
  };
  const auto measured = [](double value, const std::string& after = {}) {
    return std::isnan(value) ? std::string() : measured_text(value) + after;
  };
  add("model", [](const Record& run, const Outline&) {
    return run.settings ? describe(run.settings->settings.model) : std::string();
  });
  add("parent", [](const Record& run, const Outline&) { return run.status ? run.status->parent : std::string(); });
  add("steps", [](const Record&, const Outline& o) {
    return std::to_string(o.step) + (o.total_steps > 0 ? " of " + std::to_string(o.total_steps) : "");
  });
  add("tokens", [&](const Record&, const Outline& o) { return number(o.tokens, Quantity::count); });
  add("time of training", [&](const Record&, const Outline& o) { return number(o.seconds, Quantity::duration); });
  add("throughput", [&](const Record&, const Outline& o) {
    return number(o.tokens_per_second, Quantity::count, " tokens per second");
  });
  add("memory", [&](const Record&, const Outline& o) { return number(o.memory, Quantity::bytes); });
  add("training loss at the end", [&](const Record&, const Outline& o) { return measured(o.loss); });
  add("best validation loss",
      [&](const Record&, const Outline& o) { return measured(o.best_val, " at step " + std::to_string(o.best_step)); });
  add("last validation loss", [&](const Record&, const Outline& o) { return measured(o.val_loss); });
  add("bits per byte, best", [&](const Record&, const Outline& o) { return measured(o.bits_per_byte); });
  add("perplexity, best", [&](const Record&, const Outline& o) { return measured(std::exp(o.best_val)); });
  return table(head, rows);
}

}  // namespace

std::string to_html(std::span<const Record> runs, std::span<const SweepFile> sweeps) {
  const bool one = runs.size() == 1;
  const std::string title = one ? runs[0].name() : std::to_string(runs.size()) + " runs compared";
  std::string out = element("p", "ropewalk " RW_VERSION " · report on a training run", "class=\"quiet\"") + "\n";
  for (const Record& run : runs) out += verdict_box(run, !one);
  out += section("summary", "Summary", summary_table(runs));
  out += curves_section(runs) + positions_section(runs);
  out += sweeps_section(sweeps) + passkeys_section(sweeps);
  for (const auto part : {wavelengths_section, evaluations_section, samples_section, settings_section, machine_section})
    out += part(runs);
  return page(title, "report", out);
}

void write_report(std::span<const Record> runs, const std::filesystem::path& file, std::span<const SweepFile> sweeps) {
  write_text(file, to_html(runs, sweeps));
}

}  // namespace rw::report
