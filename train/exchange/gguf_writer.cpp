#include <algorithm>

#include "core/base/check.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "train/exchange/gguf.hpp"
#include "train/exchange/gguf_layout.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

class Text {
 public:
  template <class T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(std::string_view value) {
    number<uint64_t>(value.size());
    text_ += value;
  }
  void pad() { text_.resize(round_up(text_.size(), kGgufAlignment)); }
  const std::string& bytes() const { return text_; }

  void value(uint32_t v) { number(GgufType::u32), number(v); }
  void value(float v) { number(GgufType::f32), number(v); }
  void value(bool v) { number(GgufType::boolean), number<uint8_t>(v); }
  void value(const std::string& v) { number(GgufType::string), string(v); }
  void value(const std::vector<float>& v) {
    array(GgufType::f32, v, [&](float x) { number(x); });
  }
  void value(const std::vector<int32_t>& v) {
    array(GgufType::i32, v, [&](int32_t x) { number(x); });
  }
  void value(const std::vector<std::string>& v) {
    array(GgufType::string, v, [&](const std::string& x) { string(x); });
  }

 private:
  template <class V, class F>
  void array(GgufType element, const V& values, F&& f) {
    number(GgufType::array), number(element), number<uint64_t>(values.size());
    for (const auto& v : values) f(v);
  }

  std::string text_;
};

uint32_t number_of(ValueType type) {
  const auto kind = std::ranges::find(kGgufTensorTypes, type, &std::pair<uint32_t, ValueType>::second);
  RW_CHECK(kind != std::end(kGgufTensorTypes), name_of(type));
  return kind->first;
}

}  // namespace

void write_gguf(const fs::path& file, const GgufFields& keys, std::span<const OutgoingTensor> tensors) {
  Text header;
  for (char c : kGgufMagic) header.number(c);
  header.number(kGgufVersion), header.number<uint64_t>(tensors.size()), header.number<uint64_t>(keys.size());
  for (const auto& [key, field] : keys) {
    header.string(key);
    std::visit([&](const auto& v) { header.value(v); }, field);
  }
  uint64_t offset = 0;
  for (const OutgoingTensor& t : tensors) {
    RW_CHECK(t.name.size() < kLongestGgufName && t.shape.size() <= kMostGgufRank, t.name);
    header.string(t.name), header.number(static_cast<uint32_t>(t.shape.size()));
    for (auto dim = t.shape.rbegin(); dim != t.shape.rend(); ++dim) header.number(*dim);
    header.number(number_of(t.type)), header.number(offset);
    offset += round_up(t.bytes(), kGgufAlignment);
  }
  header.pad();

  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  create_folders(folder);
  check_free_space(folder, header.bytes().size() + offset);
  const fs::path temporary = temporary_name(file);
  try {
    {
      File out = File::create(temporary);
      out.write(0, std::as_bytes(std::span(header.bytes())));
      uint64_t at = header.bytes().size();
      std::vector<std::byte> bytes;
      for (const OutgoingTensor& t : tensors) {
        bytes.assign(round_up(t.bytes(), kGgufAlignment), std::byte{0});
        t.fill(std::span(bytes).first(t.bytes()));
        out.write(at, bytes);
        at += bytes.size();
      }
      out.sync();
    }
    move(temporary, file);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

}  // namespace rw
