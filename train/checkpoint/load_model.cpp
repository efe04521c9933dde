#include "train/checkpoint/load_model.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/device/copy.hpp"
#include "layers/parameters.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/config/positions.hpp"
#include "train/loop/workspace.hpp"

namespace rw {

LoadedModel load_model(const std::filesystem::path& path, int64_t length, std::span<const Assignment> changes) {
  std::vector<std::string> skipped;
  const Checkpoint checkpoint = Checkpoint::open(path, &skipped);
  const ModelConfig saved = model_from_json(checkpoint.meta().model);
  if (const std::string& stored = checkpoint.meta().rope_fingerprint; !stored.empty())
    if (const std::string now = position_fingerprint(saved); now != stored)
      throw UserError(Exit::data, "the positions of " + checkpoint.folder().string() + " are not what they were",
                      "their fingerprint is " + now + ", and " + stored + " was saved: " + position_text(saved) +
                          "\nanother version of this program wrote it: use that one");
  Model model(with_positions(saved, changes, length > 0 ? length : saved.context));
  const bool f64 = std::ranges::any_of(checkpoint.tensors(), [](const auto& t) { return t.value.dtype == DType::f64; });
  const DType dtype = f64 ? DType::f64 : DType::f32;
  Buffer value({}, {lay_out_parameters(model).elements}, dtype);
  bind_parameters(model, value, {});
  model.prepare_positions({}, dtype, length > 0 ? length : model.config.context);
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

void LoadedModel::move_to(Device device, DType dtype, int64_t length) {
  const View own = value;
  const bool rounds = dtype == DType::bf16;
  if (device.kind == Device::cpu) {
    RW_CHECK(!rounds);
    return;
  }
  if (own.dtype != DType::f32)
    throw UserError(Exit::usage,
                    folder.string() + " is of " + name_of(own.dtype) + ", and CUDA kernels compute in f32 and bf16",
                    "--device cpu");
  Buffer rounded, moved(device, own.shape, dtype);
  if (rounds) {
    rounded = Buffer({}, own.shape, dtype);
    const float* const from = own.as<float>().data;
    std::transform(from, from + own.shape.elements(), rounded.view().as<bf16>().data, [](float x) { return bf16(x); });
  }
  const Workspace workspace(device, {});
  copy(workspace.ctx, moved, rounds ? rounded : value);
  synchronize(workspace.ctx);
  value = std::move(moved);
  bind_parameters(model, value, {});
  model.prepare_positions(device, dtype, length);
}

}  // namespace rw
