// The keys of a JSON object, taken out one by one, so that none is passed over.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"

namespace rw {

// Takes keys out one by one; what is left at the end was not understood.
class JsonKeys {
 public:
  static constexpr int64_t kMostSize = int64_t{1} << 28;  // so that products of three fit

  JsonKeys(std::string name, const Json& json) : name_(std::move(name)), json_(json) {
    if (!json.is_object()) throw UserError(Exit::data, name_ + " is not a JSON object");
    for (const auto& [key, value] : json.items()) left_.insert(key);
  }

  UserError bad(const std::string& key, const std::string& why) const {
    const std::string value = json_.contains(key) ? json_[key].dump() : "missing";
    return UserError(Exit::data, name_ + ": " + key + " is " + (value.size() > 80 ? value.substr(0, 80) + "…" : value),
                     why);
  }

  const std::string& name() const { return name_; }
  bool has(const std::string& key) const { return json_.contains(key); }
  bool is_null(const std::string& key) const { return !has(key) || json_[key].is_null(); }

  // The value; null if the key is absent or null.
  const Json& take(const std::string& key) {
    static const Json null;
    left_.erase(key);
    return json_.contains(key) ? json_[key] : null;
  }

  int64_t size(const std::string& key, int64_t otherwise = 0) {
    const Json& value = take(key);
    if (value.is_null() && otherwise > 0) return otherwise;
    const int64_t number = integer_of(value).value_or(0);
    if (number < 1 || number > kMostSize) throw bad(key, "a whole number from 1 is wanted");
    return number;
  }
  double number(const std::string& key, double otherwise) {
    const Json& value = take(key);
    if (value.is_null()) return otherwise;
    if (!value.is_number() || !(value.get<double>() > 0)) throw bad(key, "a number above 0 is wanted");
    return value.get<double>();
  }
  bool flag(const std::string& key, bool otherwise) {
    const Json& value = take(key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) throw bad(key, "true or false is wanted");
    return value.get<bool>();
  }
  std::string text(const std::string& key) {
    const Json& value = take(key);
    if (!value.is_null() && !value.is_string()) throw bad(key, "a text is wanted");
    return value.is_string() ? value.get<std::string>() : "";
  }

  // What Ropewalk computes only with this one value.
  void must_be(const std::string& key, const Json& only, const std::string& why) {
    const Json& value = take(key);
    if (!value.is_null() && value != only) throw bad(key, why);
  }
  // Names, training settings and hints of other programs: they change nothing of what is computed.
  void harmless(std::initializer_list<const char*> keys) {
    for (const char* key : keys) left_.erase(key);
  }
  void done(const std::vector<std::string>& ignored) {
    for (const std::string& key : ignored)
      if (!left_.erase(key))
        throw UserError(Exit::usage, "--ignore-key " + key, "config.json has no such key, or it is known and obeyed");
    if (!left_.empty())
      throw bad(*left_.begin(), "Ropewalk does not know what this key asks for\nif it changes nothing:  --ignore-key " +
                                    *left_.begin());
  }
  // Nothing is left; `why` not, otherwise.
  void done(const std::string& why) const {
    if (!left_.empty()) throw bad(*left_.begin(), why);
  }

 private:
  std::string name_;
  const Json& json_;
  std::set<std::string> left_;
};

}  // namespace rw
