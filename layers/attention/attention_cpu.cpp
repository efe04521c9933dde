#include <algorithm>
#include <cmath>

#include "core/base/parallel.hpp"
#include "layers/attention/attention_sizes.hpp"

namespace rw {
namespace {

template <class T>
T dot(const T* a, const T* b, int64_t n) {
  T sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += a[c] * b[c];
  return sum;
}

template <class T>
void add_scaled(T* y, T factor, const T* x, int64_t n) {
  for (int64_t c = 0; c < n; ++c) y[c] += factor * x[c];
}

}  // namespace

// scratch: a row of scores, [B·H, Tk].
void cpu::attention_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt, View scratch) {
  const AttentionSizes n(q, k, v, opt);
  const int64_t d = n.width, e = n.value_width;
  const int32_t* first_key = opt.first_key.as<int32_t>().data;
  visit_dtype<double, float>(q.dtype, [&]<class T>() {
    const auto vo = o.as<T>(), vlse = lse.as<T>(), scores = scratch.as<T>();
    const auto vq = q.as<T>(), vk = k.as<T>(), vv = v.as<T>();
    const T scale = static_cast<T>(opt.scale);
    parallel_for(n.batch * n.heads, [=](int64_t item) {
      const int64_t b = item / n.heads, h = item % n.heads, g = h / n.heads_per_group();
      const auto key = [=](int64_t j) { return vk[b * n.keys + j] + g * d; };
      const auto value = [=](int64_t j) { return vv[b * n.keys + j] + g * e; };
      T* s = scores[item];
      for (int64_t i = 0; i < n.queries; ++i) {
        const int64_t row = b * n.queries + i, first = first_visible(n, first_key, b, i), end = i + n.prefix() + 1;
        for (int64_t j = first; j < end; ++j) s[j] = scale * dot(vq[row] + h * d, key(j), d);
        const T top = *std::max_element(s + first, s + end);
        T sum = 0;
        for (int64_t j = first; j < end; ++j) sum += std::exp(s[j] - top);
        vlse[row][h] = top + std::log(sum);
        T* out = vo[row] + h * e;
        std::fill_n(out, e, T(0));
        for (int64_t j = first; j < end; ++j) add_scaled(out, std::exp(s[j] - top) / sum, value(j), e);
      }
    });
  });
}

// No scratch.
void cpu::attention_backward(Ctx&, View dq, View dk, View dv, CView do_, CView o, CView lse, CView q, CView k, CView v,
                             const AttentionOpt& opt, View) {
  const AttentionSizes n(q, k, v, opt);
  const int64_t d = n.width, e = n.value_width;
  const int32_t* first_key = opt.first_key.as<int32_t>().data;
  visit_dtype<double, float>(q.dtype, [&]<class T>() {
    const auto vdq = dq.as<T>(), vdk = dk.as<T>(), vdv = dv.as<T>();
    const auto vdo = do_.as<T>(), vo = o.as<T>(), vlse = lse.as<T>();
    const auto vq = q.as<T>(), vk = k.as<T>(), vv = v.as<T>();
    const T scale = static_cast<T>(opt.scale);
    parallel_for(n.batch * n.groups, [=](int64_t item) {
      const int64_t b = item / n.groups, g = item % n.groups;
      for (int64_t j = 0; j < n.keys; ++j) {
        std::fill_n(vdk[b * n.keys + j] + g * d, d, T(0));
        std::fill_n(vdv[b * n.keys + j] + g * e, e, T(0));
      }
      for (int64_t h = g * n.heads_per_group(); h < (g + 1) * n.heads_per_group(); ++h)
        for (int64_t i = 0; i < n.queries; ++i) {
          const int64_t row = b * n.queries + i;
          const T *query = vq[row] + h * d, *d_out = vdo[row] + h * e;
          const T projection = dot(d_out, vo[row] + h * e, e);  // D_i
          std::fill_n(vdq[row] + h * d, d, T(0));
          for (int64_t j = first_visible(n, first_key, b, i); j <= i + n.prefix(); ++j) {
            const int64_t of_key = b * n.keys + j;
            const T *key = vk[of_key] + g * d, *value = vv[of_key] + g * e;
            const T p = std::exp(scale * dot(query, key, d) - vlse[row][h]);
            const T ds = p * (dot(d_out, value, e) - projection);
            add_scaled(vdq[row] + h * d, scale * ds, key, d);
            add_scaled(vdk[of_key] + g * d, scale * ds, query, d);
            add_scaled(vdv[of_key] + g * e, p, d_out, e);
          }
        }
    });
  });
}

}  // namespace rw
