#include <algorithm>
#include <cmath>
#include <numbers>

#include "layers/rotary/words.hpp"
#include "train/config/units.hpp"
#include "train/report/chart.hpp"
#include "train/report/html.hpp"
#include "train/report/sections.hpp"

namespace rw::report {
namespace {

constexpr int64_t kWidest = 1 << 16;         // of a head
constexpr int kTrained = 10, kContext = 16;  // looks of lines: the text's colour, with two kinds of dashes

// 2π / θ[c], in tokens, by c.
std::vector<Point> wavelengths(const RopeConfig& rope, const ModelConfig& m) {
  std::vector<Point> out;
  for (const double theta : rope_frequencies(rope, m.head_width, m.trained(), m.context).theta)
    out.push_back({static_cast<double>(out.size()), 2 * std::numbers::pi / theta});
  return out;
}

bool can_be_drawn(const ModelConfig& m) {
  return m.rotary() && m.head_width <= kWidest && m.context >= 1 &&
         rope_problem(m.rope, m.head_width, m.trained()).empty();
}

Chart chart_of(const ModelConfig& m) {
  Chart chart{.title = "Rotary wavelengths",
              .unit = "tokens",
              .x_name = "pair of a head's coordinates",
              .x = Quantity::count,
              .y = Quantity::count,
              .log_y = true};
  const auto add = [&](const std::string& name, const RopeConfig& rope, int run) {
    chart.lines.push_back({.name = name, .points = wavelengths(rope, m), .run = run, .dots = true});
  };
  RopeConfig plain{.base = m.rope.base, .share = m.rope.share};
  if (m.rope.rule == RopeRule::proportional) plain.share = 1;  // which turns its pairs as those of a whole head
  if (m.rope.rule != RopeRule::plain) {
    std::string name(rope_rule_name(m.rope.rule));
    if (m.rope.factor != 1) name += words(" × ", m.rope.factor);
    add(name, m.rope, 0);
    add(words("plain, base ", m.rope.base), plain, 1);
  } else {
    add(words("plain, base ", m.rope.base), plain, 0);
  }
  const double right = std::max<double>(1, static_cast<double>(chart.lines[0].points.size()) - 1);
  const auto level = [&](const std::string& name, int64_t length, int look) {
    const auto y = static_cast<double>(length);
    chart.lines.push_back(
        {.name = name, .value = integer_text(length, Unit::length), .points = {{0, y}, {right, y}}, .run = look});
  };
  if (m.trained() != m.context) level("trained context", m.trained(), kTrained);
  level(m.trained() != m.context ? "context" : "context, and trained at", m.context, kContext);
  return chart;
}

}  // namespace

std::string wavelengths_section(std::span<const Record> runs) {
  struct Drawn {
    ModelConfig model;
    std::string runs;
  };
  std::vector<Drawn> drawn;  // runs of the same wavelengths have one chart
  for (const Record& run : runs) {
    if (!run.settings || !can_be_drawn(run.settings->settings.model)) continue;
    const ModelConfig& m = run.settings->settings.model;
    const auto same = std::ranges::find_if(drawn, [&](const Drawn& d) {
      return d.model.rope == m.rope && d.model.head_width == m.head_width && d.model.context == m.context &&
             d.model.trained() == m.trained();
    });
    if (same == drawn.end())
      drawn.push_back({m, run.name()});
    else
      same->runs += ", " + run.name();
  }
  std::string charts;
  for (const Drawn& d : drawn) {
    Chart chart = chart_of(d.model);
    if (runs.size() > 1) chart.unit += ", " + d.runs;
    charts += figure(chart);
  }
  return charts_section("wavelengths", "Rotary positions", charts,
                        "How many tokens a pair takes for one turn. What lies above the trained context has not "
                        "turned once in training: longer texts bring angles that it has not seen.");
}

}  // namespace rw::report
