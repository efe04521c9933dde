#pragma once
#include <hwy/highway.h>

#include <string>
#include <vector>

#include "core/dispatch.hpp"

namespace rw::test {

// One way to run an op: every test case runs on each.
struct Backend {
  std::string name;
  DType dtype;
  Device device;
  bool plain = false;
  int64_t instruction_set = 0;  // of Highway; 0: the best
};

inline std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << backend.name; }

// The plain twins, and the fast ones on every instruction set that the machine has and ROPEWALK_ISA allows.
inline std::vector<Backend> backends() {
  std::vector<Backend> all = {{"plain_f64", DType::f64, {}, true}, {"plain_f32", DType::f32, {}, true}};
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
