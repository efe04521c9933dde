// GPT-2's alphabet: each byte has a printable character. 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF are themselves; the other
// 68 bytes, in their order, are U+0100, U+0101, ...: a space is "Ġ", a newline "Ċ".
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace rw {

const std::string& letter_of(unsigned char byte);
std::string letters_of(std::string_view bytes);

// The bytes that a word in this alphabet stands for; none if it has another character.
std::optional<std::string> bytes_of_letters(std::string_view letters);

}  // namespace rw
