// Data races. GCC's -fsanitize=thread makes compiled kernels call a function before every access to memory; here these
// functions are defined, and the runtime that they belong to is not linked. For every two bytes the last read and the
// last write are kept, with block, barriers so far and thread.
#include <unordered_map>

#include "tests/emulator/machine.hpp"

namespace rw::simt {
namespace {

struct Last {
  uint32_t launch = 0, block = 0, warp_barriers = 0;
  uint64_t block_barriers = 0;
  uint32_t thread = 0;
  bool several = false;        // by several threads of the warp, with no barrier of the warp between
  bool several_warps = false;  // by several warps, with no barrier of the block between
};

struct Cell {
  Last read, write;
};

constexpr uintptr_t kPage = 4096, kCellBytes = 2;

Cell& cell(uintptr_t at) {
  static std::unordered_map<uintptr_t, std::vector<Cell>> pages;
  static uintptr_t number = 0;
  static Cell* cells = nullptr;
  if (!cells || at / kPage != number) {
    number = at / kPage;
    auto& page = pages[number];
    if (page.empty()) page.resize(kPage / kCellBytes);
    cells = page.data();
  }
  return cells[at % kPage / kCellBytes];
}

struct Now {
  bool shared;
  uint32_t thread, warp_barriers;

  bool conflicts(const Last& last) const {
    if (last.launch != machine.launches) return false;
    if (last.block != machine.blocks) return !shared;  // another block has other shared memory
    if (last.block_barriers != machine.barrier_generation) return false;
    if (last.several_warps || last.thread / Exchange::kLanes != machine.current->warp()) return true;
    return last.warp_barriers == warp_barriers && (last.several || last.thread != thread);
  }

  void note(Last& last, bool whole_warp) const {
    const bool now = last.launch == machine.launches && last.block == machine.blocks &&
                     last.block_barriers == machine.barrier_generation;
    const bool several = now && last.warp_barriers == warp_barriers && (last.several || last.thread != thread);
    const bool warps = now && (last.several_warps || last.thread / Exchange::kLanes != machine.current->warp());
    last = {machine.launches, machine.blocks,        warp_barriers, machine.barrier_generation,
            thread,           several || whole_warp, warps};
  }
};

}  // namespace

void touch(const void* at, size_t bytes, Access access, bool whole_warp) {
  if (!machine.current || machine.is_stack(at)) return;
  const Fiber& self = *machine.current;
  const Now now{machine.is_shared(at), self.number, machine.warps[self.warp()].barriers};
  const auto begin = reinterpret_cast<uintptr_t>(at);
  for (uintptr_t a = begin / kCellBytes * kCellBytes; a < begin + bytes; a += kCellBytes) {
    Cell& c = cell(a);
    const auto report = [&](const Last& last, const char* other) {
      const std::string memory = now.shared ? "shared" : "global";
      misuse("a data race on " + memory + " memory: a " + (access == Access::read ? "read" : "write") + " and a " +
                 other + " by thread " + std::to_string(last.thread) +
                 (last.block == machine.blocks ? "" : " of another block") + ", no barrier between",
             Place());
    };
    if (now.conflicts(c.write)) report(c.write, "write");
    if (access == Access::write && now.conflicts(c.read)) report(c.read, "read");
    now.note(access == Access::read ? c.read : c.write, whole_warp);
  }
}

}  // namespace rw::simt

namespace {
void reads(const void* at, size_t bytes) { rw::simt::touch(at, bytes, rw::simt::Access::read); }
void writes(const void* at, size_t bytes) { rw::simt::touch(at, bytes, rw::simt::Access::write); }
}  // namespace

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
#define RW_HOOKS(n)                                       \
  void __tsan_read##n(void* p) { reads(p, n); }           \
  void __tsan_write##n(void* p) { writes(p, n); }         \
  void __tsan_unaligned_read##n(void* p) { reads(p, n); } \
  void __tsan_unaligned_write##n(void* p) { writes(p, n); }
RW_HOOKS(1);
RW_HOOKS(2);
RW_HOOKS(4);
RW_HOOKS(8);
RW_HOOKS(16);
#undef RW_HOOKS
void __tsan_read_range(void* p, size_t bytes) { reads(p, bytes); }
void __tsan_write_range(void* p, size_t bytes) { writes(p, bytes); }
}
