// The state of the emulator, shared by its sources.
#pragma once
#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <list>
#include <vector>

#include "tests/emulator/simt.hpp"

namespace rw::simt {

struct Copy {
  void* to;
  const void* from;
  size_t given, bytes;
  int group;
};

struct Fiber {
  boost::context::detail::fcontext_t context = nullptr;
  Dim index;
  unsigned number = 0;  // within the block
  bool done = false;
  const uint64_t* waits_for = nullptr;  // can go on once *waits_for is no longer `seen`
  uint64_t seen = 0;
  const char* in = "";  // which operation it waits in
  Place place;
  std::byte* stack = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  std::vector<Copy> copies;
  int copy_group = 0;

  unsigned warp() const { return number / Exchange::kLanes; }
  int lane() const { return static_cast<int>(number % Exchange::kLanes); }
};

// Lanes that meet under one mask. Two sets of slots, in turn: a fast lane may deposit for the next meeting while slow
// ones still read.
struct Meeting {
  uint32_t mask = 0, arrived = 0;
  const char* operation = "";
  Place place;
  uint64_t generation = 0;
  uint32_t lanes[2] = {};
  alignas(16) std::byte slots[2][Exchange::kLanes * Exchange::kBytes];
};

struct Warp {
  uint32_t live = 0;
  std::list<Meeting> meetings;

  // The clock counts __syncwarp. Lane j sees what lane i did before seen(j, i).
  uint32_t clock = 0, seen_by_all = 0, seen_by_lane[Exchange::kLanes][Exchange::kLanes] = {};

  uint32_t seen(int j, int i) const { return std::max(seen_by_all, seen_by_lane[j][i]); }
  void barrier(uint32_t lanes);
};

struct Machine {
  static constexpr size_t kStack = 256 << 10, kGuard = 4096, kMostThreads = 1024;

  Order order;
  uint64_t random = 1;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  Fiber* current = nullptr;
  boost::context::detail::fcontext_t scheduler = nullptr;
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
  const std::function<void()>* thread = nullptr;
  std::byte* stacks = nullptr;  // kMostThreads of them
  std::string problem;          // ends the launch
  bool abandoned = false;       // the launch before ended so

  uint64_t barrier_generation = 0;
  unsigned at_barrier = 0, first_at_barrier = 0, live = 0;
  Place barrier_place;

  std::span<std::byte> static_shared;
  uint32_t launches = 0, blocks = 0;  // so far
  size_t bank_conflicts = 0;

  bool is_stack(const void* p) const { return stacks && p >= stacks && p < stacks + kMostThreads * kStack; }
};
extern Machine machine;

}  // namespace rw::simt
