#include "tests/emulator/simt.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

#include "tests/emulator/machine.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace rw::simt {

Dim thread_index, block_index, block_size, grid_size;
Machine machine;

namespace {

alignas(1024) std::byte dynamic_memory[kSharedLimit];

std::string text(Dim d) {
  return '(' + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ')';
}
template <class T>
std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}
bool same(Place a, Place b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

void set_dynamic_access(size_t bytes) {  // what lies beyond them may not be touched
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(dynamic_memory, kSharedLimit);
  ASAN_POISON_MEMORY_REGION(dynamic_memory + bytes, kSharedLimit - bytes);
#else
  (void)bytes;
#endif
}

// AddressSanitizer has red zones between the variables, and would watch memset.
#ifdef __SANITIZE_ADDRESS__
[[gnu::no_sanitize_address]] void set_nan(std::span<std::byte> variables) {
  for (volatile std::byte& byte : variables) byte = std::byte{0xff};
}
#else
void set_nan(std::span<std::byte> variables) { std::memset(variables.data(), 0xff, variables.size()); }
#endif

void to_scheduler([[maybe_unused]] bool for_good) {
#ifdef __SANITIZE_ADDRESS__
  Fiber* const self = machine.current;
  __sanitizer_start_switch_fiber(for_good ? nullptr : &self->fake_stack, machine.scheduler_stack,
                                 machine.scheduler_stack_bytes);
#endif
  machine.scheduler = boost::context::detail::jump_fcontext(machine.scheduler, nullptr).fctx;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self->fake_stack, nullptr, nullptr);
#endif
}

void wait(const uint64_t& generation, const char* in, Place place) {
  Fiber& self = *machine.current;
  self.waits_for = &generation, self.seen = generation, self.in = in, self.place = place;
  to_scheduler(false);
  self.waits_for = nullptr;
  if (!machine.problem.empty()) to_scheduler(true);
}

void open_barrier() {
  machine.at_barrier = 0;
  ++machine.barrier_generation;
}

void complete(Warp& warp, Meeting& meeting) {
  if (std::strcmp(meeting.operation, "__syncwarp") == 0) warp.barrier(meeting.arrived);
  meeting.lanes[meeting.generation % 2] = meeting.arrived;
  meeting.arrived = 0;
  ++meeting.generation;
}

// Nobody waits any more for a thread that has returned.
void leave(Fiber& self) {
  if (!self.copies.empty()) machine.problem = "a thread returned with copies that it had not waited for";
  self.done = true;
  Warp& warp = machine.warps[self.warp()];
  warp.live &= ~(1u << self.lane());
  --machine.live;
  for (Meeting& meeting : warp.meetings)
    if (meeting.arrived && meeting.arrived == (meeting.mask & warp.live)) complete(warp, meeting);
  if (machine.at_barrier > 0 && machine.at_barrier == machine.live) open_barrier();
}

void fiber_main(boost::context::detail::transfer_t from) {
  machine.scheduler = from.fctx;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &machine.scheduler_stack, &machine.scheduler_stack_bytes);
#endif
  (*machine.thread)();
  leave(*machine.current);
  to_scheduler(true);
}

void resume(Fiber& fiber) {
  machine.current = &fiber;
  thread_index = fiber.index;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&machine.scheduler_fake_stack, fiber.stack, Machine::kStack);
#endif
  fiber.context = boost::context::detail::jump_fcontext(fiber.context, nullptr).fctx;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(machine.scheduler_fake_stack, nullptr, nullptr);
#endif
  machine.current = nullptr;
}

// AddressSanitizer has something on each stack that ends with its fiber only.
void end_all() {
  for (Fiber& fiber : machine.fibers)
    if (!fiber.done && fiber.waits_for) resume(fiber);
}

template <class T>
void arrange(std::vector<T>& sequence) {
  if (machine.order.kind == Order::reverse) std::reverse(sequence.begin(), sequence.end());
  if (machine.order.kind != Order::shuffled) return;
  for (size_t i = sequence.size(); i > 1; --i) {
    machine.random ^= machine.random << 13, machine.random ^= machine.random >> 7,
        machine.random ^= machine.random << 17;
    std::swap(sequence[i - 1], sequence[machine.random % i]);
  }
}

std::string deadlock(size_t left) {
  const Fiber *first = nullptr, *other = nullptr;
  for (const Fiber& fiber : machine.fibers) {
    if (fiber.done) continue;
    if (!first) first = &fiber;
    if (!other && !same(fiber.place, first->place)) other = &fiber;
  }
  std::string what = "deadlock: " + std::to_string(left) + " of " + std::to_string(machine.fibers.size()) +
                     " threads wait; thread " + std::to_string(first->number) + " in " + first->in + " at " +
                     text(first->place);
  if (other) what += ", thread " + std::to_string(other->number) + " in " + other->in + " at " + text(other->place);
  return what;
}

