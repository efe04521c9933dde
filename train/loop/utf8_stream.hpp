// Text that comes in pieces which may end inside a character.
#pragma once
#include <string>
#include <string_view>

namespace rw {

// Gives back what is whole so far; bytes that can be no UTF-8 become U+FFFD.
class Utf8Stream {
 public:
  std::string add(std::string_view bytes);
  std::string finish();  // what is left, an unfinished character as U+FFFD

 private:
  std::string rest_;
};

std::string printable(std::string_view bytes);  // whole text at once

}  // namespace rw
