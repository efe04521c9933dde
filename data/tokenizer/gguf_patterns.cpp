#include "data/tokenizer/gguf_patterns.hpp"

#include <algorithm>

#include "data/tokenizer/kinds.hpp"

namespace rw {

namespace {

const std::vector<GgufPattern>& known() {
  static const std::vector<GgufPattern> all = {
      {"gpt-2", {kGpt2Pattern}},
      {"llama-bpe", {kLlama3Pattern}, true},
      {"qwen2", {kQwen2Pattern}, false, true},
      {"smollm", {kDigitPattern, kGpt2Pattern}},
      {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", R"([0-9][0-9][0-9])"}},
  };
  return all;
}

}  // namespace

const GgufPattern* gguf_pattern(std::string_view name) {
  const auto found = std::ranges::find(known(), name, &GgufPattern::name);
  return found == known().end() ? nullptr : &*found;
}

const GgufPattern* gguf_pattern(std::span<const std::string> patterns) {
  const auto found = std::ranges::find_if(known(), [&](const GgufPattern& one) {
    return std::ranges::equal(one.patterns, patterns, [](std::string_view a, std::string_view b) { return a == b; });
  });
  return found == known().end() ? nullptr : &*found;
}

std::string gguf_pattern_names() {
  std::string names;
  for (const GgufPattern& one : known()) names += (names.empty() ? "" : ", ") + std::string(one.name);
  return names;
}

}  // namespace rw
