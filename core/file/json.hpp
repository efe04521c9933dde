// JSON of other people's files.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace rw {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // of files that we write: keys stay in the order in which they were put

inline constexpr size_t kMostJsonDepth = 64;

// Strict: UTF-8, one value, no comments, no key twice in an object, at most kMostJsonDepth levels. `name` is for
// messages. Throws UserError(Exit::data) that says where.
Json parse_json(const std::string& name, std::string_view text);

// The same of an object that may have many members: each is handed over when it has been read, and is not kept.
using TakeMember = std::function<void(const std::string& key, const Json& value)>;
void parse_members(const std::string& name, std::string_view text, TakeMember take);

// A whole number, written as one, that an int64_t holds; get<int64_t>() wraps round what it cannot hold, and is
// undefined for a floating one.
std::optional<int64_t> integer_of(const Json& value);

}  // namespace rw
