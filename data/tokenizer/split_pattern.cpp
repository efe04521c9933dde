#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizer/split_pattern.hpp"

#include <pcre2.h>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"

namespace rw {

template <class T, auto F>
struct PcreFree {
  void operator()(T* object) const { F(object); }
};
template <class T, auto F>
using PcreOwner = std::unique_ptr<T, PcreFree<T, F>>;

namespace {

// What a match needs besides the pattern; one for each thread.
struct Scratch {
  PcreOwner<pcre2_match_data, pcre2_match_data_free> match{pcre2_match_data_create(1, nullptr)};
  PcreOwner<pcre2_jit_stack, pcre2_jit_stack_free> stack{pcre2_jit_stack_create(1 << 15, 1 << 26, nullptr)};
  PcreOwner<pcre2_match_context, pcre2_match_context_free> context{pcre2_match_context_create(nullptr)};
  Scratch() {
    RW_CHECK(match && stack && context);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

std::string error_text(int number) {
  char text[256];
  pcre2_get_error_message(number, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

}  // namespace

struct SplitPattern::Code : PcreOwner<pcre2_code, pcre2_code_free> {};

SplitPattern::SplitPattern(const std::string& pattern) : code_(std::make_unique<Code>()) {
  const std::string ours = translate_pattern(pattern);
  const PcreOwner<pcre2_compile_context, pcre2_compile_context_free> context(pcre2_compile_context_create(nullptr));
  RW_CHECK(context != nullptr);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t at = 0;
  code_->reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(), PCRE2_UTF | PCRE2_UCP, &error, &at,
                             context.get()));
  if (!*code_)
    throw UserError(Exit::data, "the tokenizer's pattern '" + pattern + "' cannot be used", error_text(error));
  uint32_t empty = 0;
  pcre2_pattern_info(code_->get(), PCRE2_INFO_MATCHEMPTY, &empty);
  if (empty != 0)
    throw UserError(Exit::data, "the tokenizer's pattern '" + pattern + "' cannot be used",
                    "it matches the empty text");
  pcre2_jit_compile(code_->get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);  // without it pcre2_match interprets
}

SplitPattern::~SplitPattern() = default;
SplitPattern::SplitPattern(SplitPattern&&) noexcept = default;

size_t SplitPattern::split(std::string_view text, bool goes_on, std::vector<size_t>& ends) const {
  thread_local Scratch scratch;
  const uint32_t options = PCRE2_NO_UTF_CHECK | (goes_on ? PCRE2_PARTIAL_HARD : 0u);
  const size_t* match = pcre2_get_ovector_pointer(scratch.match.get());
  size_t at = 0, known = text.size();
  while (at < text.size()) {
    const int found = pcre2_match(code_->get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, options,
                                  scratch.match.get(), scratch.context.get());
    if (found == PCRE2_ERROR_PARTIAL) known = match[0];
    if (found == PCRE2_ERROR_NOMATCH || found == PCRE2_ERROR_PARTIAL) break;
    if (found < 0)
      throw UserError(Exit::data, "the tokenizer's pattern cannot cut a text into words",
                      error_text(found) + ": it takes too long, or too much memory");
    RW_CHECK(match[0] >= at && match[1] > match[0]);
    if (match[0] > at) ends.push_back(match[0]);
    ends.push_back(at = match[1]);
  }
  if (!goes_on && at < text.size()) ends.push_back(text.size());
  return known;
}

}  // namespace rw
