#include <oneapi/dnnl/dnnl.h>

#include <atomic>

#include "core/base/parallel.hpp"
#include "core/math/gemm.hpp"
#include "core/math/row_parts.hpp"

namespace rw {
namespace {

// Rows of c for each thread, from which on the cut is ours: one product for each thread. oneDNN's own cut is as good
// for most shapes, but loses a quarter of the speed for wide sums into narrow rows (gemm_nt 2048 x 384 x 1024).
constexpr int64_t kRowsOfThread = 256;

// Row-major c = op(a) · op(b) + (accumulate ? c : 0).
void sgemm(const char* op, View c, CView a, bool transpose_a, CView b, bool transpose_b, int64_t k, bool accumulate) {
  const int64_t parts = c.rows() >= kRowsOfThread * threads() ? threads() : 1;
  const auto vc = c.as<float>();
  const auto va = a.as<float>(), vb = b.as<float>();
  std::atomic<int> status = dnnl_success;
  const auto product = [&](int64_t part) {
    const auto [begin, end] = row_part(c.rows(), parts, part);
    const dnnl_status_t answer = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', end - begin, c.width(), k,
                                            1.0f, va.data + begin * (transpose_a ? 1 : va.stride), va.stride, vb.data,
                                            vb.stride, accumulate ? 1.0f : 0.0f, vc[begin], vc.stride);
    if (answer != dnnl_success) status = answer;
  };
  if (parts == 1)
    product(0);  // with oneDNN's threads
  else
    parallel_for(parts, product);
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
