#include "data/tokenizer/kinds.hpp"

#include <atomic>
#include <cstdio>

#include "data/tokenizer/word_cache.hpp"

namespace rw {

std::string byte_piece(unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int value = 0;
  for (char c : piece.substr(3, 2)) {
    const size_t digit = std::string_view("0123456789ABCDEF").find(c);
    if (digit == std::string_view::npos) return -1;
    value = value * 16 + static_cast<int>(digit);
  }
  return value;
}

std::string shown_piece(std::string_view piece) {
  std::string shown;
  for (char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < ' ' || byte == 0x7F ? byte_piece(byte) : std::string(1, c);
  }
  return shown;
}

uint64_t WordCache::new_owner() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace rw
