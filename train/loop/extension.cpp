#include "train/loop/extension.hpp"

#include "core/base/user_error.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/loop/sweep.hpp"

namespace rw {
namespace {

constexpr int64_t kTexts = 2;

}  // namespace

std::string ExtensionProof::text() const {
  char line[200];
  const auto pair = [](const double(&loss)[2], bool beyond) {
    char out[60];
    std::snprintf(out, sizeof out, beyond ? "%.3f, %.3f" : "%.3f", loss[0], loss[1]);
    return std::string(out);
  };
  const bool beyond = length > trained;
  std::snprintf(line, sizeof line, "loss of %lld texts of %lld tokens%s: %s before, %s with the new positions",
                static_cast<long long>(texts), static_cast<long long>(length),
                beyond ? (" up to " + std::to_string(trained) + " and beyond").c_str() : "",
                pair(before, beyond).c_str(), pair(after, beyond).c_str());
  return line;
}

ExtensionProof prove_extension(Model& model, const ModelConfig& extended, const TokenData& data, int64_t length) {
  const ModelConfig old = model.config;
  const Sweep sweep(data, {.lengths = {length}, .texts = kTexts});
  ExtensionProof proof{.trained = old.context, .length = length, .texts = kTexts};
  const auto losses = [&](double(&to)[2]) {
    double count[2] = {};
    const std::vector<SweepPart> parts = sweep.run(model, SweepText::natural).by_position;
    for (const SweepPart& part : parts) {
      const auto n = static_cast<double>(part.count);
      const size_t where = part.first >= proof.trained;
      to[where] += n * part.loss, count[where] += n;
    }
    for (const size_t where : {0U, 1U})
      if (count[where] > 0) to[where] /= count[where];
    return parts;
  };
  const auto before = losses(proof.before);
  model.change_positions(extended);
  const auto after = losses(proof.after);
  model.change_positions(old);
  bool differs = false;
  for (size_t i = 0; i < before.size(); ++i)
    if (length <= proof.trained || before[i].first + before[i].count > proof.trained)
      differs |= before[i].loss != after[i].loss;
  if (!differs)
    throw UserError(
        Exit::usage, "the new positions change nothing: " + position_text(extended),
        "texts of " + std::to_string(length) + " tokens have the same losses as with " + position_text(old));
  return proof;
}

}  // namespace rw
