#include "train/loop/tensorboard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"

namespace rw {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;

std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    out += two;
  }
  return out;
}

TEST(TensorBoard, Crc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

// Records as TensorFlow's writer makes them.
TEST(TensorBoard, GoldenRecords) {
  EXPECT_EQ(hex(version_event(1.0)),
            "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a3286bf577a");
  EXPECT_EQ(hex(scalar_event(2.0, 100, "train/loss", 2.5)),
            "200000000000000029eda95009000000000000004010642a130a110a0a747261696e2f6c6f73731500002040f585a465");
}

// By the protobuf encoding, field by field.
TEST(TensorBoard, TextAndRestart) {
  const char* const fields[] = {
      "09000000000000004010ac02",  // wall_time 2.0, step 300
      "2a250a23",                  // summary { value {
      "0a0773616d706c6573",        // tag "samples"
      "420c0807120412020801",      // tensor { DT_STRING, shape { dim { size 1 } }
      "42026869",                  // string_val "hi" }
      "4a0a0a060a04746578742002",  // metadata { plugin_data { plugin_name "text" }, data_class 2
  };
  std::string expected;
  for (const char* field : fields) expected += field;
  EXPECT_THAT(hex(text_event(2.0, 300, "samples", "hi")), HasSubstr(expected));
  EXPECT_THAT(hex(restart_event(2.0, 7)), HasSubstr("09000000000000004010073a020801"));
}

std::string only_file(const TemporaryFolder& f) {
  const auto names = f.names();
  EXPECT_EQ(names.size(), 1u);
  EXPECT_THAT(names.at(0), testing::MatchesRegex("events\\.out\\.tfevents\\.[0-9]+\\..+\\.[0-9]+\\.[0-9]+"));
  return test::read_file(f / names.at(0));
}

// Cuts a file into records and checks both sums of each; returns the data.
std::vector<std::string> records_of(std::string_view file) {
  std::vector<std::string> out;
  const auto number = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value |= uint64_t{static_cast<unsigned char>(file[at + i])} << (8 * i);
    return value;
  };
  const auto mask = [](uint32_t c) { return (c >> 15 | c << 17) + 0xa282ead8u; };
  while (!file.empty()) {
    const size_t n = number(0, 8);
    EXPECT_EQ(number(8, 4), mask(crc32c(file.substr(0, 8))));
    EXPECT_EQ(number(12 + n, 4), mask(crc32c(file.substr(12, n))));
    out.emplace_back(file.substr(12, n));
    file.remove_prefix(16 + n);
  }
  return out;
}

TEST(TensorBoard, AFileOfRecords) {
  const TemporaryFolder f;
  EventWriter writer(f.path(), 0);
  writer.scalar("train/loss", 1, 2.5);
  writer.text("config", 1, std::string(1000, 'x'));
  writer.scalar("train/loss", int64_t{1} << 40, -1e30);
  const auto records = records_of(only_file(f));  // on the disk although the writer is still open
  ASSERT_EQ(records.size(), 4u);
  EXPECT_THAT(records[0], HasSubstr("brain.Event:2"));
  EXPECT_THAT(records[1], HasSubstr("train/loss"));
}

TEST(TensorBoard, AResumedRunSaysSo) {
  const TemporaryFolder f;
  EventWriter(f.path(), 100);
  const auto records = records_of(only_file(f));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(hex(records[1].substr(9)),
            "10653a020801");  // step 101, session_log { START }
  EventWriter(f.path(), 100);
  EXPECT_EQ(f.names().size(), 2u);  // each writer has its own file
}

TEST(TensorBoard, CannotWrite) {
  const TemporaryFolder f;
  test::write_file(f / "file", "");
  EXPECT_EQ(test::user_error_of([&] { EventWriter(f / "file", 0); }).code, Exit::write);
}

}  // namespace
}  // namespace rw
