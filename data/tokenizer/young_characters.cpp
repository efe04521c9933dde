#include "data/tokenizer/young_characters.hpp"

#include <algorithm>
#include <cstdio>

#include "data/tokenizer/young_characters_table.hpp"

namespace rw {

std::string young_characters(std::string_view category) {
  std::string members;
  for (const Young& young : kYoung) {
    if (!std::string_view(young.category).starts_with(category)) continue;
    char text[48];
    std::snprintf(text, sizeof text, "\\x{%X}-\\x{%X}", young.first, young.last);
    members += text;
  }
  return members;
}

bool is_unknown_mark(uint32_t code_point) {
  const auto after =
      std::ranges::upper_bound(kUnknownMarks, code_point, {}, [](const auto& range) { return range[0]; });
  return after != std::begin(kUnknownMarks) && code_point <= after[-1][1];
}

}  // namespace rw
