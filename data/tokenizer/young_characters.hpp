// Where the Unicode tables of our libraries (PCRE2 10.42: Unicode 14, utf8proc 2.8: 15) and those that Hugging Face's
// tokenizers use (0.23: 16 for regular expressions, 9 for normalization) differ.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rw {

// Of a general category ("L", "Nd"): the characters that only their regular expressions know, as members of a class in
// PCRE2's syntax; may be empty.
std::string young_characters(std::string_view category);

// Whether their normalization form C knows nothing of the character, so that nothing moves or composes over it.
bool is_unknown_mark(uint32_t code_point);

}  // namespace rw
