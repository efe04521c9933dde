#pragma once
#include <sstream>
#include <string>

namespace rw {

// Its arguments as one text; numbers to 6 digits.
template <class... Part>
std::string words(const Part&... part) {
  std::ostringstream text;
  (text << ... << part);
  return text.str();
}

}  // namespace rw
