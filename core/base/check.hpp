// Errors. rw::Error is a broken contract between pieces of this program: the message names the op, what should have
// held, and the values that did not:
//   swiglu_forward: expected y.shape == g.shape, got y = f32 [3, 8], g = f32 [3, 7]
// What a user can cause and mend is a UserError (user_error.hpp).
#pragma once
#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace rw {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

template <class... V>
[[noreturn]] void check_failed(const char* op, const char* expression, std::string_view names, const V&... values) {
  std::ostringstream text;
  text << op << ": expected " << expression;
  const char* separator = ", got ";
  [[maybe_unused]] const auto print = [&](const auto& value) {
    const size_t comma = std::min(names.find(','), names.size());
    text << separator << names.substr(0, comma) << " = " << value;
    names.remove_prefix(std::min(comma + 2, names.size()));
    separator = ", ";
  };
  (print(values), ...);
  throw Error(text.str());
}

}  // namespace detail
}  // namespace rw

// A macro, because the text of the expression is part of the message. Further arguments, plain names, are printed.
#define RW_CHECK(expression, ...) \
  ((expression) ? void() : ::rw::detail::check_failed(__func__, #expression, #__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__))
