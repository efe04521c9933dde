#include "core/math/gemm.hpp"

#include <gtest/gtest.h>

#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"

namespace rw::test {
namespace {

TEST(Gemm, Smoke) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor a({3, 2}, backend.dtype), b({4, 2}, backend.dtype), c({3, 4}, backend.dtype);
    a.fill(normal(a.size(), 1)), b.fill(normal(b.size(), 2));
    gemm_nt(bench.ctx, c, a, b, {}, Grad::overwrite);
    EXPECT_NEAR(c.values()[5], a.values()[2] * b.values()[2] + a.values()[3] * b.values()[3], 1e-6) << backend;
  }
}

}  // namespace
}  // namespace rw::test
