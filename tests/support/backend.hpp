#pragma once
#include <hwy/highway.h>

#include <string>
#include <vector>

#include "core/device/copy.hpp"
#include "core/dispatch.hpp"
#include "tests/support/gpu.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {

// One way to run an op: every test case runs on each.
struct Backend {
  std::string name;
  DType dtype;
  Device device;
  bool plain = false;
  int64_t instruction_set = 0;  // of Highway; 0: the best
  simt::Order order{};          // of the emulator

  operator Where() const { return {dtype, device}; }
};

inline std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << backend.name; }

inline std::string asked_backends() {
  const char* const asked = std::getenv("ROPEWALK_TEST_BACKENDS");
  return asked ? asked : "";
}

// The CUDA twins, on a GPU or in the emulator: there in f32 in three orders of threads and blocks; under
// AddressSanitizer, which is slow and finds the same in each, in one; in bf16, of the same source, in one.
inline std::vector<Backend> gpu_backends() {
  const std::string asked = asked_backends();
  if ((asked == "device" && !on_gpu()) || (asked == "emulated" && !simt::order))
    throw std::runtime_error("ROPEWALK_TEST_BACKENDS=" + asked + ", but there is no such device");
  const Device device{Device::cuda, 0};
  if (on_gpu())
    return {{.name = "device", .dtype = DType::f32, .device = device},
            {.name = "device_bf16", .dtype = DType::bf16, .device = device}};
  if (!simt::order) return {};
  std::vector<Backend> all;
  const auto add = [&](const char* name, DType dtype, auto order) {
    all.push_back({.name = name, .dtype = dtype, .device = device, .order = {order}});
  };
  add("emulated", DType::f32, simt::Order::forward);
  if (!kAddressSanitizer) {
    add("emulated_reverse", DType::f32, simt::Order::reverse);
    add("emulated_shuffled", DType::f32, simt::Order::shuffled);
  }
  add("emulated_bf16", DType::bf16, simt::Order::shuffled);
  return all;
}

// The plain twins, the fast ones on every instruction set that the machine has and ROPEWALK_ISA allows, and the CUDA
// twins. With ROPEWALK_TEST_BACKENDS=emulated in the environment only the CUDA twins, each dtype in one order: for a
// build that looks for data races, which do not depend on it. With device: the same on a GPU, of which there has to be
// one. With cpu: without them.
inline std::vector<Backend> backends() {
  const std::string asked = asked_backends();
  const std::vector<Backend> devices = asked == "cpu" ? std::vector<Backend>() : gpu_backends();
  if (asked == "emulated" || asked == "device") return {devices.front(), devices.back()};
  std::vector<Backend> all = {{"plain_f64", DType::f64, {}, true}, {"plain_f32", DType::f32, {}, true}};
  all.insert(all.end(), devices.begin(), devices.end());
  limit_isa_once();
  for (int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const int64_t lowest = rest & -rest;  // one bit for each instruction set
    all.push_back({std::string("fast_") + hwy::TargetName(lowest), DType::f32, {}, false, lowest});
  }
  return all;
}

// For ops of which no tensor is ever bf16.
inline std::vector<Backend> backends_without_bf16() {
  std::vector<Backend> all = backends();
  std::erase_if(all, [](const Backend& backend) { return backend.dtype == DType::bf16; });
  return all;
}

// A context with arenas that are large enough for any test, and the backend's instruction set while it lives.
class Bench {
 public:
  explicit Bench(const Backend& backend)
      : saved_("saved", backend.device, 16 << 20),
        scratch_("scratch", backend.device, 64 << 20),
        ctx{.device = backend.device, .saved = saved_, .scratch = scratch_, .plain = backend.plain} {
    if (backend.instruction_set) choose(backend.instruction_set);
    if (simt::order) simt::order() = backend.order;
  }
  ~Bench() { choose(0); }

 private:
  static void choose(int64_t instruction_set) {  // 0: what ROPEWALK_ISA and the machine allow
    hwy::SetSupportedTargetsForTest(instruction_set);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  Arena saved_, scratch_;

 public:
  Ctx ctx;
};

// Scratch starts as NaN, so that what is read there before it was written shows.
inline void poison_scratch(Ctx& ctx) {
  const ArenaScope scope(ctx.scratch);
  const View poisoned = ctx.scratch.take({1 << 16}, DType::f32, "poison");
  const std::vector<std::byte> nan(4 << 16, std::byte{0xff});
  copy(ctx, poisoned, CView{nan.data(), poisoned.shape, DType::f32, {}, poisoned.row_stride});
  synchronize(ctx);
}

}  // namespace rw::test
