#pragma once
#include <string_view>

namespace rw {

// The kernel that a function template whose parameter is called `kernel` was made for; `function` is its
// __PRETTY_FUNCTION__, "... [with auto kernel = {anonymous}::f<float, 4>; A = ...]".
constexpr std::string_view kernel_name(std::string_view function) {
  constexpr std::string_view kBefore = "auto kernel = ";
  const size_t begin = function.find(kBefore) + kBefore.size();
  return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

}  // namespace rw
