#pragma once
#include <cstdlib>
#include <fstream>
#include <span>

#include "core/file/hash.hpp"

namespace rw::test {

// With ROPEWALK_TEST_BITS=FILE in the environment a test program writes there, when it ends, a hash of the bytes that
// its tests noted: of every tensor on a device, and of losses. Programs that run twice compare the two.
class Bits {
 public:
  static void note(std::span<const std::byte> bytes) {
    static Bits bits;
    if (bits.file_) bits.hash_.add(bytes);
  }
  ~Bits() {
    if (file_) std::ofstream(file_) << hash_.hex() << '\n';
  }

 private:
  const char* const file_ = std::getenv("ROPEWALK_TEST_BITS");
  Hash128 hash_;
};

}  // namespace rw::test
