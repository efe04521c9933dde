// Checked text of a file, piece by piece.
#pragma once
#include <string>
#include <string_view>

#include "data/corpus/byte_source.hpp"

namespace rw {

// Whole UTF-8 characters, none of them NUL. Counts lines for messages.
class TextStream {
 public:
  explicit TextStream(const std::filesystem::path& file);

  // The next piece; empty at the end. Valid until the next call. Throws UserError(Exit::data), naming the first byte
  // that is not text.
  std::string_view next();

 private:
  std::filesystem::path file_;
  std::unique_ptr<ByteSource> source_;
  std::string block_;
  size_t kept_ = 0;        // bytes at the end of block_ that begin a character
  uint64_t position_ = 0;  // of block_ in the (unpacked) file
  uint64_t line_ = 1;
};

}  // namespace rw
