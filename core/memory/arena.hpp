// A stack of tensors in one allocation. Under AddressSanitizer, what is not taken may not be touched. A measuring arena
// has no memory: it hands out addresses that nobody may touch, distinct from all others, and learns from a dry run how
// large the real one must be; UserError(Exit::memory) beyond what any machine has.
#pragma once
#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "core/base/user_error.hpp"
#include "core/memory/memory.hpp"

namespace rw {

class Arena {
 public:
  Arena(std::string name, Device device, size_t capacity)
      : name_(std::move(name)),
        device_(device),
        capacity_(capacity),
        memory_(device, capacity),
        base_(reinterpret_cast<uintptr_t>(memory_.data())) {
    forbid(0, capacity);
  }
  ~Arena() { allow(0, memory_.data() ? capacity_ : 0); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  static Arena measuring(std::string name, Device device) { return Arena(std::move(name), device); }

  View take(Shape shape, DType dtype, const char* what) {
    const size_t at = (used_ + kAlign - 1) / kAlign * kAlign;
    const auto elements = static_cast<size_t>(shape.rows() * shape.width());
    const size_t bytes = elements * size_of(dtype);
    if (at > capacity_ || bytes > capacity_ - at) {
      if (!memory_.data() && capacity_ == kMostMeasured)
        throw UserError(Exit::memory, "needs more than 128 TB of memory",
                        "less is needed with a smaller --micro-batch, --context or --size");
      std::ostringstream text;
      text << "arena " << name_ << ": no room for " << what << " = " << dtype << ' ' << shape << " at " << at << " of "
           << capacity_ << " bytes";
      throw Error(text.str());
    }
    used_ = at + bytes;
    peak_ = std::max(peak_, used_);
    allow(at, bytes);
    return {reinterpret_cast<std::byte*>(base_ + at), shape, dtype, device_, shape.width()};
  }
  size_t mark() const { return used_; }
  void rewind(size_t mark) {
    forbid(mark, used_ - mark);
    used_ = mark;
  }
  size_t peak() const { return peak_; }          // bytes
  size_t capacity() const { return capacity_; }  // bytes

 private:
  static constexpr size_t kMostMeasured = size_t{1} << 47;  // so that two measuring arenas stay apart
  static constexpr size_t kAlign = 256;  // a cache line, a vector load and a CUDA sector all divide it
  Arena(std::string name, Device device)
      : name_(std::move(name)), device_(device), capacity_(kMostMeasured), base_(no_real_address()) {}
  static uintptr_t no_real_address() {  // beyond what a process can have, and another one for each arena
    static std::atomic<uintptr_t> count = 0;
    return (count++ % 4096 + 1) << 48;
  }
  void allow([[maybe_unused]] size_t at, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    if (memory_.data()) ASAN_UNPOISON_MEMORY_REGION(memory_.data() + at, bytes);
#endif
  }
  void forbid([[maybe_unused]] size_t at, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    if (memory_.data()) ASAN_POISON_MEMORY_REGION(memory_.data() + at, bytes);
#endif
  }
  std::string name_;
  Device device_;
  size_t capacity_, used_ = 0, peak_ = 0;
  Memory memory_;
  uintptr_t base_;
};

// Gives back at the end of a scope what was taken in it. Kernels of the same stream may still be reading: whatever
// takes the bytes next runs after them.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.rewind(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace rw
