#include "core/file/json.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/user_error.hpp"

namespace rw {

namespace {

// Puts a value together out of what stands in a text, and throws at the first thing that may not. (The library's own
// parser with a callback looks at all members of an object again after each of its objects.)
class Builder final : public Json::json_sax_t {
 public:
  Builder(const std::string& name, std::string_view text, TakeMember take = {})
      : name_(name), text_(text), take_(std::move(take)) {}
  Json whole() { return std::move(whole_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(int64_t value) override { return put(value); }
  bool number_unsigned(uint64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }  // there is none in a text
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    const auto [at, is_new] = open_.back()->get_ref<Json::object_t&>().try_emplace(std::move(key));
    if (!is_new) throw bad("the key " + Json(at->first).dump() + " stands twice in one object");
    member_ = &at->second;
    if (open_.size() == 1) outer_ = &*at;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    if (!dynamic_cast<const Json::parse_error*>(&error)) throw bad("it holds a number that is too large");
    const std::string_view before = text_.substr(0, std::min(text_.size(), position > 0 ? position - 1 : 0));
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t column = before.size() - (before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1) + 1;
    throw bad("something is wrong at line " + std::to_string(line) + ", column " + std::to_string(column));
  }

 private:
  UserError bad(const std::string& why) const { return UserError(Exit::data, name_ + " is not valid JSON", why); }
  Json& place() {  // of the next value
    if (open_.empty()) return whole_;
    return open_.back()->is_array() ? open_.back()->emplace_back() : *member_;
  }
  bool put(Json value) {
    place() = std::move(value);
    hand_over();
    return true;
  }
  bool open(Json value) {
    if (open_.size() == kMostJsonDepth)
      throw bad("it is nested more than " + std::to_string(kMostJsonDepth) + " levels deep");
    Json& at = place();
    at = std::move(value);
    open_.push_back(&at);
    return true;
  }
  bool close() {
    open_.pop_back();
    hand_over();
    return true;
  }
  void hand_over() {
    if (!take_ || !outer_ || open_.size() != 1) return;
    take_(outer_->first, outer_->second);
    outer_->second = nullptr;
  }

  const std::string& name_;
  std::string_view text_;
  TakeMember take_;
  Json whole_;
  std::vector<Json*> open_;                      // arrays and objects, the innermost last
  Json* member_ = nullptr;                       // of the innermost object, without its value yet
  Json::object_t::value_type* outer_ = nullptr;  // the member of the whole that is being read
};

}  // namespace

Json parse_json(const std::string& name, std::string_view text) {
  Builder builder(name, text);
  Json::sax_parse(text, &builder);
  return builder.whole();
}

void parse_members(const std::string& name, std::string_view text, TakeMember take) {
  Builder builder(name, text, std::move(take));
  Json::sax_parse(text, &builder);
}

std::optional<int64_t> integer_of(const Json& value) {
  if (value.is_number_unsigned() && !std::in_range<int64_t>(value.get<uint64_t>())) return std::nullopt;
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<int64_t>();
}

}  // namespace rw
