#include "train/loop/tensorboard.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>

#include "core/file/atomic.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ (c & 1 ? 0x82F63B78u : 0u);
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

template <class T>
std::string fixed(T value) {  // little-endian
  std::string out;
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// Protobuf: a field is its number and wire type, and a value.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string number_field(uint32_t field, uint64_t value) { return varint(field << 3 | 0) + varint(value); }
std::string double_field(uint32_t field, double value) {
  return varint(field << 3 | 1) + fixed(std::bit_cast<uint64_t>(value));
}
std::string float_field(uint32_t field, float value) {
  return varint(field << 3 | 5) + fixed(std::bit_cast<uint32_t>(value));
}
std::string bytes_field(uint32_t field, std::string_view bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}

std::string record(std::string_view data) {
  const auto masked = [](std::string_view bytes) { return fixed(std::rotr(crc32c(bytes), 15) + 0xa282ead8u); };
  const std::string length = fixed(uint64_t{data.size()});
  return length + masked(length) + std::string(data) + masked(data);
}

std::string event(double wall_time, int64_t step, const std::string& what) {
  return record(double_field(1, wall_time) + (step ? number_field(2, static_cast<uint64_t>(step)) : "") + what);
}

std::string summary(std::string_view tag, const std::string& value) {
  return bytes_field(5, bytes_field(1, bytes_field(1, tag) + value));
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// events.out.tfevents.<unix seconds>.<host>.<pid>.<n>
fs::path new_name(const fs::path& folder) {
  create_folders(folder);
  static std::atomic<int> count{0};
  char host[256] = "localhost", text[400];
  (void)::gethostname(host, sizeof host - 1);
  std::snprintf(text, sizeof text, "events.out.tfevents.%010lld.%s.%d.%d", static_cast<long long>(now()), host,
                static_cast<int>(::getpid()), count++);
  return folder / text;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t c = 0xFFFFFFFFu;
  for (char byte : bytes) c = c >> 8 ^ kTable[(c ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~c;
}

std::string version_event(double wall_time) { return event(wall_time, 0, bytes_field(3, "brain.Event:2")); }

std::string restart_event(double wall_time, int64_t step) {
  return event(wall_time, step, bytes_field(7, number_field(1, 1)));  // session_log.status = START
}

std::string scalar_event(double wall_time, int64_t step, std::string_view tag, double value) {
  return event(wall_time, step, summary(tag, float_field(2, static_cast<float>(value))));
}

std::string text_event(double wall_time, int64_t step, std::string_view tag, std::string_view text) {
  const std::string shape = bytes_field(2, number_field(1, 1));                                  // [1]
  const std::string tensor = number_field(1, 7) + bytes_field(2, shape) + bytes_field(8, text);  // of strings
  const std::string metadata = bytes_field(1, bytes_field(1, "text")) + number_field(4, 2);      // a tensor
  return event(wall_time, step, summary(tag, bytes_field(8, tensor) + bytes_field(9, metadata)));
}

EventWriter::EventWriter(const fs::path& folder, int64_t step) : file_(File::create(new_name(folder))) {
  write(version_event(now()));
  if (step > 0) write(restart_event(now(), step + 1));
}

void EventWriter::scalar(std::string_view tag, int64_t step, double value) {
  write(scalar_event(now(), step, tag, value));
}

void EventWriter::text(std::string_view tag, int64_t step, std::string_view text) {
  write(text_event(now(), step, tag, text));
}

void EventWriter::write(std::string_view record) {
  file_.write(size_, std::as_bytes(std::span(record)));
  size_ += record.size();
}

}  // namespace rw
