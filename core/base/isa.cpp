#include "core/base/isa.hpp"

#include <hwy/highway.h>
#include <oneapi/dnnl/dnnl.h>

#include <cstdlib>

#include "core/base/user_error.hpp"

namespace rw {
namespace {

bool limit_isa() {
  const char* value = std::getenv("ROPEWALK_ISA");
  const std::string word = value ? value : "";
  if (word.empty() || word == "avx512") return true;
  constexpr int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
  if (word == "avx2") {
    hwy::DisableTargets(kAvx512);
    dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  } else if (word == "sse") {
    hwy::DisableTargets(kAvx512 | HWY_AVX2);
    dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
  } else {
    throw UserError(Exit::usage, "ROPEWALK_ISA is '" + word + "'", "it may be sse, avx2, avx512, or absent");
  }
  return true;
}

}  // namespace

void limit_isa_once() { [[maybe_unused]] static const bool once = limit_isa(); }

std::string isa_name() {
  limit_isa_once();
  const int64_t targets = hwy::SupportedTargets();
  return hwy::TargetName(targets & -targets);
}

}  // namespace rw
