// Values of the keys of a GGUF file, whatever types they have in it.
#include <charconv>
#include <utility>

#include "core/base/user_error.hpp"
#include "train/exchange/gguf.hpp"
#include "train/exchange/gguf_layout.hpp"

namespace rw {
namespace {

struct Key {
  const std::string& file;
  std::string_view name;
  const GgufValue* value;  // null: not there

  UserError wrong(const std::string& what) const {
    return UserError(Exit::data, file + " cannot be read: key " + std::string(name) + " is " + what);
  }
};

// Element i as it is in the file.
template <class T>
T element(const GgufValue& value, uint64_t i) {
  return value_at<T>(value.bytes.data() + i * sizeof(T));
}

template <class T>
std::vector<int64_t> integers_of(const Key& key) {
  std::vector<int64_t> out;
  for (uint64_t i = 0; i < key.value->count; ++i) {
    const T number = element<T>(*key.value, i);
    if (!std::in_range<int64_t>(number)) throw key.wrong(std::to_string(number));
    out.push_back(static_cast<int64_t>(number));
  }
  return out;
}

std::vector<int64_t> integers_of(const Key& key) {
  if (!key.value) return {};
  switch (key.value->type) {
    case GgufType::u8:
      return integers_of<uint8_t>(key);
    case GgufType::i8:
      return integers_of<int8_t>(key);
    case GgufType::u16:
      return integers_of<uint16_t>(key);
    case GgufType::i16:
      return integers_of<int16_t>(key);
    case GgufType::u32:
      return integers_of<uint32_t>(key);
    case GgufType::i32:
      return integers_of<int32_t>(key);
    case GgufType::u64:
      return integers_of<uint64_t>(key);
    case GgufType::i64:
      return integers_of<int64_t>(key);
    default:
      throw key.wrong("of type " + std::string(name_of(key.value->type)) + ", not an integer");
  }
}

double shortest(float value) {
  char text[64];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double out = static_cast<double>(value);
  std::from_chars(text, written.ptr, out);
  return out;
}

std::vector<double> numbers_of(const Key& key) {
  std::vector<double> out;
  if (!key.value) return out;
  const GgufValue& value = *key.value;
  if (value.type == GgufType::f32) {
    for (uint64_t i = 0; i < value.count; ++i) out.push_back(shortest(element<float>(value, i)));
  } else if (value.type == GgufType::f64) {
    for (uint64_t i = 0; i < value.count; ++i) out.push_back(element<double>(value, i));
  } else {
    for (const int64_t v : integers_of(key)) out.push_back(static_cast<double>(v));
  }
  return out;
}

void demand(const Key& key, GgufType type) {
  if (key.value->type != type)
    throw key.wrong("of type " + std::string(name_of(key.value->type)) + ", not " + name_of(type));
}

std::vector<std::string> texts_of(const Key& key) {
  std::vector<std::string> out;
  if (!key.value) return out;
  demand(key, GgufType::string);
  const std::byte* at = key.value->bytes.data();
  for (uint64_t i = 0; i < key.value->count; ++i) {
    const auto length = value_at<uint64_t>(at);
    out.emplace_back(reinterpret_cast<const char*>(at + sizeof length), length);
    at += sizeof length + length;
  }
  return out;
}

template <class T>
std::optional<T> first_of(std::vector<T> values) {
  if (values.empty()) return {};
  return std::move(values.front());
}

}  // namespace

std::string excerpt(std::string_view text) {
  std::string out(text.substr(0, 40));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

const GgufValue* GgufFile::find(std::string_view key, bool array) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return nullptr;
  if (found->second.is_array != array)
    throw Key{name_, key, nullptr}.wrong(array ? "one value, not an array" : "an array, not one value");
  return &found->second;
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  return first_of(integers_of(Key{name_, key, find(key, false)}));
}
std::optional<double> GgufFile::number(std::string_view key) const {
  return first_of(numbers_of(Key{name_, key, find(key, false)}));
}
std::optional<bool> GgufFile::flag(std::string_view name) const {
  const Key key{name_, name, find(name, false)};
  if (!key.value) return {};
  demand(key, GgufType::boolean);
  return element<uint8_t>(*key.value, 0) != 0;
}
std::optional<std::string> GgufFile::text(std::string_view key) const {
  return first_of(texts_of(Key{name_, key, find(key, false)}));
}
std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  return integers_of(Key{name_, key, find(key, true)});
}
std::vector<double> GgufFile::numbers(std::string_view key) const {
  return numbers_of(Key{name_, key, find(key, true)});
}
std::vector<std::string> GgufFile::texts(std::string_view key) const {
  return texts_of(Key{name_, key, find(key, true)});
}

}  // namespace rw
