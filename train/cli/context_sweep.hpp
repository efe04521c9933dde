// ropewalk eval --context-sweep: one model, growing lengths, any number of position systems.
#pragma once
#include "data/sampler/data_set.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/cli/command.hpp"

namespace rw::cli {

struct ContextSweep {
  static constexpr int64_t kTexts = 8;

  std::string lengths, text = "both";
  std::vector<std::string> systems;
  int64_t score_last = 0, texts = kTexts, segment = 0;

  void add_options(CLI::App& app);
  bool wanted() const { return !lengths.empty(); }
  bool given() const { return !systems.empty() || score_last != 0 || texts != kTexts || segment != 0; }
  Exit run(const Global& global, LoadedModel& loaded, const TokenData& data) const;
};

}  // namespace rw::cli