void prepare_stacks() {
  if (machine.stacks) return;
  void* const memory = ::mmap(nullptr, Machine::kMostThreads * Machine::kStack, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  machine.stacks = static_cast<std::byte*>(memory);
  for (size_t i = 0; i < Machine::kMostThreads; ++i)
    ::mprotect(machine.stacks + i * Machine::kStack, Machine::kGuard, PROT_NONE);
}

void prepare_block(size_t dynamic_bytes) {
  set_dynamic_access(dynamic_bytes);
  std::memset(dynamic_memory, 0xff, dynamic_bytes);  // NaN
  set_nan(machine.static_shared);
  const auto threads = static_cast<unsigned>(machine.fibers.size());
  machine.live = threads;
  machine.at_barrier = 0;
  ++machine.blocks;
  machine.warps.resize((threads + Exchange::kLanes - 1) / Exchange::kLanes);
  for (unsigned w = 0; w < machine.warps.size(); ++w) {
    const unsigned lanes = std::min<unsigned>(threads - w * Exchange::kLanes, Exchange::kLanes);
    machine.warps[w].live = lanes == Exchange::kLanes ? ~0u : (1u << lanes) - 1;
    for (Meeting& meeting : machine.warps[w].meetings) meeting.arrived = 0;
  }
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& fiber = machine.fibers[i];
    fiber.number = i;
    fiber.index = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
    fiber.done = false, fiber.waits_for = nullptr, fiber.fake_stack = nullptr;
    fiber.copies.clear(), fiber.copy_group = 0;
    fiber.stack = machine.stacks + i * Machine::kStack;
#ifdef __SANITIZE_ADDRESS__
    constexpr size_t kOuterFrames = 4096;  // which end with the block, not by a return
    const size_t left = machine.abandoned ? Machine::kStack - Machine::kGuard : kOuterFrames;
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack + Machine::kStack - left, left);
#endif
    const size_t stagger = i % 61 * 1088;  // or all stacks compete for the same lines of the cache
    fiber.context = boost::context::detail::make_fcontext(fiber.stack + Machine::kStack - stagger,
                                                          Machine::kStack - stagger, fiber_main);
  }
}

void run_block(size_t dynamic_bytes) {
  prepare_block(dynamic_bytes);
  std::vector<Fiber*> sequence;
  for (Fiber& fiber : machine.fibers) sequence.push_back(&fiber);
  arrange(sequence);
  size_t left = sequence.size();
  while (left > 0) {
    bool any = false;
    if (machine.order.kind == Order::shuffled) arrange(sequence);
    for (Fiber* fiber : sequence) {
      if (fiber->done || (fiber->waits_for && *fiber->waits_for == fiber->seen)) continue;
      any = true;
      resume(*fiber);
      if (!machine.problem.empty()) return end_all();
      if (fiber->done) --left;
    }
    if (!any) {
      machine.problem = deadlock(left);
      return end_all();
    }
  }
}

// Writes the names of the kernels that were launched to the file that ROPEWALK_LAUNCHED names, so that a test of all
// tests knows which kernels none has run.
void record(std::string_view kernel) {
  static const char* const file = std::getenv("ROPEWALK_LAUNCHED");
  static std::set<std::string> seen;
  if (!file) return;
  const auto mode = seen.empty() ? std::ios::trunc : std::ios::app;
  if (seen.emplace(kernel).second) std::ofstream(file, mode) << kernel << '\n';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, Place place) { return out << place.file_name() << ':' << place.line(); }

// Where lanes of the meeting have seen different things, each sees all of it now.
void Warp::barrier(uint32_t lanes) {
  ++clock;
  if (lanes == live) {
    seen_by_all = clock;
    return;
  }
  uint32_t joint[Exchange::kLanes] = {};
  const auto each = [&](auto&& f) {
    for (int i = 0; i < Exchange::kLanes; ++i)
      if (lanes >> i & 1) f(i);
  };
  each([&](int j) {
    for (int i = 0; i < Exchange::kLanes; ++i) joint[i] = std::max(joint[i], seen_by_lane[j][i]);
  });
  each([&](int i) { joint[i] = clock; });
  each([&](int j) { std::copy_n(joint, Exchange::kLanes, seen_by_lane[j]); });
}

bool is_shared(const void* p) {
  const auto* at = static_cast<const std::byte*>(p);
  const auto& fixed = machine.static_shared;
  return (at >= dynamic_memory && at < dynamic_memory + kSharedLimit) ||
         (at >= fixed.data() && at < fixed.data() + fixed.size());
}

Order& order() { return machine.order; }
std::byte* dynamic_shared() { return dynamic_memory; }
int lane() { return machine.current->lane(); }
size_t matrix_bank_conflicts() { return machine.bank_conflicts; }
void count_bank_conflicts(size_t n) { machine.bank_conflicts += n; }

