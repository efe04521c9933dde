#include "data/corpus/text_stream.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"

namespace rw {

namespace {

constexpr size_t kBlock = size_t{1} << 17;

std::string hexadecimal(char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02X", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace

TextStream::TextStream(const std::filesystem::path& file) : file_(file), source_(open_bytes(file)) {}

std::string_view TextStream::next() {
  const size_t used = block_.size() - kept_;
  line_ += static_cast<uint64_t>(std::count(block_.begin(), block_.end() - static_cast<ptrdiff_t>(kept_), '\n'));
  position_ += used;
  block_.erase(0, used);
  block_.resize(kept_ + kBlock);
  block_.resize(kept_ + source_->read(std::span(block_).subspan(kept_)));
  const bool at_end = block_.size() < kept_ + kBlock;

  const size_t zero = std::min(block_.find('\0'), block_.size());
  const size_t whole = valid_utf8_prefix(std::string_view(block_).substr(0, zero));
  kept_ = block_.size() - whole;
  if (kept_ == 0) return block_;
  if (!at_end && zero == block_.size() && utf8_length(std::string_view(block_).substr(whole)) < 0)
    return std::string_view(block_).substr(0, whole);

  const uint64_t line =
      line_ + static_cast<uint64_t>(std::count(block_.begin(), block_.begin() + static_cast<ptrdiff_t>(whole), '\n'));
  const std::string where = " at byte " + std::to_string(position_ + whole) + ", line " + std::to_string(line);
  if (whole == zero)
    throw UserError(Exit::data, file_.string() + " is not a text: it has a zero byte" + where,
                    "it is a binary file, or text in UTF-16\n"
                    "leave it out, or convert it:  iconv -f utf-16 -t utf-8 " +
                        file_.filename().string() + " > converted.txt");
  throw UserError(
      Exit::data,
      file_.string() + " is not UTF-8: " +
          (utf8_length(std::string_view(block_).substr(whole)) < 0 ? "it ends inside a character"
                                                                   : hexadecimal(block_[whole])) +
          where,
      "leave it out, or convert it:  iconv -f latin1 -t utf-8 " + file_.filename().string() + " > converted.txt");
}

}  // namespace rw
