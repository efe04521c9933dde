#include "train/loop/utf8_stream.hpp"

#include "data/corpus/utf8.hpp"

namespace rw {

namespace {
constexpr std::string_view kReplacement = "\xef\xbf\xbd";
}

std::string Utf8Stream::add(std::string_view bytes) {
  rest_ += bytes;
  std::string out;
  std::string_view left = rest_;
  while (!left.empty()) {
    const int length = utf8_length(left);
    if (length < 0) break;  // it may go on
    if (length == 0) {
      out += kReplacement;
      left.remove_prefix(1);
    } else {
      out += left.substr(0, static_cast<size_t>(length));
      left.remove_prefix(static_cast<size_t>(length));
    }
  }
  rest_ = std::string(left);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out;
  if (!rest_.empty()) out = kReplacement;
  rest_.clear();
  return out;
}

std::string printable(std::string_view bytes) {
  Utf8Stream stream;
  std::string out = stream.add(bytes);
  return out + stream.finish();
}

}  // namespace rw
