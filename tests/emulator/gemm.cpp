// core/math/gemm.hpp for the emulator, in place of cuBLASLt: sums in f64, rounded once.
#include "core/math/gemm.hpp"

namespace rw {
namespace {

// c[i][j] = Σ_k a(i, k) · b(k, j), plus bias[j], plus c[i][j] with Grad::accumulate.
template <class A, class B>
void product(View c, int64_t inner, A a, B b, const float* bias, Grad store) {
  const auto out = c.as<float>();
  for (int64_t i = 0; i < c.rows(); ++i)
    for (int64_t j = 0; j < c.width(); ++j) {
      double sum = bias ? bias[j] : 0;
      for (int64_t k = 0; k < inner; ++k) sum += double{a(i, k)} * double{b(k, j)};
      out[i][j] = static_cast<float>(store == Grad::accumulate ? out[i][j] + sum : sum);
    }
}

auto plain(CView m) {
  return [at = m.as<float>()](int64_t i, int64_t j) { return at[i][j]; };
}
auto transposed(CView m) {
  return [at = m.as<float>()](int64_t i, int64_t j) { return at[j][i]; };
}

}  // namespace

void cuda::gemm_nt(Ctx&, View c, CView a, CView b, CView bias, Grad store) {
  product(c, a.width(), plain(a), transposed(b), bias.as<float>().data, store);
}
void cuda::gemm_nn(Ctx&, View c, CView a, CView b, Grad store) {
  product(c, a.width(), plain(a), plain(b), nullptr, store);
}
void cuda::gemm_tn(Ctx&, View c, CView a, CView b, Grad store) {
  product(c, a.rows(), transposed(a), plain(b), nullptr, store);
}

}  // namespace rw
