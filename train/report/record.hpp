// What a run folder says about its run.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/config/layers.hpp"
#include "train/loop/metrics.hpp"
#include "train/loop/run_status.hpp"
#include "train/report/curve.hpp"

namespace rw::report {

// The rows of metrics.jsonl by columns. What most rows lack takes no room.
class Metrics {
 public:
  // Rows of the same and of later steps are forgotten: the run went on from before them.
  void add(const MetricsRow& row);

  size_t rows() const { return step_.size(); }
  int64_t last_step() const { return step_.empty() ? 0 : step_.back(); }

  // The values of y above those of x ("step", or another name), where a row has both and both are finite.
  std::vector<Point> curve(std::string_view x, std::string_view y) const;
  std::vector<double> values(std::string_view name) const;  // the finite ones

  struct Bucket {
    int64_t first = 0;        // position in the window
    std::vector<Point> loss;  // by step
  };
  std::vector<Bucket> loss_by_position() const;  // ascending; empty if it was not recorded

 private:
  struct Column {
    std::vector<uint32_t> row;
    std::vector<double> value;
  };
  std::vector<int64_t> step_;
  std::map<std::string, Column, std::less<>> columns_;
};

struct SampleText {
  int64_t step = 0;
  std::string date, about, text;
};

// A paragraph of command.txt: one process that trained here.
struct Start {
  std::string command;
  std::vector<std::pair<std::string, std::string>> facts;  // "version", "0.1.0"
  std::vector<std::string> environment;                    // NAME=value, as for a shell
  std::string fact(std::string_view name) const;           // empty if there is none
};

struct Record {
  std::filesystem::path folder;
  std::optional<RunStatus> status;
  bool in_use = false;  // a process trains there
  Metrics metrics;
  std::vector<SampleText> samples;
  std::optional<Resolved> settings;         // nothing if there is no run.toml
  std::optional<Resolved> parent_settings;  // of the run that this one began from, if that is still where it was
  std::vector<std::string> problems;        // of what could not be read
  std::vector<Start> starts;

  std::string name() const { return folder.string(); }
};

// Throws UserError(Exit::data) if the folder is not there or holds no run. What is missing in it, or torn, is left out.
Record read_record(const std::filesystem::path& folder);

std::vector<SampleText> parse_samples(std::string_view markdown);  // of samples.md
std::vector<Start> parse_starts(std::string_view text);            // of command.txt

}  // namespace rw::report
