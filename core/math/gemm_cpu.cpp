#include "core/base/parallel.hpp"
#include "core/math/gemm.hpp"

namespace rw {
namespace {

// c[i][j] (+)= Σ_p a(i, p) · b(p, j), p ascending.
template <class T, class A, class B>
void product(Rows<T> c, int64_t m, int64_t n, int64_t k, A a, B b, const T* bias, Grad store) {
  parallel_for(m, [=](int64_t i) {
    if (store == Grad::overwrite)
      for (int64_t j = 0; j < n; ++j) c[i][j] = bias ? bias[j] : T(0);
    for (int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a(i, p) * b(p, j);
      c[i][j] += sum;
    }
  });
}

}  // namespace

void cpu::gemm_nt(Ctx&, View c, CView a, CView b, CView bias, Grad store) {
  visit_dtype<double, float>(c.dtype, [&]<class T>() {
    const auto va = a.as<T>(), vb = b.as<T>();
    product(
        c.as<T>(), c.rows(), c.width(), a.width(), [=](int64_t i, int64_t p) { return va[i][p]; },
        [=](int64_t p, int64_t j) { return vb[j][p]; }, bias.as<T>().data, store);
  });
}

void cpu::gemm_nn(Ctx&, View c, CView a, CView b, Grad store) {
  visit_dtype<double, float>(c.dtype, [&]<class T>() {
    const auto va = a.as<T>(), vb = b.as<T>();
    product<T>(
        c.as<T>(), c.rows(), c.width(), a.width(), [=](int64_t i, int64_t p) { return va[i][p]; },
        [=](int64_t p, int64_t j) { return vb[p][j]; }, nullptr, store);
  });
}

void cpu::gemm_tn(Ctx&, View c, CView a, CView b, Grad store) {
  visit_dtype<double, float>(c.dtype, [&]<class T>() {
    const auto va = a.as<T>(), vb = b.as<T>();
    product<T>(
        c.as<T>(), c.rows(), c.width(), a.rows(), [=](int64_t i, int64_t p) { return va[p][i]; },
        [=](int64_t p, int64_t j) { return vb[p][j]; }, nullptr, store);
  });
}

}  // namespace rw
