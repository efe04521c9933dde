#include "data/tokenizer/byte_alphabet.hpp"

#include <array>

#include "data/corpus/utf8.hpp"

namespace rw {

namespace {

constexpr uint32_t kFirstOther = 0x100, kOthers = 68;

struct Alphabet {
  std::array<std::string, 256> letters;
  std::array<int, kFirstOther + kOthers> bytes;  // of each code point; -1: not a letter

  Alphabet() {
    bytes.fill(-1);
    uint32_t other = kFirstOther;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      const uint32_t letter = itself ? byte : other++;
      append_utf8(letters[byte], letter);
      bytes[letter] = static_cast<int>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

const std::string& letter_of(unsigned char byte) { return alphabet().letters[byte]; }

std::string letters_of(std::string_view bytes) {
  std::string letters;
  for (char byte : bytes) letters += letter_of(static_cast<unsigned char>(byte));
  return letters;
}

std::optional<std::string> bytes_of_letters(std::string_view letters) {
  std::string bytes;
  while (!letters.empty()) {
    const int length = utf8_length(letters.substr(0, 4));
    if (length <= 0) return std::nullopt;
    const uint32_t letter = code_point(letters.substr(0, static_cast<size_t>(length)));
    if (letter >= alphabet().bytes.size() || alphabet().bytes[letter] < 0) return std::nullopt;
    bytes += static_cast<char>(alphabet().bytes[letter]);
    letters.remove_prefix(static_cast<size_t>(length));
  }
  return bytes;
}

}  // namespace rw
