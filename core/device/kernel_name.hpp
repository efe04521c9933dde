#pragma once
#include <string_view>

namespace rw {

// The kernel that a function template whose first parameter is called `kernel` was made for; `function` is its
// __PRETTY_FUNCTION__: GCC's "... [with auto kernel = {anonymous}::f<float, 4>; A = ...]", or clang's
// "... [kernel = &rw::(anonymous namespace)::f<float, 4>, A = ...]".
constexpr std::string_view kernel_name(std::string_view function) {
  constexpr std::string_view kBefore = "kernel = ";
  size_t begin = function.find(kBefore) + kBefore.size();
  if (function[begin] == '&') ++begin;
  int depth = 0;
  size_t end = begin;
  for (; end < function.size(); ++end) {
    const char c = function[end];
    if (depth == 0 && (c == ',' || c == ';' || c == ']')) break;
    depth += (c == '<') - (c == '>');
  }
  return function.substr(begin, end - begin);
}

}  // namespace rw