void run(const Launch& launch, const std::function<void()>& thread) {
  if (machine.current) misuse(Place(), launch.kernel, ": a launch from a kernel");
  const auto [grid, block] = std::pair(launch.grid, launch.block);
  const size_t threads = size_t{block.x} * block.y * block.z;
  const auto refuse = [&](const std::string& what) { throw Misuse(std::string(launch.kernel) + ": " + what); };
  if (threads == 0 || threads > Machine::kMostThreads || block.z > 64) refuse("a block of " + text(block) + " threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    refuse("a grid of " + text(grid) + " blocks");
  if (launch.dynamic_bytes > kSharedLimit) refuse(std::to_string(launch.dynamic_bytes) + " bytes of shared memory");
  record(launch.kernel);
  prepare_stacks();
  machine.abandoned = !machine.problem.empty();  // frames of the launch before were left as they stood
  machine.problem.clear();
  machine.random = machine.order.seed * 2654435761u + 88172645463325252u;
  machine.fibers.resize(threads);
  machine.thread = &thread;
  machine.static_shared = launch.static_shared;
  ++machine.launches;
  grid_size = grid, block_size = block;
  std::vector<uint64_t> blocks(uint64_t{grid.x} * grid.y * grid.z);
  for (uint64_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
  arrange(blocks);
  for (const uint64_t i : blocks) {
    block_index = {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                   static_cast<unsigned>(i / grid.x / grid.y)};
    run_block(launch.dynamic_bytes);
    if (!machine.problem.empty()) break;
  }
  set_dynamic_access(kSharedLimit);
  if (!machine.problem.empty()) refuse(machine.problem + ", block " + text(block_index));
}

void report(const std::string& what, Place place) {
  machine.problem = what + (place.line() ? " at " + text(place) : "") + ", thread " + text(machine.current->index);
}

void stop() {
  to_scheduler(true);  // nobody comes back
  std::abort();
}

void block_barrier(Place place) {
  const Fiber& self = *machine.current;
  if (machine.at_barrier++ == 0) {
    machine.barrier_place = place;
    machine.first_at_barrier = self.number;
  } else if (!same(machine.barrier_place, place)) {
    misuse(place, "a divergent barrier: thread ", machine.first_at_barrier, " waits at ", machine.barrier_place,
           " and another");
  }
  if (machine.at_barrier == machine.live)
    open_barrier();
  else
    wait(machine.barrier_generation, "__syncthreads", place);
}

void Exchange::copy(int lane, void* to, size_t bytes) const { std::memcpy(to, slots_ + lane * kBytes, bytes); }

Exchange exchange(uint32_t mask, const char* operation, const void* value, size_t bytes, Place place) {
  const Fiber& self = *machine.current;
  Warp& warp = machine.warps[self.warp()];
  const int lane = self.lane();
  if (!(mask >> lane & 1)) misuse(place, operation, " of a lane that is not in its own mask");
  auto found =
      std::find_if(warp.meetings.begin(), warp.meetings.end(), [&](const Meeting& m) { return m.mask == mask; });
  if (found == warp.meetings.end()) {
    found = warp.meetings.emplace(found);
    found->mask = mask;
  }
  Meeting& meeting = *found;
  if (meeting.arrived == 0) {
    meeting.operation = operation, meeting.place = place;
  } else if (std::strcmp(meeting.operation, operation) != 0) {
    misuse(place, "lanes of a warp disagree: one is in ", meeting.operation, " at ", meeting.place, ", another in ",
           operation);
  }
  const size_t turn = meeting.generation % 2;
  std::memcpy(meeting.slots[turn] + lane * Exchange::kBytes, value, bytes);
  meeting.arrived |= 1u << lane;
  if (meeting.arrived == (mask & warp.live)) {
    complete(warp, meeting);
  } else {
    wait(meeting.generation, operation, place);
  }
  return {meeting.slots[turn], meeting.lanes[turn]};
}

void warp_barrier(uint32_t mask, Place place) { exchange(mask, "__syncwarp", "", 1, place); }

void begin_copy(void* to, const void* from, size_t given, size_t bytes, Place place) {
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0)
    misuse(place, "copy_async with an address that is not a multiple of ", bytes);
  if (!is_shared(to)) misuse(place, "copy_async to what is not shared memory");
  if (is_shared(from)) misuse(place, "copy_async from shared memory");
  if (given > bytes) misuse(place, "copy_async of ", given, " bytes into ", bytes);
  if (given > 0) touch(from, given, Access::read, __builtin_return_address(0));
  touch(to, bytes, Access::write, __builtin_return_address(0));
  machine.current->copies.push_back({to, from, given, bytes, machine.current->copy_group});
}

void commit_copies() { ++machine.current->copy_group; }

void wait_for_copies(int groups_that_may_remain) {
  Fiber& self = *machine.current;
  const void* const code = __builtin_return_address(0);
  std::erase_if(self.copies, [&](const Copy& copy) {
    if (copy.group >= self.copy_group - groups_that_may_remain) return false;
    touch(copy.to, copy.bytes, Access::write, code);
    std::memcpy(copy.to, copy.from, copy.given);
    std::memset(static_cast<std::byte*>(copy.to) + copy.given, 0, copy.bytes - copy.given);
    return true;
  });
}

}  // namespace rw::simt
