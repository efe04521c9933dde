#include "data/tokenizer/nfc.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/base/check.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/young_characters.hpp"

namespace rw {

namespace {

void append_nfc(std::string& out, std::string_view text) {
  // Characters below U+0300, which begins with 0xCC, are composed already.
  if (std::ranges::all_of(text, [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; })) {
    out += text;
    return;
  }
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &made, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(made, std::free);
  if (size < 0) throw Error(std::string("utf8proc: ") + utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(made), static_cast<size_t>(size));
}

}  // namespace

std::string to_nfc(std::string_view text) {
  std::string out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const auto length = static_cast<size_t>(utf8_length(text.substr(at, 4)));
    const std::string_view character = text.substr(at, length);
    if (length > 1 && is_unknown_mark(code_point(character))) {
      append_nfc(out, text.substr(begin, at - begin));
      out += character;
      begin = at + length;
    }
    at += length;
  }
  append_nfc(out, text.substr(begin));
  return out;
}

}  // namespace rw
