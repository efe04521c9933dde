#include "core/base/user_error.hpp"
#include "data/tokenizer/split_pattern.hpp"
#include "data/tokenizer/young_characters.hpp"

namespace rw {

namespace {

// White_Space of the Unicode standard. PCRE2's \s has U+180E besides.
constexpr char kSpaces[] =
    "\\t-\\r\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

// Of marks only those whose subcategory no version has changed.
constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Me", "N",  "Nd", "Nl", "No", "P",
                                            "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So"};

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = next();
      if (c == '\\') {
        out_ += as_class(escape());
      } else if (c == '[') {
        out_ += character_class();
      } else if (c == '(') {
        group();
      } else if (c == '{') {
        repetition();
      } else if (c == '^' || c == '$') {
        refuse(std::string("the anchor ") + c);
      } else {
        out_ += c;
      }
    }
    return std::move(out_);
  }

 private:
  // The inside of a class, and whether it is to be negated.
  struct Members {
    std::string text;
    bool negated = false;
  };

  [[noreturn]] void refuse(const std::string& what) const {
    throw UserError(Exit::data, "the tokenizer's pattern '" + std::string(pattern_) + "' cannot be used",
                    what + " in it is not supported: it may mean another thing than to the tokenizer's own program");
  }
  char peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }
  char next() {
    if (at_ == pattern_.size()) refuse("its end");
    return pattern_[at_++];
  }
  static std::string as_class(const Members& members) {
    return std::string(members.negated ? "[^" : "[").append(members.text).append("]");
  }

  Members escape() {  // behind a backslash
    const char c = next();
    if (c == 's' || c == 'S') return {kSpaces, c == 'S'};
    if (c == 'p' || c == 'P') return {property(), c == 'P'};
    if (c == 'd') return {members_of("Nd"), false};
    if (c == 'x') return {hexadecimal(), false};
    if (c == 'r' || c == 'n' || c == 't' || c == 'f' || !is_letter_or_digit(c)) return {std::string("\\") + c, false};
    refuse(std::string("\\") + c);
  }
  std::string property() {
    const size_t end = pattern_.find('}', at_);
    if (next() != '{' || end == pattern_.npos) refuse("\\p without {");
    const std::string_view name = pattern_.substr(at_, end - at_);
    at_ = end + 1;
    for (std::string_view known : kCategories)
      if (name == known) return members_of(known);
    refuse("\\p{" + std::string(name) + "}");
  }
  std::string hexadecimal() {
    const size_t end = pattern_.find('}', at_);
    const std::string_view digits = pattern_.substr(at_, end - at_);
    if (end == pattern_.npos || digits.size() < 2 || digits[0] != '{' ||
        digits.find_first_not_of("0123456789ABCDEFabcdef", 1) != digits.npos)
      refuse("\\x without {...}");
    at_ = end + 1;
    return std::string("\\x").append(digits).append("}");
  }
  static std::string members_of(std::string_view category) {
    return std::string("\\p{").append(category).append("}").append(young_characters(category));
  }

  std::string character_class() {
    Members all;
    if (peek() == '^') {
      next();
      all.negated = true;
    }
    for (bool first = true;; first = false) {
      const char c = next();
      if (c == ']' && !first) break;
      if (c == '[' || c == ']' || (c == '&' && peek() == '&')) refuse("a class in a class");
      if (c == '\\') {
        const Members more = escape();
        if (more.negated) refuse("a negated set in a class");
        all.text += more.text;
      } else {
        all.text += c;
      }
    }
    return as_class(all);
  }

  void group() {  // behind a parenthesis
    out_ += '(';
    if (peek() != '?') {
      out_ += "?:";
      return;
    }
    for (std::string_view known : {"?:", "?i:", "?=", "?!"})
      if (pattern_.substr(at_, known.size()) == known) {
        out_ += known;
        at_ += known.size();
        return;
      }
    refuse("the group (" + std::string(pattern_.substr(at_, 3)) + "...");
  }

  void repetition() {  // behind a brace
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') next();
    if (at_ == begin) refuse("a brace without a number");
    if (peek() == ',') next();
    while (peek() >= '0' && peek() <= '9') next();
    if (next() != '}') refuse("a brace");
    if (peek() == '+') refuse("{...}+");
    out_.append("{").append(pattern_.substr(begin, at_ - begin));
  }

  std::string_view pattern_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_pattern(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace rw
