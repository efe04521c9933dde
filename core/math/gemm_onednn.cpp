#include <oneapi/dnnl/dnnl.h>

#include "core/base/parallel.hpp"
#include "core/math/gemm.hpp"

namespace rw {
namespace {

// Row-major c = op(a) · op(b) + (accumulate ? c : 0).
void sgemm(const char* op, View c, CView a, bool transpose_a, CView b, bool transpose_b, int64_t k, bool accumulate) {
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', c.rows(), c.width(), k,
                                          1.0f, a.as<float>().data, a.row_stride, b.as<float>().data, b.row_stride,
                                          accumulate ? 1.0f : 0.0f, c.as<float>().data, c.row_stride);
  if (status != dnnl_success) throw Error(std::string(op) + ": oneDNN answers status " + std::to_string(status));
}

}  // namespace

void fast::gemm_nt(Ctx&, View c, CView a, CView b, CView bias, Grad store) {
  if (!bias.empty())
    parallel_for(c.rows(), [&](int64_t r) { std::copy_n(bias.as<float>().data, c.width(), c.as<float>()[r]); });
  sgemm("gemm_nt", c, a, false, b, true, a.width(), store == Grad::accumulate || !bias.empty());
}

void fast::gemm_nn(Ctx&, View c, CView a, CView b, Grad store) {
  sgemm("gemm_nn", c, a, false, b, false, a.width(), store == Grad::accumulate);
}

void fast::gemm_tn(Ctx&, View c, CView a, CView b, Grad store) {
  sgemm("gemm_tn", c, a, true, b, false, a.rows(), store == Grad::accumulate);
}

}  // namespace rw
