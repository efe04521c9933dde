// Numbers with units, as users write them (train/settings.hpp, Unit). Nothing may follow or precede a number but its
// unit. The functions that read throw UserError(Exit::usage) that quotes the text and says what was expected.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "train/settings.hpp"

namespace rw {

int64_t parse_integer(std::string_view text, Unit unit);  // integer, count, length; "1.5k" if a whole number results
double parse_number(std::string_view text, Unit unit);    // number (also 1/16), share, duration; finite
bool parse_flag(std::string_view text);

// The shortest text that reads as the same value.
std::string integer_text(int64_t value, Unit unit);
std::string number_text(double value, Unit unit);

}  // namespace rw
