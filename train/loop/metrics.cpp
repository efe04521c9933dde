#include "train/loop/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/check.hpp"
#include "core/file/atomic.hpp"
#include "core/file/json.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kLargestMetrics = uint64_t{1} << 30;  // bytes of a file that a run still goes on with
constexpr uint64_t kBlock = uint64_t{1} << 20;           // bytes read at once

// Calls f(step, object, line with its end) for each line that is whole.
template <class F>
void for_lines(std::string_view text, F&& f) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return;
    const std::string_view line = text.substr(begin, end + 1 - begin);
    const OrderedJson json = OrderedJson::parse(line, nullptr, false);
    begin = end + 1;
    if (!json.is_object()) continue;
    const auto step = json.find("step");
    if (step == json.end()) continue;
    if (const auto number = integer_of(*step)) f(*number, json, line);
  }
}

// Leaves the lines up to `step`, each step once; returns the last step, -1 if there is none.
int64_t shorten(const fs::path& file, int64_t step) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) File::create(file);
  const std::string before = read_text(file, kLargestMetrics);
  std::string after;
  int64_t last = -1;
  for_lines(before, [&](int64_t s, const OrderedJson&, std::string_view line) {
    if (s <= last || s > step) return;
    last = s;
    after += line;
  });
  if (after != before) write_text(file, after);
  return last;
}

OrderedJson to_json(double value) {
  if (!std::isfinite(value)) return {};
  if (std::abs(value) <= 0x1p53 && value == std::floor(value)) return static_cast<int64_t>(value);
  return value;
}

}  // namespace

MetricsFile::MetricsFile(const fs::path& file, int64_t step)
    : last_step_(shorten(file, step)), file_(File::modify(file)), size_(file_.size()) {}

void MetricsFile::append(int64_t step, std::span<const Metric> metrics) {
  RW_CHECK(step > last_step_, step, last_step_);
  OrderedJson json = {{"step", step}};
  for (const Metric& metric : metrics) json[metric.name] = to_json(metric.value);
  const std::string line = json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + '\n';
  file_.write(size_, std::as_bytes(std::span(line)));
  size_ += line.size();
  last_step_ = step;
}

std::optional<double> MetricsRow::find(std::string_view name) const {
  const auto metric = std::ranges::find(metrics, name, &Metric::name);
  if (metric == metrics.end()) return {};
  return metric->value;
}

void for_metrics(const fs::path& file, const std::function<void(const MetricsRow&)>& f) {
  const File source = File::open(file);
  const uint64_t size = source.size();
  std::string text;
  for (uint64_t at = 0; at < size;) {
    const size_t rest = text.size(), count = static_cast<size_t>(std::min<uint64_t>(kBlock, size - at));
    text.resize(rest + count);
    source.read(at, std::as_writable_bytes(std::span(text).subspan(rest)));
    at += count;
    const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
    for_lines(std::string_view(text).substr(0, whole), [&](int64_t step, const OrderedJson& json, std::string_view) {
      MetricsRow row{step, {}};
      for (const auto& [name, value] : json.items()) {
        if (name == "step") continue;
        if (value.is_number()) row.metrics.push_back({name, value.template get<double>()});
        if (value.is_null()) row.metrics.push_back({name, std::numeric_limits<double>::quiet_NaN()});
      }
      f(row);
    });
    text.erase(0, whole);
  }
}

std::vector<MetricsRow> read_metrics(const fs::path& file) {
  std::vector<MetricsRow> rows;
  for_metrics(file, [&](const MetricsRow& row) { rows.push_back(row); });
  return rows;
}

}  // namespace rw
