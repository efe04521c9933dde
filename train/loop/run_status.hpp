// RUN/status.json: how far a run is, and how its last process ended.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace rw {

struct RunStatus {
  // A process that is killed leaves `running`.
  enum class State { running, finished, interrupted, failed } state = State::running;
  int64_t step = 0, total_steps = 0;
  int64_t tokens = 0;       // seen in training
  double seconds = 0;       // of training, without evaluations and saving
  std::string why;          // interrupted: by what; failed: the error
  std::string parent = {};  // the checkpoint that the run began from: "FOLDER, step 120, ..."
  bool operator==(const RunStatus&) const = default;
};

std::string_view name_of(RunStatus::State state);

void write_status(const std::filesystem::path& run, const RunStatus& status);  // UserError(Exit::write)
std::optional<RunStatus> read_status(const std::filesystem::path& run);        // nothing if there is none to be read

}  // namespace rw
