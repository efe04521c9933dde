#include "train/config/presets.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/user_error.hpp"
#include "train/config/suggest.hpp"

namespace rw {
namespace {

// hidden     8/3 of the width (SwiGLU with the parameters of a plain MLP of 4 widths: Shazeer 2020, arXiv 2002.05202),
//            to the nearest multiple of 64
// rope_base  rope_base_bound(context, head_width), rounded up to tens: Men et al. 2024, arXiv 2405.14591
// tokens     20 for each parameter: Hoffmann et al. 2022, arXiv 2203.15556
// batch      0.292 · c^0.3271 tokens, and
// lr         0.3118 · c^-0.125, with c = 6 · parameters · tokens: DeepSeek-AI 2024, arXiv 2401.02954, equation 1,
// fitted
//            for c from 1e17 to 2e19 (50m to 350m; below, an extrapolation). Both rounded down, batch to a power of
//            two.
constexpr Preset kPresets[] = {
    {"1m", 4, 128, 4, 2, 32, 320, 256, 2170, 8192, 5e-3, 20'000'000, 2048},
    {"5m", 6, 256, 4, 2, 64, 704, 512, 3440, 32768, 3.5e-3, 100'000'000, 4096},
    {"15m", 8, 384, 6, 2, 64, 1024, 512, 3440, 65536, 2.5e-3, 300'000'000, 8192},
    {"50m", 12, 576, 9, 3, 64, 1536, 1024, 7760, 131072, 2e-3, 1'000'000'000, 16384},
    {"125m", 16, 768, 12, 4, 64, 2048, 1024, 7760, 262144, 1.6e-3, 2'500'000'000, 32768},
    {"350m", 28, 1024, 16, 4, 64, 2752, 2048, 29620, 524288, 1.2e-3, 7'000'000'000, 32768},
};

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Preset& find_preset(std::string_view name) {
  std::vector<std::string_view> names;
  std::string all;
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return preset;
    names.push_back(preset.name);
    all += (all.empty() ? "" : ", ") + std::string(preset.name);
  }
  std::string advice = did_you_mean(name, names);
  throw UserError(Exit::usage, "there is no preset '" + std::string(name) + "'",
                  (advice.empty() ? "" : advice + "\n") + "presets: " + all);
}

const Preset& nearest_preset(int64_t parameters) {
  const auto ratio = [&](const Preset& p) {
    Settings settings;
    apply_preset(p, settings);
    settings.model.vocab = p.usual_vocab;
    return std::abs(std::log(static_cast<double>(parameter_count(settings.model)) / static_cast<double>(parameters)));
  };
  return *std::ranges::min_element(kPresets, {}, ratio);
}

void apply_preset(const Preset& p, Settings& s) {
  s.size = p.name;
  s.model.layers = p.layers;
  s.model.width = p.width;
  s.model.heads = p.heads;
  s.model.kv_heads = p.kv_heads;
  s.model.head_width = p.head_width;
  s.model.hidden = p.hidden;
  s.model.context = p.context;
  s.model.rope.base = p.rope_base;
  s.train.tokens = p.tokens;
  s.train.batch = p.batch;
  s.optimizer.lr = p.lr;
}

}  // namespace rw
