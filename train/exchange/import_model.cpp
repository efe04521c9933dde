#include <algorithm>

#include "core/base/user_error.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/verify.hpp"
#include "train/loop/machine.hpp"

namespace rw {

namespace {

// Null if there is none.
std::unique_ptr<Tokenizer> tokenizer_of(const ForeignModel& model) {
  if (!model.tokenizer) return nullptr;
  auto tokenizer = make_tokenizer(*model.tokenizer);
  if (tokenizer->vocab() > model.config.vocab)
    throw UserError(Exit::data, model.source + ": tokenizer and embedding disagree",
                    "the tokenizer has " + std::to_string(tokenizer->vocab()) + " tokens, the embedding " +
                        std::to_string(model.config.vocab) + " rows");
  return tokenizer;
}

}  // namespace

LoadedModel instantiate(const ForeignModel& from) {
  const std::vector<MappedTensor> map = tensor_map(from.config, from.naming);
  check_tensors(from.source, from.tensors, map);
  std::unique_ptr<Tokenizer> tokenizer = tokenizer_of(from);
  Model model(from.config);
  const int64_t elements = lay_out_parameters(model).elements;
  check_memory(static_cast<size_t>(elements) * sizeof(float), "the model's weights are as large as that");
  Buffer value({}, {elements}, DType::f32);
  bind_parameters(model, value, {});
  model.prepare_positions({}, DType::f32, std::min(from.config.context, kVerifiedTokens));
  take_values(from.tensors, map, parts_by_name(model));

  std::map<std::string, DType, std::less<>> stored;
  for (const MappedTensor& tensor : map) {
    const auto theirs = std::ranges::find(from.tensors, tensor.name, &ForeignTensor::name);
    for (const std::string& part : tensor.parts)
      stored[part] = theirs->type == ValueType::bf16 ? DType::bf16 : DType::f32;
  }
  CheckpointMeta meta;
  meta.model = model_to_json(from.config);
  meta.rope_fingerprint = position_fingerprint(from.config);
  meta.ends = from.ends;
  meta.version = RW_VERSION;
  if (tokenizer) meta.tokenizer_hash = tokenizer->hash();
  return {.folder = from.source,
          .meta = std::move(meta),
          .stored = std::move(stored),
          .value = std::move(value),
          .model = std::move(model),
          .tokenizer = std::move(tokenizer),
          .skipped = {}};
}

SavedCheckpoint import_model(const ForeignModel& from, const std::filesystem::path& out, const std::string& command) {
  LoadedModel loaded = instantiate(from);
  loaded.meta.command = command;

  std::vector<Buffer> buffers;
  std::vector<StateTensor> state;
  loaded.model.each([&](const Param& param) { add_state(state, param); });
  for (StateTensor& tensor : state)
    if (loaded.stored.at(tensor.name) == DType::bf16) tensor.value = buffers.emplace_back(narrowed(tensor.value));
  return save_weights(out, loaded.meta, state, from.tokenizer);
}

}  // namespace rw
