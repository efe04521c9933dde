// A whole page: one file, without scripts, that fetches nothing.
#pragma once
#include <string>
#include <string_view>

namespace rw::report {

// `about`: what it is, a word behind the title; `content`: HTML.
std::string page(std::string_view title, std::string_view about, const std::string& content);

}  // namespace rw::report
