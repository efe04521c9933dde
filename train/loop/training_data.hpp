// What settings mean for a training: the engine's options and the data.
#pragma once
#include <memory>
#include <optional>

#include "data/sampler/data_set.hpp"
#include "train/loop/engine.hpp"
#include "train/settings.hpp"

namespace rw {

// What the settings mean for an engine; micro_batch 0 is resolved, data and device are checked.
EngineOptions engine_options(const Settings&);

// The data that settings name, and what they say of the model.
struct TrainingData {
  DataSet train;
  std::optional<DataSet> val;
  std::unique_ptr<Tokenizer> tokenizer;  // null if the data have none (token shards)

  // Also sets settings.model.vocab, where that is 0. Throws UserError: as DataSet::open does; Exit::usage for a
  // vocabulary that is too small; Exit::data if `run` had another tokenizer.
  static TrainingData open(Settings& settings, const CheckpointMeta* run = nullptr);
};

}  // namespace rw
