#include "data/token_spool.hpp"

#include <unistd.h>

#include <cstring>

#include "core/base/check.hpp"
#include "core/file/atomic.hpp"

namespace rw {

namespace {

constexpr size_t kBuffer = size_t{4} << 20;  // bytes

File create_without_name(const std::filesystem::path& folder) {
  const auto name = temporary_name(folder / "tokens");
  File file = File::create(name);
  ::unlink(name.c_str());
  return file;
}

template <class T>
void narrow(std::span<const int32_t> ids, std::byte* to) {
  for (int32_t id : ids) {
    const T value = static_cast<T>(id);
    std::memcpy(to, &value, sizeof value);
    to += sizeof value;
  }
}

}  // namespace

TokenSpool::TokenSpool(const std::filesystem::path& folder, bool wide)
    : file_(create_without_name(folder)), wide_(wide) {}

void TokenSpool::append(std::span<const int32_t> ids) {
  const size_t before = buffer_.size();
  buffer_.resize(before + ids.size() * (wide_ ? 4 : 2));
  if (wide_)
    narrow<uint32_t>(ids, buffer_.data() + before);
  else
    narrow<uint16_t>(ids, buffer_.data() + before);
  size_ += ids.size();
  if (buffer_.size() >= kBuffer) flush();
}

void TokenSpool::flush() {
  file_.write(written_, buffer_);
  written_ += buffer_.size();
  buffer_.clear();
}

void TokenSpool::read(uint64_t at, std::span<int32_t> to) {
  RW_CHECK(buffer_.empty() && at + to.size() <= size_, at, to.size(), size_);
  if (wide_) {
    file_.read(at * 4, std::as_writable_bytes(to));
    return;
  }
  std::vector<uint16_t> narrow(to.size());
  file_.read(at * 2, std::as_writable_bytes(std::span(narrow)));
  for (size_t i = 0; i < to.size(); ++i) to[i] = narrow[i];
}

}  // namespace rw
