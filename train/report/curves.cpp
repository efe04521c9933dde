#include <algorithm>
#include <cmath>
#include <functional>

#include "train/report/chart.hpp"
#include "train/report/html.hpp"
#include "train/report/sections.hpp"
#include "train/report/verdict.hpp"

namespace rw::report {
namespace {

struct XAxis {
  const char *id, *metric, *name, *button;
  Quantity quantity;
};
constexpr XAxis kAxes[] = {{"step", "step", "step", "steps", Quantity::count},
                           {"tokens", "tokens", "tokens", "tokens", Quantity::count},
                           {"time", "seconds", "time of training", "time", Quantity::duration}};

constexpr size_t kSmoothed = 120;  // points of a noisy curve from which on a median is drawn over it,
constexpr int kMedians = 60;       // of so many parts
constexpr double kSpikes = 8;      // a curve whose 99th percentile is so many times its median is drawn on a log scale

// A chart for each x axis, of which the page shows one; twice where the scale of y can be chosen.
using MakeChart = std::function<Chart(const XAxis&)>;
std::string figure(const MakeChart& make, bool scales = false) {
  const Chart first = make(kAxes[0]);
  if (is_empty(first)) return {};
  std::string out = legend(first);
  for (const XAxis& axis : kAxes) {
    Chart chart = make(axis);
    chart.x = axis.quantity, chart.x_name = axis.name;
    const std::string by = "by-" + std::string(axis.id);
    if (is_empty(chart)) {
      out += element("p", "Not recorded by " + chart.x_name + ".", "class=\"quiet " + by + "\"");
      continue;
    }
    out += "<div class=\"" + by + (scales ? " linear" : "") + "\">\n" + to_svg(chart) + "</div>\n";
    if (!scales) continue;
    chart.log_y = true;
    out += "<div class=\"" + by + " log\">\n" +
           (is_empty(chart) ? element("p", "Nothing above zero.", "class=\"quiet\"") : to_svg(chart)) + "</div>\n";
  }
  return report::figure(first.title, first.unit, out);
}

// What is noisy: raw and faint, with the medians of its parts over it.
void add_noisy(Chart& chart, const Record& run, int index, const std::string& name, const XAxis& axis,
               const char* metric) {
  std::vector<Point> points = run.metrics.curve(axis.metric, metric);
  if (points.empty()) return;
  const double median = quantile(run.metrics.values(metric), 0.5);
  Line line{.name = name.empty() ? "median" : name,
            .value = (name.empty() ? "" : "median ") + text_of(median, chart.y),
            .run = index};
  if (points.size() >= kSmoothed) {
    line.points = medians(points, points.front().x, points.back().x, kMedians);
    chart.lines.push_back(
        {.name = name.empty() ? "each logged step" : "", .points = std::move(points), .run = index, .faint = true});
  } else {
    line.points = std::move(points);
  }
  chart.lines.push_back(std::move(line));
}

}  // namespace

std::string curves_section(std::span<const Record> runs) {
  const bool one = runs.size() == 1;
  std::vector<Outline> outlines;
  for (const Record& run : runs) outlines.push_back(outline_of(run));
  const auto name_of_run = [&](size_t i) { return one ? std::string() : runs[i].name(); };
  // One line for each run, of one metric.
  const auto plain = [&](Chart chart, const char* metric, const char* one_name,
                         const std::function<std::string(const Record&, const Outline&)>& value,
                         bool dots = false) -> MakeChart {
    return [=](const XAxis& axis) {
      Chart out = chart;
      for (size_t i = 0; i < runs.size(); ++i) {
        auto points = runs[i].metrics.curve(axis.metric, metric);
        if (points.empty()) continue;
        std::string name = name_of_run(i);
        if (one) name = one_name;
        out.lines.push_back({.name = std::move(name),
                             .value = value(runs[i], outlines[i]),
                             .points = std::move(points),
                             .run = static_cast<int>(i),
                             .dots = dots});
      }
      return out;
    };
  };
  const auto noisy = [&](Chart chart, const char* metric) -> MakeChart {
    const bool spikes = std::ranges::any_of(runs, [&](const Record& run) {
      const auto values = run.metrics.values(metric);
      return !values.empty() && quantile(values, 0.99) > kSpikes * quantile(values, 0.5) && quantile(values, 0) > 0;
    });
    if (spikes) chart.log_y = true, chart.from_zero = false;
    return [=](const XAxis& axis) {
      Chart out = chart;
      for (size_t i = 0; i < runs.size(); ++i)
        add_noisy(out, runs[i], static_cast<int>(i), name_of_run(i), axis, metric);
      return out;
    };
  };

  const MakeChart training = [&](const XAxis& axis) {
    Chart chart{.title = "Training loss", .unit = "nats per token"};
    for (size_t i = 0; i < runs.size(); ++i) {
      const Metrics& m = runs[i].metrics;
      const int index = static_cast<int>(i);
      const Outline& o = outlines[i];
      chart.lines.push_back(
          {.name = one ? "each logged step" : "", .points = m.curve(axis.metric, "loss"), .run = index, .faint = true});
      chart.lines.push_back({.name = one ? "moving average" : runs[i].name(),
                             .value = measured_text(o.loss),
                             .points = m.curve(axis.metric, "ema"),
                             .run = index});
      if (auto val = m.curve(axis.metric, "val_loss"); one && !val.empty())
        chart.lines.push_back({.name = "validation",
                               .value = measured_text(o.val_loss),
                               .points = std::move(val),
                               .run = 1,
                               .dots = true});
    }
    std::erase_if(chart.lines, [](const Line& line) { return line.points.empty(); });
    return chart;
  };
  const auto best = [](const Record&, const Outline& o) {
    return "best " + measured_text(o.best_val) + " at step " + std::to_string(o.best_step);
  };
  const auto best_bits = [](const Record&, const Outline& o) { return measured_text(o.bits_per_byte); };
  const auto peak = [](const Record&, const Outline& o) { return "at most " + text_of(o.memory, Quantity::bytes); };

  const auto highest = [](const Record& run, const Outline&) {
    return "highest " + text_of(quantile(run.metrics.values("lr"), 1), Quantity::number);
  };

  std::string charts;
  charts += figure(training, true);
  charts +=
      figure(plain({.title = "Validation loss", .unit = "nats per token"}, "val_loss", "validation", best, true), true);
  if (!one)
    charts += figure(plain({.title = "Validation, bits per byte", .unit = "comparable between tokenizers"},
                           "val_bits_per_byte", "", best_bits, true));
  charts += figure(plain({.title = "Learning rate", .from_zero = true}, "lr", "learning rate", highest));
  charts += figure(noisy({.title = "Gradient norm", .unit = "before clipping", .from_zero = true}, "grad_norm"));
  charts += figure(noisy({.title = "Throughput", .unit = "tokens per second", .y = Quantity::count, .from_zero = true},
                         "tokens_per_second"));
  charts += figure(plain({.title = "Memory", .unit = "resident", .y = Quantity::bytes, .from_zero = true}, "memory",
                         "resident", peak));
  if (charts.empty())
    return section("curves", "Curves", element("p", "Nothing has been logged yet.", "class=\"quiet\""));

  std::string picks, labels = "<div class=\"picks\"><div>" + element("span", "by");
  const auto pick = [&](const std::string& group, const std::string& id, const std::string& name, bool checked) {
    picks += "<input class=\"pick\" type=\"radio\" name=\"" + group + "\" id=\"" + group + "-" + id + "\"" +
             (checked ? " checked=\"checked\"" : "") + "/>\n";
    labels += element("label", name, "for=\"" + group + "-" + id + "\"");
  };
  for (const XAxis& axis : kAxes) pick("x", axis.id, axis.button, &axis == kAxes);
  labels += "</div><div>" + element("span", "loss");
  pick("y", "linear", "linear", true);
  pick("y", "log", "logarithmic", false);
  return section("curves", "Curves", picks + labels + "</div></div>\n<div class=\"charts\">\n" + charts + "</div>\n");
}

std::string positions_section(std::span<const Record> runs) {
  Chart chart{.title = "Validation loss",
              .unit = "nats per token",
              .x_name = "tokens before the target, at least",
              .x = Quantity::count,
              .log_x = true};
  const auto add = [&](const std::vector<Metrics::Bucket>& buckets, bool first, std::string name, int run) {
    Line line{.name = std::move(name), .run = run, .dots = true};
    for (size_t i = 0; i < buckets.size(); ++i) {
      const Point& p = first ? buckets[i].loss.front() : buckets[i].loss.back();
      line.points.push_back({static_cast<double>(buckets[i].first + 1), p.y});
    }
    chart.lines.push_back(std::move(line));
  };
  int64_t longest = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto buckets = runs[i].metrics.loss_by_position();
    if (buckets.empty()) continue;
    longest = std::max(longest, buckets.back().first + 1);
    const auto at = [](const Point& p) { return "step " + std::to_string(std::llround(p.x)); };
    const Point &first = buckets[0].loss.front(), &last = buckets[0].loss.back();
    if (runs.size() > 1) {
      add(buckets, false, runs[i].name() + ", " + at(last), static_cast<int>(i));
    } else {
      if (first.x < last.x) add(buckets, true, "first evaluation, " + at(first), 1);
      add(buckets, false, "last evaluation, " + at(last), 0);
    }
  }
  if (is_empty(chart)) return {};
  for (int64_t begin = 1, every = longest > 4096 ? 4 : 2; begin <= longest; begin *= every)
    chart.x_ticks.push_back(
        {static_cast<double>(begin), begin < 1024 ? std::to_string(begin) : std::to_string(begin / 1024) + "k"});
  return charts_section("positions", "Loss by position", figure(chart),
                        "Each mark is the mean over all targets that saw at least so many tokens of their window, "
                        "and fewer than twice as many.");
}

}  // namespace rw::report
