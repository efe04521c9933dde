#pragma once
#include <hwy/highway.h>

#include <string>
#include <vector>

#include "core/dispatch.hpp"
#include "tests/emulator/simt.hpp"
#include "tests/support/tensor.hpp"

namespace rw::simt {
[[gnu::weak]] Order& order();  // null where the emulator is not linked
[[gnu::weak]] size_t matrix_bank_conflicts();
}  // namespace rw::simt

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

// The CUDA twins, run by the emulator: in f32 in three orders of threads and blocks; under AddressSanitizer, which is
// slow and finds the same in each, in one; in bf16, of the same source, in one.
inline std::vector<Backend> emulated_backends() {
  if (!simt::order) return {};
  std::vector<Backend> all;
  const auto add = [&](const char* name, DType dtype, auto order) {
    all.push_back({.name = name, .dtype = dtype, .device = {Device::cuda, 0}, .order = {order}});
  };
  add("emulated", DType::f32, simt::Order::forward);
#ifndef __SANITIZE_ADDRESS__
  add("emulated_reverse", DType::f32, simt::Order::reverse);
  add("emulated_shuffled", DType::f32, simt::Order::shuffled);
#endif
  add("emulated_bf16", DType::bf16, simt::Order::shuffled);
  return all;
}

// The plain twins, the fast ones on every instruction set that the machine has and ROPEWALK_ISA allows, and the CUDA
// twins. With ROPEWALK_TEST_BACKENDS=emulated in the environment only the CUDA twins, each dtype in one order: for a
// build that looks for data races, which do not depend on it. With cpu: without them.
inline std::vector<Backend> backends() {
  const char* const asked = std::getenv("ROPEWALK_TEST_BACKENDS");
  const std::string only = asked ? asked : "";
  const std::vector<Backend> emulated = only == "cpu" ? std::vector<Backend>() : emulated_backends();
  if (only == "emulated") return {emulated.at(0), emulated.back()};
  std::vector<Backend> all = {{"plain_f64", DType::f64, {}, true}, {"plain_f32", DType::f32, {}, true}};
  all.insert(all.end(), emulated.begin(), emulated.end());
  limit_isa_once();
  for (int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const int64_t lowest = rest & -rest;  // one bit for each instruction set
    all.push_back({std::string("fast_") + hwy::TargetName(lowest), DType::f32, {}, false, lowest});
  }
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

}  // namespace rw::test
