#include "train/loop/text_scorer.hpp"

#include <algorithm>
#include <functional>

#include "train/loop/machine.hpp"

namespace rw {

TextScorer::TextScorer(Model& model, int64_t longest, Phase phase)
    : model_(model),
      dtype_(model.embedding.value.dtype),
      phase_(phase),
      token_({}, {1, longest}, DType::i32),
      target_({}, {1, longest}, DType::i32),
      position_({}, {1, longest}, DType::i32),
      nll_({}, {longest}, DType::f64),
      correct_({}, {longest}, DType::i32) {
  count_positions(position_, {});
  model_.prepare_positions({}, dtype_, longest);
  const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) { score(ctx, longest, longest); }};
  const ArenaSizes sizes = measure({}, work);
  check_memory(sizes.saved + sizes.scratch, "try shorter texts");
  workspace_ = std::make_unique<Workspace>(Device{}, sizes);
}

void TextScorer::score(Ctx& ctx, int64_t length, int64_t count) {
  const auto part = [&](const Buffer& b) { return columns(b.view(), 0, length); };
  const auto of_last = [&](const Buffer& b) { return columns(b.view(), 0, count); };
  model_.score(ctx, of_last(nll_), of_last(correct_), {part(token_), part(target_), part(position_), {}}, phase_);
}

void TextScorer::score(std::span<const int32_t> text, int64_t length, int64_t count) {
  const auto ids = text.last(static_cast<size_t>(length) + 1);
  std::ranges::copy(ids.first(static_cast<size_t>(length)), token_.view().as<int32_t>().data);
  std::ranges::copy(ids.subspan(1), target_.view().as<int32_t>().data);
  model_.prepare_positions({}, dtype_, length);
  score(workspace_->ctx, length, count);
  count_ = static_cast<size_t>(count);
}

}  // namespace rw
