// The options by which a trained model is used with other positions than it was trained with.
#pragma once
#include "train/cli/command.hpp"
#include "train/config/layers.hpp"

namespace rw::cli {

class PositionOptions {
 public:
  void add(CLI::App& app);
  // Throws the first problem.
  const std::vector<Assignment>& changes() const;

 private:
  ConfigLayer layer_;
};

}  // namespace rw::cli
