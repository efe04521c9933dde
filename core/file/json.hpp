// JSON of other people's files.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace rw {

inline constexpr size_t kMostJsonDepth = 64;

// Strict: UTF-8, one value, no comments, no key twice in an object, at most kMostJsonDepth levels. `name` is for
// messages. Throws UserError(Exit::data) that says where.
nlohmann::json parse_json(const std::string& name, std::string_view text);

}  // namespace rw
