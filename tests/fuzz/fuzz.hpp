// What the fuzz targets share. A target is a file NAME_fuzz.cpp with a function that parses one input; whatever leaves
// it other than a UserError, ends the process, and so is a finding.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/base/user_error.hpp"

namespace rw::fuzz {

using Input = std::span<const uint8_t>;

inline std::string_view text_of(Input input) { return {reinterpret_cast<const char*>(input.data()), input.size()}; }

// Takes the first byte, which chooses between a few parsers. 0 if there is none.
inline uint8_t take_choice(Input& input, int choices) {
  if (input.empty()) return 0;
  const auto choice = static_cast<uint8_t>(input[0] % choices);
  input = input.subspan(1);
  return choice;
}

// The input as a file, in memory.
class InputFile {
 public:
  explicit InputFile(Input input) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
    while (!input.empty()) {
      const ssize_t written = ::write(descriptor_, input.data(), input.size());
      if (written <= 0) std::abort();
      input = input.subspan(static_cast<size_t>(written));
    }
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// Reads every byte.
inline void touch(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (const std::byte b : bytes) sum += static_cast<unsigned>(b);
  [[maybe_unused]] static volatile unsigned kept;
  kept = sum;
}

template <class F>
int parse(F&& f) {
  try {
    f();
  } catch (const UserError&) {
  }
  return 0;
}

}  // namespace rw::fuzz
