// Executes CUDA kernels on a CPU. Each thread of a block is a fiber; the fibers of a block, and the blocks of a grid,
// run one after another on the calling thread, in an order that can be chosen. What a correct kernel computes does not
// depend on that order. Misuse is found and described with file and line: barriers that not all threads reach, warp
// operations that lanes disagree on, shared memory read before it is written (it starts as NaN), copies that nobody
// waited for and, where the kernels are compiled with -fsanitize=thread, data races.
//
// core/device/gpu.cuh in this folder says CUDA's words in terms of these.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rw::simt {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

// Of the thread that runs.
extern Dim thread_index, block_index, block_size, grid_size;

using Place = std::source_location;
std::ostream& operator<<(std::ostream&, Place);

struct Misuse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Order {
  enum Kind { forward, reverse, shuffled } kind = forward;
  uint64_t seed = 1;  // of the shuffling
};
Order& order();  // of threads and blocks, for the launches that follow

struct Launch {
  std::string_view kernel;
  Dim grid, block;
  size_t dynamic_bytes = 0;              // of shared memory
  std::span<std::byte> static_shared{};  // the variables that kernels declare __shared__
};
void run(const Launch&, const std::function<void()>& thread);  // throws Misuse

constexpr size_t kSharedLimit = 227 << 10;  // bytes of shared memory that a block can have, sm_90
std::byte* dynamic_shared();
bool is_shared(const void*);

// Called by a thread: ends the launch, whose error says `what`. The thread's stack is left as it is, nothing on it is
// destroyed.
void report(const std::string& what, Place);
[[noreturn]] void stop();
template <class... Parts>
[[noreturn]] void misuse(Place place, const Parts&... parts) {
  {
    std::ostringstream what;
    (what << ... << parts);
    report(what.str(), place);
  }
  stop();
}

void block_barrier(Place);

// What the lanes of a warp gave to one operation. It stays valid until the same lanes meet twice more.
class Exchange {
 public:
  static constexpr int kLanes = 32, kBytes = 32;

  bool has(int lane) const { return lanes_ >> lane & 1; }
  bool is_whole_warp() const { return lanes_ == ~0u; }
  void copy(int lane, void* to, size_t bytes) const;

 private:
  friend Exchange exchange(uint32_t, const char*, const void*, size_t, Place);
  Exchange(const std::byte* slots, uint32_t lanes) : slots_(slots), lanes_(lanes) {}
  const std::byte* slots_;
  uint32_t lanes_;
};

// Every lane named in `mask` deposits a value; returns when the last one has come.
Exchange exchange(uint32_t mask, const char* operation, const void* value, size_t bytes, Place);
void warp_barrier(uint32_t mask, Place);
int lane();

// cp.async: the copy happens as late as the program allows, so that a missing wait shows. Destinations count as written
// from the moment on that a copy begins. Of the `bytes` that are written the first `given` come from `from`, the others
// are zero.
void begin_copy(void* to, const void* from, size_t given, size_t bytes, Place);
void commit_copies();
void wait_for_copies(int groups_that_may_remain);

// Two accesses to the same bytes, one of them not a read, by different threads without a barrier between: Misuse.
// `code`: the instruction after the access.
enum class Access { read, write };
void touch(const void* at, size_t bytes, Access, const void* code);

// Bank conflicts of ldmatrix since the program began: rows of eight that share a bank, less one.
size_t matrix_bank_conflicts();
void count_bank_conflicts(size_t);

}  // namespace rw::simt
