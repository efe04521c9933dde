#include "core/file/json.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/user_error.hpp"

namespace rw {

namespace {

// The first key that stands twice in an object of a text that can be parsed.
std::string key_twice(std::string_view text) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  std::string twice;
  const auto note = [&](int, Json::parse_event_t event, const Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second && twice.empty())
      twice = value.dump();
    return true;
  };
  const Json whole = Json::parse(text, note);
  return twice;
}

}  // namespace

Json parse_json(const std::string& name, std::string_view text) {
  const auto bad = [&](const std::string& why) { return UserError(Exit::data, name + " is not valid JSON", why); };
  std::vector<size_t> keys;  // how many, of the objects that are open
  bool twice = false;
  const auto check = [&](int depth, Json::parse_event_t event, const Json& value) {
    if (depth > static_cast<int>(kMostJsonDepth))
      throw bad("it is nested more than " + std::to_string(kMostJsonDepth) + " levels deep");
    if (event == Json::parse_event_t::object_start) keys.push_back(0);
    if (event == Json::parse_event_t::key) ++keys.back();
    if (event == Json::parse_event_t::object_end) {
      twice |= value.size() != keys.back();  // of two the object keeps one
      keys.pop_back();
    }
    return true;
  };
  try {
    Json json = Json::parse(text, check);
    if (twice) throw bad("the key " + key_twice(text) + " stands twice in one object");
    return json;
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0));
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t column = before.size() - (before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1) + 1;
    throw bad("something is wrong at line " + std::to_string(line) + ", column " + std::to_string(column));
  } catch (const Json::exception&) {
    throw bad("it holds a number that is too large");
  }
}

std::optional<int64_t> integer_of(const Json& value) {
  if (value.is_number_unsigned() && !std::in_range<int64_t>(value.get<uint64_t>())) return std::nullopt;
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<int64_t>();
}

}  // namespace rw
