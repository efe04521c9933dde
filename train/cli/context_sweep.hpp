// ropewalk eval --context-sweep: one model, growing lengths, any number of position systems.
#pragma once
#include "data/sampler/data_set.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/cli/command.hpp"
#include "train/cli/passkey_trials.hpp"

namespace rw::cli {

struct ContextSweep {
  static constexpr int64_t kTexts = 8;

  std::string lengths, text = "both";
  std::vector<std::string> systems;
  int64_t score_last = 0, texts = kTexts, segment = 0;
  PasskeyTrials passkey;

  void add_options(CLI::App& app);
  bool wanted() const { return !lengths.empty(); }
  bool of_texts() const { return text != "both" || score_last != 0 || texts != kTexts || segment != 0; }
  bool given() const { return !systems.empty() || of_texts() || passkey.given(); }
  Exit run(const Global& global, LoadedModel& loaded, const TokenData& data) const;
};

}  // namespace rw::cli
