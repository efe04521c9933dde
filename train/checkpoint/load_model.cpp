#include "train/checkpoint/load_model.hpp"

#include <algorithm>

#include "layers/parameters.hpp"
#include "train/checkpoint/model_json.hpp"

namespace rw {

LoadedModel load_model(const std::filesystem::path& path, int64_t positions) {
  std::vector<std::string> skipped;
  const Checkpoint checkpoint = Checkpoint::open(path, &skipped);
  Model model(model_from_json(checkpoint.meta().model));
  const bool f64 = std::ranges::any_of(checkpoint.tensors(), [](const auto& t) { return t.value.dtype == DType::f64; });
  const DType dtype = f64 ? DType::f64 : DType::f32;
  Buffer value({}, {lay_out_parameters(model).elements}, dtype);
  bind_parameters(model, value, {});
  model.prepare_positions({}, dtype, std::max(positions, model.config.context));
  std::vector<StateTensor> tensors;
  model.each([&](const Param& p) { add_state(tensors, p); });
  checkpoint.load(tensors);
  std::map<std::string, DType, std::less<>> stored;
  for (const Checkpoint::Tensor& t : checkpoint.tensors()) stored.emplace(t.name, t.value.dtype);
  std::unique_ptr<Tokenizer> tokenizer;
  for (TokenizerFile& file : checkpoint.tokenizer()) tokenizer = make_tokenizer(std::move(file));
  return {.folder = checkpoint.folder(),
          .meta = checkpoint.meta(),
          .stored = std::move(stored),
          .value = std::move(value),
          .model = std::move(model),
          .tokenizer = std::move(tokenizer),
          .skipped = std::move(skipped)};
}

}  // namespace rw
