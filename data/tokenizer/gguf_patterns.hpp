// The ways of cutting text into words that have a name in GGUF (tokenizer.ggml.pre).
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

struct GgufPattern {
  const char* name;
  std::vector<const char*> patterns;  // one after the other
  bool ignore_merges = false;
  bool nfc = false;  // texts are normalized before
};

const GgufPattern* gguf_pattern(std::string_view name);                  // null: not known
const GgufPattern* gguf_pattern(std::span<const std::string> patterns);  // the same way
std::string gguf_pattern_names();

}  // namespace rw
