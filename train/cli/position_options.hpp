// The options by which a trained model is used with other positions than it was trained with.
#pragma once
#include <cstdint>

#include "train/cli/command.hpp"
#include "train/config/layers.hpp"

namespace rw::cli {

inline constexpr int64_t kMostContext = 1 << 24;  // tokens

class PositionOptions {
 public:
  void add(CLI::App& app);
  // Throws the first problem.
  const std::vector<Assignment>& changes() const;

 private:
  ConfigLayer layer_;
};

}  // namespace rw::cli
