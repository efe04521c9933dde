#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "train/config/run_toml.hpp"
#include "train/loop/run_folder.hpp"
#include "train/report/axis.hpp"
#include "train/report/html.hpp"
#include "train/report/sections.hpp"
#include "train/report/verdict.hpp"

namespace rw::report {
namespace {

constexpr size_t kMostRows = 60;     // of a table of evaluations
constexpr size_t kMostSamples = 12;  // of a run

// At most `most` of n indices, spread evenly, the first and the last among them.
std::vector<size_t> spread(size_t n, size_t most) {
  std::vector<size_t> out;
  const size_t count = std::min(n, most);
  for (size_t i = 0; i < count; ++i) out.push_back(count < 2 ? n - 1 : i * (n - 1) / (count - 1));
  return out;
}

std::string heading(std::span<const Record> runs, const Record& run) {
  return runs.size() > 1 ? element("h3", run.name()) + "\n" : "";
}

std::string shown(const std::string& value) { return value.empty() ? "\"\"" : value; }

}  // namespace

std::string evaluations_section(std::span<const Record> runs) {
  std::string out;
  for (const Record& run : runs) {
    const Metrics& m = run.metrics;
    const std::vector<Point> val = m.curve("step", "val_loss");
    if (val.empty()) continue;
    const Outline o = outline_of(run);
    const auto at = [](const std::vector<Point>& points, double x) {
      const auto found = std::ranges::lower_bound(points, x, {}, &Point::x);
      return found != points.end() && found->x == x ? found->y : Outline::kUnknown;
    };
    const auto tokens = m.curve("step", "tokens"), seconds = m.curve("step", "seconds"), ema = m.curve("step", "ema"),
               bits = m.curve("step", "val_bits_per_byte");
    std::vector<std::vector<Cell>> rows;
    for (const size_t i : spread(val.size(), kMostRows)) {
      const auto [step, loss] = val[i];
      const auto loss_cell = [](double v) {
        char text[32] = "";
        if (!std::isnan(v)) std::snprintf(text, sizeof text, "%.4f", v);
        return Cell{text, true};
      };
      const auto number = [](double v, Quantity q) { return Cell{std::isnan(v) ? "" : text_of(v, q), true}; };
      rows.push_back({number(step, Quantity::count), loss_cell(loss), loss_cell(at(bits, step)),
                      loss_cell(at(ema, step)), number(at(tokens, step), Quantity::count),
                      number(at(seconds, step), Quantity::duration)});
      rows.back()[0].text = std::to_string(static_cast<int64_t>(step));
      rows.back()[1].accent = static_cast<int64_t>(step) == o.best_step;
    }
    out += heading(runs, run) +
           table({"step", "validation loss", "bits per byte", "training loss", "tokens", "time"}, rows);
  }
  return out.empty() ? "" : section("evaluations", "Evaluations", out);
}

std::string samples_section(std::span<const Record> runs) {
  std::string out;
  for (const Record& run : runs) {
    if (run.samples.empty()) continue;
    const auto one = [](const SampleText& s) {
      std::string about = "step " + std::to_string(s.step);
      if (!s.date.empty()) about += " · " + s.date;
      if (!s.about.empty()) about += " · " + s.about;
      return element("p", about, "class=\"about\"") + element("pre", s.text, "dir=\"auto\"") + "\n";
    };
    std::string earlier;
    const std::vector<size_t> chosen = spread(run.samples.size(), kMostSamples);
    for (const size_t i : chosen)
      if (i + 1 < run.samples.size()) earlier += one(run.samples[i]);
    out += heading(runs, run) + one(run.samples.back());
    if (!earlier.empty())
      out +=
          details(std::to_string(chosen.size() - 1) + " of " + std::to_string(run.samples.size() - 1) + " earlier ones",
                  earlier);
  }
  return out.empty() ? "" : section("samples", "Samples", out);
}

std::string settings_section(std::span<const Record> runs) {
  struct Row {
    std::string section, name;
    std::vector<std::string> values, origins;
  };
  std::vector<Row> rows;
  std::vector<const Record*> known;
  for (const Record& run : runs) {
    if (!run.settings) continue;
    Settings settings = run.settings->settings;
    size_t i = 0;
    visit_settings(settings, [&](const Setting& s, const Field& field) {
      if (known.empty()) rows.push_back({std::string(section_name(s.section)), std::string(s.name), {}, {}});
      rows[i].values.push_back(field_text(s.unit, field));
      const auto origin = run.settings->origins.find(s.name);
      rows[i++].origins.push_back(origin == run.settings->origins.end() ? "" : origin->second);
    });
    known.push_back(&run);
  }
  if (known.empty()) return {};
  std::erase_if(rows, [](const Row& row) {  // the two lengths of a run that are not given
    const bool is_length = row.name == "tokens" || row.name == "steps" || row.name == "time";
    return is_length && std::ranges::all_of(row.values, [](const std::string& v) { return v == "0" || v == "0s"; });
  });

  std::string out;
  for (const Record* run : known) {
    if (!run->parent_settings) continue;
    std::vector<std::vector<Cell>> different;
    for (const auto& d : settings_difference(run->parent_settings->settings, run->settings->settings))
      if (d.name != "out") different.push_back({{d.name}, {shown(d.before)}, {shown(d.after)}});
    out += element("h3", "Differences from the parent" + (known.size() > 1 ? " of " + run->name() : std::string()));
    out +=
        different.empty() ? element("p", "None, but for the folder.") : table({"setting", "parent", "here"}, different);
  }
  if (known.size() > 1) {
    std::vector<std::string> head = {"setting"};
    for (const Record* run : known) head.push_back(run->name());
    std::vector<std::vector<Cell>> different;
    for (const Row& row : rows) {
      if (row.name == "out" || std::ranges::count(row.values, row.values[0]) == std::ssize(row.values)) continue;
      different.push_back({{row.name}});
      for (const std::string& value : row.values) different.back().push_back({shown(value)});
    }
    out += element("h3", "Differences");
    out += different.empty() ? element("p", "None, but for the folder.") : table(head, different);
  }
  for (size_t r = 0; r < known.size(); ++r) {
    const bool one = known.size() == 1;
    std::vector<std::vector<Cell>> all, defaults;  // of one run: all others
    for (const Row& row : rows) {
      const std::string& origin = row.origins[r];
      const bool given = origin != "default" && !origin.starts_with("preset ");
      std::vector<Cell> cells = {{row.section + "." + row.name}, {shown(row.values[r]), false, given}};
      if (one && origin == "default") {
        defaults.push_back(std::move(cells));
      } else {
        cells.push_back({origin});
        all.push_back(std::move(cells));
      }
    }
    const std::string content = all.empty() ? "" : table({"setting", "value", "from"}, all);
    out += one ? content : details("All settings of " + known[r]->name(), content);
    if (!defaults.empty())
      out += details(std::to_string(defaults.size()) + " more, as they are by default",
                     table({"setting", "value"}, defaults));
  }
  return section("settings", "Settings", out);
}

std::string machine_section(std::span<const Record> runs) {
  std::vector<std::string> names;  // of facts, in their order
  for (const Record& run : runs)
    for (const Start& start : run.starts)
      for (const auto& [name, value] : start.facts)
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  std::vector<std::string> head = {""};
  std::vector<std::vector<Cell>> rows;
  std::string again;
  for (const Record& run : runs) {
    if (run.starts.empty()) continue;
    head.push_back(runs.size() > 1 ? run.name() : "value");
    std::string script;
    for (const Start& start : run.starts) {
      if (!script.empty()) script += "\n";
      script += "# " + start.fact("date") + "\n";
      if (&start == &run.starts.front()) script += "cd " + shell_line(std::vector{start.fact("folder")}) + "\n";
      if (!start.environment.empty()) script += "env ";
      for (const std::string& variable : start.environment) script += variable + " ";
      script += start.command + "\n";
    }
    again += heading(runs, run) + element("pre", script) + "\n";
  }
  if (again.empty()) return {};
  for (const std::string& name : names) {
    rows.push_back({{name}});
    std::set<std::string> distinct;
    for (const Record& run : runs)
      if (!run.starts.empty()) {
        rows.back().push_back({run.starts.back().fact(name)});
        distinct.insert(rows.back().back().text);
      }
    if (distinct.size() > 1 && name != "date")
      for (size_t i = 1; i < rows.back().size(); ++i) rows.back()[i].accent = true;
  }
  if (runs.size() == 1) head.clear();
  return section("machine", "Machine", table(head, rows)) +
         section(
             "again", "To run it again",
             again + element("p",
                             "The same version, libraries, instruction set and number of threads give the same bits.",
                             "class=\"quiet\""));
}

}  // namespace rw::report
