// What --with adds to a report: growing lengths, and keys hidden in them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "train/config/units.hpp"
#include "train/report/chart.hpp"
#include "train/report/html.hpp"
#include "train/report/sections.hpp"

namespace rw::report {
namespace {

constexpr size_t kMostTicks = 8;
constexpr int kShades = 6;  // of a map: h0 ... h5

std::string length_text(double length) { return integer_text(std::llround(length), Unit::length); }

std::string percent(double share) { return text_of(100 * share, Quantity::number) + "%"; }

// With its file, where several files have rows of the kind.
template <class Row>
std::string name_of(std::span<const SweepFile> files, std::vector<Row> SweepFile::*rows, const SweepFile& file,
                    const Row& row) {
  const auto filled = std::ranges::count_if(files, [&](const SweepFile& f) { return !(f.*rows).empty(); });
  return filled > 1 ? file.name + ": " + row.system : row.system;
}

std::string nats(double loss) {
  char text[48];
  std::snprintf(text, sizeof text, "%.2f", loss);
  return std::isfinite(loss) ? text : "?";
}

using PointsOf = std::vector<Point> (*)(const SweepRow&);
using TextOf = std::string (*)(double);

std::vector<Point> percents_of(const SweepRow& row) {
  std::vector<Point> points = row.accuracy;
  for (Point& p : points) p.y *= 100;
  return points;
}

// A line for each system that was tried on texts of this kind; with `value`, its last point is named in the legend.
Chart with_lines(Chart chart, std::span<const SweepFile> files, const std::string& text, PointsOf points_of,
                 TextOf value = nullptr) {
  int run = 0;
  for (const SweepFile& file : files)
    for (const SweepRow& row : file.sweeps) {
      if (row.text != text) continue;
      Line line{
          .name = name_of(files, &SweepFile::sweeps, file, row), .points = points_of(row), .run = run++, .dots = true};
      const Point& last = line.points.back();
      if (value) line.value = value(last.y) + " at " + length_text(last.x);
      chart.lines.push_back(std::move(line));
    }
  return chart;
}

Chart by_length(Chart chart, std::span<const SweepFile> files, const std::string& text, PointsOf points_of,
                TextOf value) {
  chart.x_name = "tokens of the text", chart.x = Quantity::count, chart.log_x = true;
  chart = with_lines(std::move(chart), files, text, points_of, value);
  std::set<double> lengths;
  for (const Line& line : chart.lines)
    for (const Point& p : line.points) lengths.insert(p.x);
  const size_t apart = (lengths.size() + kMostTicks - 1) / kMostTicks;
  size_t i = 0;
  for (const double length : lengths)
    if (i++ % apart == 0) chart.x_ticks.push_back({length, length_text(length)});
  return chart;
}

// Which positions a system is, once for each.
std::string systems_table(std::span<const SweepFile> files) {
  std::vector<std::vector<Cell>> rows;
  std::set<std::pair<std::string, std::string>> seen;
  const auto add = [&](const auto& row, std::string name) {
    if (seen.emplace(name, row.fingerprint).second)
      rows.push_back({{std::move(name)}, {row.positions}, {row.fingerprint}});
  };
  for (const SweepFile& file : files) {
    for (const SweepRow& row : file.sweeps) add(row, name_of(files, &SweepFile::sweeps, file, row));
    for (const PasskeyRow& row : file.passkeys) add(row, name_of(files, &SweepFile::passkeys, file, row));
  }
  return table({"system", "positions", "fingerprint"}, rows);
}

// Depths down, lengths across. shade: 0 ... 1, or NaN.
template <class Text, class Shade>
std::string heat_map(const PasskeyRow& row, const std::vector<std::vector<double>>& cells, Text&& text, Shade&& shade) {
  std::string out = "<div class=\"scroll\"><table class=\"heat\"><thead><tr>" + element("th", "depth", "scope=\"col\"");
  for (const double length : row.lengths) out += element("th", length_text(length), "scope=\"col\"");
  out += "</tr></thead><tbody>";
  for (size_t d = 0; d < row.depths.size(); ++d) {
    out += "<tr>" + element("th", percent(row.depths[d]), "scope=\"row\"");
    for (const double cell : cells[d]) {
      const double level = std::round(shade(cell) * (kShades - 1));
      const int clamped = std::isnan(level) ? 0 : static_cast<int>(std::clamp(level, 0.0, kShades - 1.0));
      out += element("td", text(cell), "class=\"h" + std::to_string(clamped) + "\"");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string sweeps_section(std::span<const SweepFile> files) {
  std::string charts, positions;
  double longest = 0;
  for (const SweepFile& file : files)
    for (const SweepRow& row : file.sweeps) longest = std::max(longest, row.longest);
  Chart parts{.unit = "nats per token", .x_name = "position in texts of " + length_text(longest) + " tokens"};
  for (int quarter = 0; quarter <= 4; ++quarter)
    parts.x_ticks.push_back({longest * quarter / 4, length_text(longest * quarter / 4)});
  for (const std::string text : {"natural", "repeated"}) {
    const std::string of = ", " + text + " text";
    charts += figure(by_length(
        {.title = "Loss by length" + of, .unit = "nats per token"}, files, text,
        [](const SweepRow& row) { return row.loss; }, measured_text));
    charts += figure(by_length({.title = "Accuracy by length" + of, .unit = "% of tokens foretold", .from_zero = true},
                               files, text, percents_of, [](double y) { return percent(y / 100); }));
    parts.title = "Loss by position" + of;
    positions += figure(with_lines(parts, files, text, [](const SweepRow& row) { return row.part_loss; }));
  }
  return charts_section("lengths", "Growing lengths", charts + positions,
                        "Each length scores the same last tokens, seen with more and more before them. Repeated "
                        "text is a segment again and again: its later copies can be read off the first.",
                        systems_table(files));
}

std::string passkeys_section(std::span<const SweepFile> files) {
  double most = 0;  // nats
  bool listed = false;
  for (const SweepFile& file : files) {
    listed |= !file.sweeps.empty();
    for (const PasskeyRow& row : file.passkeys)
      for (const auto& line : row.loss)
        for (const double loss : line) most = loss > most ? loss : most;
  }
  std::string maps;
  for (const SweepFile& file : files)
    for (const PasskeyRow& row : file.passkeys) {
      const std::string name = name_of(files, &SweepFile::passkeys, file, row);
      maps +=
          figure(name, "% of " + std::to_string(row.trials) + (row.form == "ids" ? " keys of ids" : " keys") + " found",
                 heat_map(row, row.accuracy, percent, [](double share) { return share; }));
      maps += figure(name, "nats per token of the key",
                     heat_map(row, row.loss, nats, [&](double loss) { return 1 - loss / most; }));
    }
  return charts_section("passkeys", "Passkeys", maps,
                        "A key lies in a natural text, at a depth that is a share of it, and is asked for at the "
                        "end. The stronger the colour of a cell, the better.",
                        listed ? "" : systems_table(files));
}

}  // namespace rw::report
