#include "train/checkpoint/load_model.hpp"

#include "layers/parameters.hpp"
#include "train/checkpoint/model_json.hpp"

namespace rw {

LoadedModel load_model(const std::filesystem::path& path, int64_t positions) {
  std::vector<std::string> skipped;
  const Checkpoint checkpoint = Checkpoint::open(path, &skipped);
  Model model(model_from_json(checkpoint.meta().model));
  const DType dtype = checkpoint.tensors().empty() ? DType::f32 : checkpoint.tensors()[0].value.dtype;
  Buffer value({}, {lay_out_parameters(model).elements}, dtype);
  bind_parameters(model, value, {});
  model.prepare_positions({}, dtype, std::max(positions, model.config.context));
  std::vector<StateTensor> tensors;
  model.each([&](const Param& p) { add_state(tensors, p); });
  checkpoint.load(tensors);
  std::unique_ptr<Tokenizer> tokenizer;
  for (TokenizerFile& file : checkpoint.tokenizer()) tokenizer = make_tokenizer(std::move(file));
  return {checkpoint.folder(), checkpoint.meta(),    std::move(value),
          std::move(model),    std::move(tokenizer), std::move(skipped)};
}

}  // namespace rw
