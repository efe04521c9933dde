#pragma once
#include <string_view>

namespace rw::report {

// The style sheet of a report. Holds neither '<' nor '&', which XML would read as markup.
extern const std::string_view kStyle;

}  // namespace rw::report
