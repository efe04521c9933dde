// Unicode's normalization form C: characters and their marks are composed, canonical equivalents become one spelling.
#pragma once
#include <string>
#include <string_view>

namespace rw {

// Of UTF-8 text, as Hugging Face's tokenizers do it: marks younger than Unicode 9 stay where they are.
std::string to_nfc(std::string_view text);

}  // namespace rw
