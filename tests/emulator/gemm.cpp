// core/math/gemm.hpp for the emulator, in place of cuBLASLt: sums in f64, rounded once.
#include "core/math/gemm.hpp"

namespace rw {
namespace {

// c[i][j] = Σ_k a(i, k) · b(k, j), plus bias[j], plus c[i][j] with Grad::accumulate.
void product(View c, CView a, bool transpose_a, CView b, bool transpose_b, CView bias, Grad store) {
  visit_dtype<float, bf16>(a.dtype, [&]<class In>() {
    visit_dtype<float, bf16>(c.dtype, [&]<class Out>() {
      const auto element = [](auto rows, bool transpose, int64_t i, int64_t j) {
        return static_cast<double>(static_cast<float>(transpose ? rows[j][i] : rows[i][j]));
      };
      const int64_t inner = transpose_a ? a.rows() : a.width();
      for (int64_t i = 0; i < c.rows(); ++i)
        for (int64_t j = 0; j < c.width(); ++j) {
          double sum = bias.empty() ? 0 : element(bias.as<Out>(), false, 0, j);
          for (int64_t k = 0; k < inner; ++k)
            sum += element(a.as<In>(), transpose_a, i, k) * element(b.as<In>(), transpose_b, k, j);
          if (store == Grad::accumulate) sum += element(c.as<Out>(), false, i, j);
          c.as<Out>()[i][j] = Out(static_cast<float>(sum));
        }
    });
  });
}

}  // namespace

void cuda::gemm_nt(Ctx&, View c, CView a, CView b, CView bias, Grad store) {
  product(c, a, false, b, true, bias, store);
}
void cuda::gemm_nn(Ctx&, View c, CView a, CView b, Grad store) { product(c, a, false, b, false, {}, store); }
void cuda::gemm_tn(Ctx&, View c, CView a, CView b, Grad store) { product(c, a, true, b, false, {}, store); }

}  // namespace rw
