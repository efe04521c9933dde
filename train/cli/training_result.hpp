// What the commands that train print at their end.
#pragma once
#include "train/cli/command.hpp"
#include "train/loop/trainer.hpp"

namespace rw::cli {

// Prints the result and what to type next; how the process ends. `run`: the run's folder.
Exit print_result(const TrainingResult& result, const std::string& run, const Global& global);

}  // namespace rw::cli
