// TensorBoard's event files: TFRecords of protobuf messages, both written by hand.
//   record = u64 n | u32 mask(crc32c(n)) | n bytes | u32 mask(crc32c(bytes)),  mask(c) = rotr(c, 15) + 0xa282ead8
// Source: tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/file/file.hpp"

namespace rw {

uint32_t crc32c(std::string_view bytes);  // Castagnoli, reflected: crc32c("123456789") = 0xe3069283

// One record each. wall_time in seconds since 1970.
std::string version_event(double wall_time);
std::string restart_event(double wall_time, int64_t step);  // readers forget what they have from `step` on
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, double value);         // kept as float
std::string text_event(double wall_time, int64_t step, std::string_view tag, std::string_view text);  // Markdown

class EventWriter {
 public:
  // A new file in `folder`, which is made if need be, for a run that goes on after `step` (0: a new run).
  // Throws UserError(Exit::write), as the others do; what they wrote is with the operating system on return.
  EventWriter(const std::filesystem::path& folder, int64_t step);
  void scalar(std::string_view tag, int64_t step, double value);
  void text(std::string_view tag, int64_t step, std::string_view text);

 private:
  void write(std::string_view record);

  File file_;
  uint64_t size_ = 0;
};

}  // namespace rw
