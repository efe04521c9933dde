#include <algorithm>
#include <cmath>
#include <limits>

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

// Calls f(j) for every key that query i' of sample b sees, in ascending order.
template <class F>
void for_visible(const AttentionSight& sight, int64_t b, int64_t i, F&& f) {
  for (int64_t j = sight.first(b, i); j < sight.sink_end(b, i); ++j) f(j);
  for (int64_t j = sight.local(b, i); j <= i; ++j) f(j);
}

// One of the two branches.
template <class T>
struct Branch {
  Rows<T> q, k;
};

}  // namespace

// scratch: a row of scores, [B·H, Tk].
void cpu::attention_forward(Ctx&, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt, View scratch) {
  const AttentionSizes n(q, k, v, opt);
  const AttentionSight sight(n.keys, opt);
  const int64_t d = n.width, e = n.value_width;
  visit_dtype<double, float>(q.dtype, [&]<class T>() {
    const auto vo = o.as<T>(), vlse = lse.as<T>(), scores = scratch.as<T>();
    const auto vv = v.as<T>();
    const T* factor = opt.factor.as<T>().data;
    const Branch<const T> near{q.as<T>(), k.as<T>()}, far{opt.q_far.as<T>(), opt.k_far.as<T>()};
    parallel_for(n.batch * n.heads, [=](int64_t item) {
      const int64_t b = item / n.heads, h = item % n.heads, g = h / n.heads_per_group();
      T* s = scores[item];
      for (int64_t i = 0; i < n.queries; ++i) {
        const int64_t row = b * n.queries + i, place = i + n.prefix();
        const T scale = static_cast<T>(opt.scale) * (factor ? factor[row] : T(1));
        T top = -std::numeric_limits<T>::infinity(), sum = 0;
        for_visible(sight, b, place, [&](int64_t j) {
          const Branch<const T>& branch = sight.is_near(place, j) ? near : far;
          s[j] = scale * dot(branch.q[row] + h * d, branch.k[b * n.keys + j] + g * d, d);
          top = std::max(top, s[j]);
        });
        for_visible(sight, b, place, [&](int64_t j) { sum += std::exp(s[j] - top); });
        vlse[row][h] = top + std::log(sum);
        T* out = vo[row] + h * e;
        std::fill_n(out, e, T(0));
        for_visible(sight, b, place,
                    [&](int64_t j) { add_scaled(out, std::exp(s[j] - top) / sum, vv[b * n.keys + j] + g * e, e); });
      }
    });
  });
}

// No scratch.
void cpu::attention_backward(Ctx&, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o, CView lse,
                             CView q, CView k, CView v, const AttentionOpt& opt, View) {
  const AttentionSizes n(q, k, v, opt);
  const AttentionSight sight(n.keys, opt);
  const int64_t d = n.width, e = n.value_width;
  visit_dtype<double, float>(q.dtype, [&]<class T>() {
    const auto vdv = dv.as<T>();
    const auto vdo = do_.as<T>(), vo = o.as<T>(), vlse = lse.as<T>(), vv = v.as<T>();
    const T* factor = opt.factor.as<T>().data;
    const Branch<const T> near{q.as<T>(), k.as<T>()}, far{opt.q_far.as<T>(), opt.k_far.as<T>()};
    const Branch<T> d_near{dq.as<T>(), dk.as<T>()}, d_far{dq_far.as<T>(), dk_far.as<T>()};
    const bool has_far = !opt.q_far.empty();
    parallel_for(n.batch * n.groups, [=](int64_t item) {
      const int64_t b = item / n.groups, g = item % n.groups;
      for (int64_t j = 0; j < n.keys; ++j) {
        std::fill_n(d_near.k[b * n.keys + j] + g * d, d, T(0));
        if (has_far) std::fill_n(d_far.k[b * n.keys + j] + g * d, d, T(0));
        std::fill_n(vdv[b * n.keys + j] + g * e, e, T(0));
      }
      for (int64_t h = g * n.heads_per_group(); h < (g + 1) * n.heads_per_group(); ++h)
        for (int64_t i = 0; i < n.queries; ++i) {
          const int64_t row = b * n.queries + i, place = i + n.prefix();
          const T scale = static_cast<T>(opt.scale) * (factor ? factor[row] : T(1));
          const T* d_out = vdo[row] + h * e;
          const T projection = dot(d_out, vo[row] + h * e, e);  // D_i
          std::fill_n(d_near.q[row] + h * d, d, T(0));
          if (has_far) std::fill_n(d_far.q[row] + h * d, d, T(0));
          for_visible(sight, b, place, [&](int64_t j) {
            const bool is_near = sight.is_near(place, j);
            const Branch<const T>& branch = is_near ? near : far;
            const Branch<T>& gradient = is_near ? d_near : d_far;
            const int64_t of_key = b * n.keys + j;
            const T *query = branch.q[row] + h * d, *key = branch.k[of_key] + g * d, *value = vv[of_key] + g * e;
            const T p = std::exp(scale * dot(query, key, d) - vlse[row][h]);
            const T ds = scale * (p * (dot(d_out, value, e) - projection));
            add_scaled(gradient.q[row] + h * d, ds, key, d);
            add_scaled(gradient.k[of_key] + g * d, ds, query, d);
            add_scaled(vdv[of_key] + g * e, p, d_out, e);
          });
        }
    });
  });
}

}  // namespace rw
