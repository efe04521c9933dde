#include <cmath>

#include "core/math/add_parts.hpp"
#include "layers/norm/layer_norm.hpp"

namespace rw {
namespace {

template <class T>
void forward(Rows<T> y, Rows<T> h, T* means, T* rstds, Rows<const T> x, Rows<const T> branch, const T* weight,
             const T* bias, int64_t rows, int64_t width, T eps) {
  parallel_for(rows, [=](int64_t r) {
    const T* in = x[r];
    if (branch.data) {
      for (int64_t c = 0; c < width; ++c) h[r][c] = x[r][c] + branch[r][c];
      in = h[r];
    }
    T sum = 0, squares = 0;
    for (int64_t c = 0; c < width; ++c) sum += in[c];
    const T mean = sum / static_cast<T>(width);
    for (int64_t c = 0; c < width; ++c) squares += (in[c] - mean) * (in[c] - mean);
    const T rstd = 1 / std::sqrt(squares / static_cast<T>(width) + eps);
    for (int64_t c = 0; c < width; ++c) y[r][c] = weight[c] * ((in[c] - mean) * rstd) + (bias ? bias[c] : T(0));
    means[r] = mean;
    rstds[r] = rstd;
  });
}

// partial: the sums for dweight, under them those for dbias if there is one; null with Grad::skip.
template <class T>
void backward(Rows<T> dx, Rows<T> partial, bool with_bias, Rows<const T> dy, Rows<const T> dh, Rows<const T> h,
              const T* mean, const T* rstd, const T* weight, int64_t rows, int64_t width) {
  const int64_t parts = row_parts(rows);
  parallel_for(parts, [=](int64_t part) {
    T *dweight = partial[part], *dbias = with_bias ? partial[parts + part] : nullptr;
    if (dweight) std::fill_n(dweight, width, T(0));
    if (dbias) std::fill_n(dbias, width, T(0));
    const auto [begin, end] = row_part(rows, parts, part);
    for (int64_t r = begin; r < end; ++r) {
      T sum_g = 0, sum_gn = 0;  // g = weight · dy, n = (h - mean) · rstd
      for (int64_t c = 0; c < width; ++c) {
        const T g = weight[c] * dy[r][c];
        sum_g += g;
        sum_gn += g * ((h[r][c] - mean[r]) * rstd[r]);
      }
      const T mean_g = sum_g / static_cast<T>(width), mean_gn = sum_gn / static_cast<T>(width);
      for (int64_t c = 0; c < width; ++c) {
        const T d = dy[r][c], n = (h[r][c] - mean[r]) * rstd[r];  // read before dx is written, which may be dy
        if (dweight) dweight[c] += d * n;
        if (dbias) dbias[c] += d;
        dx[r][c] = (dh.data ? dh[r][c] : T(0)) + rstd[r] * (weight[c] * d - mean_g - n * mean_gn);
      }
    }
  });
}

}  // namespace

void cpu::layer_norm_forward(Ctx&, View y, View h, View mean, View rstd, CView x, CView branch, CView weight,
                             CView bias, double eps) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    forward(y.as<T>(), h.as<T>(), mean.as<T>().data, rstd.as<T>().data, x.as<T>(), branch.as<T>(), weight.as<T>().data,
            bias.as<T>().data, x.rows(), x.width(), static_cast<T>(eps));
  });
}

void cpu::layer_norm_backward(Ctx&, View dx, View dweight, View dbias, CView dy, CView dh, CView h, CView mean,
                              CView rstd, CView weight, Grad mode, View partial) {
  visit_dtype<double, float>(h.dtype, [&]<class T>() {
    const bool wanted = mode != Grad::skip, with_bias = wanted && !dbias.empty();
    backward(dx.as<T>(), partial.as<T>(), with_bias, dy.as<T>(), dh.as<T>(), h.as<T>(), mean.as<T>().data,
             rstd.as<T>().data, weight.as<T>().data, h.rows(), h.width());
    const int64_t parts = row_parts(h.rows());
    const auto add = [&](View sum, int64_t first) {
      add_parts(sum.as<T>().data, CView(rw::rows(partial, first, parts)).as<T>(), parts, h.width(), mode);
    };
    if (wanted) add(dweight, 0);
    if (with_bias) add(dbias, parts);
  });
}

}  // namespace rw
