// UTF-8 by the Unicode standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <cstddef>
#include <string_view>

namespace rw {

// Bytes of the character at the start of `text` (not empty): 1 to 4; 0 if there is none; -1 if the text ends inside one
// that is right so far.
int utf8_length(std::string_view text);

// Bytes at the start of `text` that are whole characters.
size_t valid_utf8_prefix(std::string_view text);

}  // namespace rw
