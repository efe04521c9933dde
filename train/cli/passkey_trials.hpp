// ropewalk eval --passkey: keys hidden in texts of growing length, at several depths.
#pragma once
#include "data/token_data.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/cli/command.hpp"
#include "train/cli/position_systems.hpp"

namespace rw::cli {

struct PasskeyTrials {
  static constexpr int64_t kTrials = 10, kSeed = 1;

  std::string form, depths;  // form: auto, text or ids; empty: not wanted
  int64_t trials = kTrials, seed = kSeed;

  void add_options(CLI::App& app);
  bool wanted() const { return !form.empty(); }
  bool given() const { return wanted() || !depths.empty() || trials != kTrials || seed != kSeed; }
  Exit run(const Global& global, LoadedModel& loaded, const TokenData& data, std::vector<int64_t> lengths,
           const std::vector<PositionSystem>& systems) const;
};

}  // namespace rw::cli
