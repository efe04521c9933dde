// The regular expression by which a Hugging Face tokenizer cuts text into words.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

class SplitPattern {
 public:
  // Throws UserError(Exit::data) if the pattern is wrong, matches the empty text, or has something that can mean
  // another thing to Hugging Face's engine than to ours (translate_pattern).
  explicit SplitPattern(const std::string& pattern);
  ~SplitPattern();
  SplitPattern(SplitPattern&&) noexcept;

  // Appends where the pieces of a UTF-8 text end: the matches, one after the other, and what lies between them. If the
  // text goes on, then only of those pieces that are the same whatever follows. Returns how far the piece behind them
  // reaches at least.
  size_t split(std::string_view text, bool goes_on, std::vector<size_t>& ends) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

// A pattern of Oniguruma, which Hugging Face uses, in PCRE2's syntax, with the same meaning for all characters: white
// space, and the letters and numbers that are younger than PCRE2's tables, are spelt out. Throws UserError(Exit::data),
// naming what is not known to mean the same: anchors, \w, \b, lookbehind, back references, scripts, nested classes.
std::string translate_pattern(std::string_view pattern);

}  // namespace rw
