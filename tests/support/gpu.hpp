// Where the CUDA twins of a test run: in the emulator, or, with LD_LIBRARY_PATH=BUILD/device, on a GPU.
#pragma once
#include <bit>
#include <map>
#include <memory>
#include <vector>

#include "core/device/cuda.hpp"
#include "tests/emulator/simt.hpp"

namespace rw::simt {  // null where the emulator is not linked
[[gnu::weak]] Order& order();
[[gnu::weak]] size_t matrix_bank_conflicts();
}  // namespace rw::simt

namespace rw::test {

inline bool on_gpu() {
  static const bool there = !simt::order && cuda::device_count && cuda::device_count() > 0;
  return there;
}

// Memory that the host and the GPU reach without a copy. Pinning takes long: what is given back is kept.
struct KeepPinned {
  static std::vector<std::byte*>& kept(size_t bytes) {
    static std::map<size_t, std::vector<std::byte*>> all;
    return all[bytes];
  }
  void operator()(std::byte* memory) const { kept(bytes).push_back(memory); }
  size_t bytes = 0;
};
using Pinned = std::unique_ptr<std::byte, KeepPinned>;

inline Pinned allocate_pinned(size_t least) {
  const size_t bytes = std::bit_ceil(least);
  std::vector<std::byte*>& kept = KeepPinned::kept(bytes);
  if (kept.empty()) kept.push_back(cuda::allocate_pinned(bytes));
  if (!kept.back()) throw std::runtime_error("no pinned memory");
  Pinned memory(kept.back(), {bytes});
  kept.pop_back();
  return memory;
}

}  // namespace rw::test
