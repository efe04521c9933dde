// Data races. GCC's -fsanitize=thread makes compiled kernels call a function before every access to memory; here these
// functions are defined, and the runtime that they belong to is not linked. For every two bytes the last reads and the
// last write are kept, with block, barriers so far and thread.
#include <dlfcn.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <unordered_map>

#include "tests/emulator/machine.hpp"

namespace rw::simt {
namespace {

struct Last {
  uint32_t launch = 0, block = 0;
  uint64_t block_barriers = 0;
  uint32_t thread = 0, clock = 0;  // of the warp
  uint32_t lanes = 0;              // of the warp: that have not met since
  bool several_warps = false;      // no barrier of the block between
  bool several_blocks = false;
  const void* code = nullptr;
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
  const Fiber& self;
  const Warp& warp;
  bool shared;
  const void* code;

  bool same_phase(const Last& last) const {  // no barrier of the block between
    return last.launch == machine.launches && last.block == machine.blocks &&
           last.block_barriers == machine.barrier_generation;
  }
  bool same_warp(const Last& last) const {
    return !last.several_warps && last.thread / Exchange::kLanes == self.warp();
  }
  uint32_t unseen(const Last& last) const {  // lanes
    uint32_t lanes = 0;
    for (uint32_t rest = last.lanes & ~(1u << self.lane()); rest != 0; rest &= rest - 1)
      if (last.clock >= warp.seen(self.lane(), std::countr_zero(rest))) lanes |= rest & -rest;
    return lanes;
  }

  bool conflicts(const Last& last) const {
    if (last.launch != machine.launches) return false;
    if (last.block != machine.blocks || last.several_blocks) return !shared;  // which is another one in each block
    return same_phase(last) && (!same_warp(last) || unseen(last) != 0);
  }

  void note(Last& last, Access access) const {
    Last now{.launch = machine.launches, .block = machine.blocks, .block_barriers = machine.barrier_generation};
    now.thread = self.number, now.clock = warp.clock, now.code = code;
    now.lanes = 1u << self.lane();
    if (access == Access::read && same_phase(last) && same_warp(last)) now.lanes |= unseen(last);
    now.several_warps = same_phase(last) && !same_warp(last);
    now.several_blocks = !shared && last.launch == now.launch && (last.several_blocks || last.block != now.block);
    last = now;
  }
};

// " at FILE:LINE", or nothing if the kernels have no debug information or binutils' addr2line is missing. Of functions
// inlined into each other the inner ones come first.
std::string source_line(const void* code) {
  Dl_info library;
  if (!::dladdr(code, &library)) return "";
  std::ostringstream command;
  command << "addr2line -i -e '" << library.dli_fname << "' "
          << reinterpret_cast<void*>(static_cast<const char*>(code) - static_cast<char*>(library.dli_fbase) - 1);
  FILE* const output = ::popen((command.str() + " 2>/dev/null").c_str(), "r");
  if (!output) return "";
  std::string all;
  for (char line[1024]; std::fgets(line, sizeof line, output);) {
    const std::string place(line, std::strcspn(line, " \n"));
    if (place[0] == '?' || place.find("/emulator/core/") != std::string::npos) break;
    all += (all.empty() ? " at " : ", inlined at ") + place;
  }
  ::pclose(output);
  return all;
}

}  // namespace

void touch(const void* at, size_t bytes, Access access, const void* code) {
  if (!machine.current || machine.is_stack(at)) return;
  const Fiber& self = *machine.current;
  const Now now{self, machine.warps[self.warp()], is_shared(at), code};
  const auto begin = reinterpret_cast<uintptr_t>(at);
  for (uintptr_t a = begin / kCellBytes * kCellBytes; a < begin + bytes; a += kCellBytes) {
    Cell& c = cell(a);
    const auto report = [&](const Last& last, const char* other) {
      misuse(Place(), "a data race on ", now.shared ? "shared" : "global", " memory: a ",
             access == Access::read ? "read" : "write", source_line(now.code), " and a ", other, source_line(last.code),
             " by thread ", last.thread, last.block == machine.blocks ? "" : " of another block",
             ", no barrier between");
    };
    if (now.conflicts(c.write)) report(c.write, "write");
    if (access == Access::write && now.conflicts(c.read)) report(c.read, "read");
    now.note(access == Access::read ? c.read : c.write, access);
  }
}

}  // namespace rw::simt

namespace {
void reads(const void* at, size_t bytes, const void* code) { rw::simt::touch(at, bytes, rw::simt::Access::read, code); }
void writes(const void* at, size_t bytes, const void* code) {
  rw::simt::touch(at, bytes, rw::simt::Access::write, code);
}
}  // namespace

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
#define RW_HOOK(name, access, n) \
  void __tsan_##name(void* p) { access(p, n, __builtin_return_address(0)); }
#define RW_HOOKS(n)                    \
  RW_HOOK(read##n, reads, n)           \
  RW_HOOK(write##n, writes, n)         \
  RW_HOOK(unaligned_read##n, reads, n) \
  RW_HOOK(unaligned_write##n, writes, n)
RW_HOOKS(1)
RW_HOOKS(2)
RW_HOOKS(4)
RW_HOOKS(8)
RW_HOOKS(16)
#undef RW_HOOKS
#undef RW_HOOK
void __tsan_read_range(void* p, size_t bytes) { reads(p, bytes, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t bytes) { writes(p, bytes, __builtin_return_address(0)); }
}
