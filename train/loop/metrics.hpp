// metrics.jsonl: a JSON object a line, one for each logged step, in ascending order of steps.
//   {"step":100,"tokens":1638400,"loss":4.117,"val_loss":4.31,...}
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file/file.hpp"

namespace rw {

struct Metric {
  std::string name;
  double value;  // whole numbers up to 2^53 are written without a fraction; others so that they are read back exactly
};

class MetricsFile {
 public:
  // Goes on after `step`: lines of later steps, and lines that are torn, are removed. A new file for a new run (0).
  // Throws UserError(Exit::write).
  MetricsFile(const std::filesystem::path& file, int64_t step);

  // Appends a line; it is with the operating system on return. `step` is later than that of every earlier line. A value
  // that is not finite is written as null. Throws UserError(Exit::write).
  void append(int64_t step, std::span<const Metric> metrics);

 private:
  int64_t last_step_;
  File file_;
  uint64_t size_;
};

struct MetricsRow {
  int64_t step = 0;
  std::vector<Metric> metrics;  // null is NaN
  std::optional<double> find(std::string_view name) const;
};

// Calls f for each well-formed line, in the file's order; the file is never whole in memory. UserError(Exit::data) if
// it cannot be read.
void for_metrics(const std::filesystem::path& file, const std::function<void(const MetricsRow&)>& f);
std::vector<MetricsRow> read_metrics(const std::filesystem::path& file);  // all of them

}  // namespace rw
