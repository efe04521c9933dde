// UTF-8 by the Unicode standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rw {

// Bytes of the character at the start of `text` (not empty): 1 to 4; 0 if there is none; -1 if the text ends inside one
// that is right so far.
int utf8_length(std::string_view text);

// Bytes at the start of `text` that are whole characters.
size_t valid_utf8_prefix(std::string_view text);

uint32_t code_point(std::string_view character);  // of one whole character

void append_utf8(std::string& text, uint32_t code_point);  // up to U+10FFFF, no surrogate

inline bool is_utf8_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace rw
