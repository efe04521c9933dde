// Bad files that a test gives to a reader: each has to be refused, without memory by a number that it says. At the end
// a line says how many there were and which took most processor time; tests/run gathers these lines.
#pragma once
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <ctime>

#include "tests/support/files.hpp"
#include "tests/support/sanitizer.hpp"

namespace rw::test {

// While this lives, the process can take so many bytes more of address space, where no sanitizer needs it.
class MemoryLimit {
 public:
  static constexpr bool kWorks = !kSanitizer;
  explicit MemoryLimit(uint64_t bytes) {
    if (!kWorks) return;
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ::getrlimit(RLIMIT_AS, &before_);
    rlimit now = before_;
    now.rlim_cur = std::min<uint64_t>(before_.rlim_max, pages * static_cast<uint64_t>(::getpagesize()) + bytes);
    limited_ = pages > 0 && ::setrlimit(RLIMIT_AS, &now) == 0;
  }
  ~MemoryLimit() {
    if (limited_) ::setrlimit(RLIMIT_AS, &before_);
  }
  MemoryLimit(const MemoryLimit&) = delete;

 private:
  rlimit before_{};
  bool limited_ = false;
};

class BadFiles {
 public:
  explicit BadFiles(const char* kind) : kind_(kind) {}
  ~BadFiles() {
    std::printf("bad files: %4d %-18s %sthe slowest in %5.1f ms: %s\n", count_, kind_,
                MemoryLimit::kWorks ? "within 64 MB each, " : "", 1e3 * slowest_, name_.c_str());
  }
  BadFiles(const BadFiles&) = delete;

  // What f, which reads it, throws.
  template <class F>
  CaughtUserError refusal(const std::string& name, F&& f) {
    const MemoryLimit limit(64 << 20);
    const double start = processor_seconds();
    CaughtUserError error = user_error_of(f);
    const double seconds = processor_seconds() - start;
    EXPECT_NE(error.code, Exit::ok) << kind_ << ": " << name;
    ++count_;
    if (seconds > slowest_) slowest_ = seconds, name_ = name.substr(0, 60);
    return error;
  }

 private:
  static double processor_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  const char* kind_;
  int count_ = 0;
  double slowest_ = 0;
  std::string name_;
};

}  // namespace rw::test
