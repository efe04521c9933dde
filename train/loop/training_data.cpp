#include "train/loop/training_data.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/device/choose.hpp"

namespace rw {

EngineOptions engine_options(const Settings& s) {
  const int64_t sequences = s.train.batch / s.model.context;
  return {.device = choose_device(s.train.device).device,
          .dtype = s.train.dtype,
          .sequences = sequences,
          .micro_batch =
              s.train.micro_batch > 0 ? std::min(s.train.micro_batch, sequences) : std::min<int64_t>(sequences, 8),
          .length = s.model.context,
          .documents = s.data.doc_mask,
          .draw_positions = s.train.draw_positions,
          .position_range = s.train.position_range,
          .recompute = s.train.recompute,
          .beta1 = s.optimizer.beta1,
          .beta2 = s.optimizer.beta2,
          .eps = s.optimizer.eps,
          .weight_decay = s.optimizer.weight_decay,
          .clip = s.optimizer.clip,
          .seed = static_cast<uint64_t>(s.train.seed),
          .freeze = s.optimizer.freeze,
          .graph = s.train.cuda_graph};
}

TrainingData TrainingData::open(Settings& settings, const CheckpointMeta* run) {
  const std::string& name = settings.data.data;
  if (name.empty())
    throw UserError(Exit::usage, "no training data is given",
                    "--data FOLDER, made by: ropewalk data prepare --out FOLDER ...");
  // The data of a run with a tokenizer say their vocabulary: that of another tokenizer may differ.
  const int64_t told = run && !run->tokenizer_hash.empty() ? 0 : settings.model.vocab;
  TrainingData out{.train = DataSet::open(name, Split::train, told), .val = {}, .tokenizer = {}};
  const auto shown = [](const std::string& hash) { return hash.empty() ? "no known tokenizer" : hash; };
  if (run && run->tokenizer_hash != out.train.tokenizer_hash())
    throw UserError(Exit::data, "tokenizer mismatch: " + name + " has another one than the model",
                    name + " was made with " + shown(out.train.tokenizer_hash()) + " (" +
                        std::to_string(out.train.vocab()) + " tokens), the model with " + shown(run->tokenizer_hash) +
                        " (" + std::to_string(settings.model.vocab) +
                        " tokens)\nprepare the texts again, with the tokenizer/ of the run's folder: ropewalk data "
                        "prepare --tokenizer RUN --out FOLDER ...");
  if (DataSet::has(name, Split::val)) out.val = DataSet::open(name, Split::val, settings.model.vocab);
  if (out.train.tokenizer()) out.tokenizer = make_tokenizer(*out.train.tokenizer());
  int64_t& vocab = settings.model.vocab;
  if (vocab != 0 && vocab < out.train.vocab())
    throw UserError(Exit::usage, "--vocab is " + std::to_string(vocab),
                    name + " has " + std::to_string(out.train.vocab()) + " tokens\nleave it out, or give a larger one");
  if (vocab == 0) vocab = out.train.vocab();
  return out;
}

}  // namespace rw
