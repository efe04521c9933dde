#include <cmath>

#include "core/math/add_parts.hpp"
#include "layers/norm/rms_norm.hpp"

namespace rw {
namespace {

template <class T>
void forward(Rows<T> y, Rows<T> h, Rows<T> rstd, Rows<const T> x, Rows<const T> branch, const T* weight, int64_t rows,
             int64_t groups, int64_t width, T eps) {
  parallel_for(rows, [=](int64_t r) {
    const T* in = x[r];
    if (branch.data) {
      for (int64_t c = 0; c < groups * width; ++c) h[r][c] = x[r][c] + branch[r][c];
      in = h[r];
    }
    T* out = y[r];
    for (int64_t group = 0; group < groups; ++group, in += width, out += width) {
      T squares = 0;
      for (int64_t c = 0; c < width; ++c) squares += in[c] * in[c];
      const T s = 1 / std::sqrt(squares / static_cast<T>(width) + eps);
      rstd[r][group] = s;
      for (int64_t c = 0; c < width; ++c) out[c] = weight[c] * (in[c] * s);
    }
  });
}

template <class T>
void backward(Rows<T> dx, Rows<T> partial, Rows<const T> dy, Rows<const T> dh, Rows<const T> h, Rows<const T> rstd,
              const T* weight, int64_t rows, int64_t groups, int64_t width) {
  const int64_t parts = row_parts(rows);
  parallel_for(parts, [=](int64_t part) {
    T* dweight = partial[part];  // null with Grad::skip
    if (dweight) std::fill_n(dweight, width, T(0));
    const auto [begin, end] = row_part(rows, parts, part);
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t first = group * width;
        const T s = rstd[r][group];
        T dot = 0;  // Σ_c g · n, g = weight · dy, n = h · rstd
        for (int64_t c = 0; c < width; ++c) dot += weight[c] * dy[r][first + c] * (h[r][first + c] * s);
        const T mean = dot / static_cast<T>(width);
        for (int64_t c = 0; c < width; ++c) {
          const T d = dy[r][first + c], n = h[r][first + c] * s;  // read before dx is written, which may be dy
          if (dweight) dweight[c] += d * n;
          dx[r][first + c] = (dh.data ? dh[r][first + c] : T(0)) + s * (weight[c] * d - n * mean);
        }
      }
    }
  });
}

}  // namespace

void cpu::rms_norm_forward(Ctx&, View y, View h, View rstd, CView x, CView branch, CView weight, double eps) {
  visit_dtype<double, float>(x.dtype, [&]<class T>() {
    forward(y.as<T>(), h.as<T>(), rstd.as<T>(), x.as<T>(), branch.as<T>(), weight.as<T>().data, x.rows(), rstd.width(),
            weight.width(), static_cast<T>(eps));
  });
}

void cpu::rms_norm_backward(Ctx&, View dx, View dweight, CView dy, CView dh, CView h, CView rstd, CView weight,
                            Grad mode, View partial) {
  visit_dtype<double, float>(h.dtype, [&]<class T>() {
    backward(dx.as<T>(), partial.as<T>(), dy.as<T>(), dh.as<T>(), h.as<T>(), rstd.as<T>(), weight.as<T>().data,
             h.rows(), rstd.width(), weight.width());
    if (mode != Grad::skip)
      add_parts(dweight.as<T>().data, CView(partial).as<T>(), partial.rows(), weight.width(), mode);
  });
}

}  // namespace rw
