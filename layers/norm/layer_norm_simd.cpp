// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/norm/layer_norm_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <cmath>

#include "core/math/add_parts.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/norm/layer_norm.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// Σ_c h, and the add before it.
float sum_row(float* h, const float* x, const float* branch, size_t width) {
  RowSum sum;
  if (branch)
    for_columns(width, [&](auto d, size_t c) HWY_ATTR {
      const auto v = hn::Add(hn::LoadU(d, x + c), hn::LoadU(d, branch + c));
      hn::StoreU(v, d, h + c);
      sum.add(d, v);
    });
  else
    for_columns(width, [&](auto d, size_t c) HWY_ATTR { sum.add(d, hn::LoadU(d, x + c)); });
  return sum.total();
}

void forward_rows(RowRange range, Rows<float> y, Rows<float> h, float* means, float* rstds, Rows<const float> x,
                  Rows<const float> branch, const float* weight, const float* bias, size_t width, float eps) {
  for (int64_t r = range.begin; r < range.end; ++r) {
    const float mean = sum_row(h[r], x[r], branch[r], width) / static_cast<float>(width);
    const float* in = branch.data ? h[r] : x[r];
    RowSum squares;
    for_columns(width, [&](auto d, size_t c) HWY_ATTR {
      const auto v = hn::Sub(hn::LoadU(d, in + c), hn::Set(d, mean));
      squares.add(d, hn::Mul(v, v));
    });
    const float rstd = 1 / std::sqrt(squares.total() / static_cast<float>(width) + eps);
    float* out = y[r];
    for_columns(width, [&](auto d, size_t c) HWY_ATTR {
      const auto n = hn::Mul(hn::Sub(hn::LoadU(d, in + c), hn::Set(d, mean)), hn::Set(d, rstd));
      const auto shift = bias ? hn::LoadU(d, bias + c) : hn::Zero(d);
      hn::StoreU(hn::MulAdd(hn::LoadU(d, weight + c), n, shift), d, out + c);
    });
    means[r] = mean;
    rstds[r] = rstd;
  }
}

// Adds the rows' share to dweight and dbias, where they are not null. One load of dy before the store of dx: they may
// be one tensor.
void backward_rows(RowRange range, Rows<float> dx, float* dweight, float* dbias, Rows<const float> dy,
                   Rows<const float> dh, Rows<const float> h, const float* means, const float* rstds,
                   const float* weight, size_t width) {
  for (int64_t r = range.begin; r < range.end; ++r) {
    const float *vdy = dy[r], *vh = h[r], *vdh = dh[r];
    float* vdx = dx[r];
    const float mean = means[r], rstd = rstds[r];
    RowSum sum_g, sum_gn;  // g = weight · dy, n = (h - mean) · rstd
    for_columns(width, [&](auto d, size_t c) HWY_ATTR {
      const auto g = hn::Mul(hn::LoadU(d, weight + c), hn::LoadU(d, vdy + c));
      const auto n = hn::Mul(hn::Sub(hn::LoadU(d, vh + c), hn::Set(d, mean)), hn::Set(d, rstd));
      sum_g.add(d, g);
      sum_gn.add(d, hn::Mul(g, n));
    });
    const float mean_g = sum_g.total() / static_cast<float>(width);
    const float mean_gn = sum_gn.total() / static_cast<float>(width);
    for_columns(width, [&](auto d, size_t c) HWY_ATTR {
      const auto of_y = hn::LoadU(d, vdy + c);
      const auto n = hn::Mul(hn::Sub(hn::LoadU(d, vh + c), hn::Set(d, mean)), hn::Set(d, rstd));
      const auto g = hn::Sub(hn::Mul(hn::LoadU(d, weight + c), of_y), hn::Set(d, mean_g));
      const auto of_n = hn::NegMulAdd(n, hn::Set(d, mean_gn), g), of_h = vdh ? hn::LoadU(d, vdh + c) : hn::Zero(d);
      hn::StoreU(hn::MulAdd(hn::Set(d, rstd), of_n, of_h), d, vdx + c);
      if (dweight) hn::StoreU(hn::MulAdd(of_y, n, hn::LoadU(d, dweight + c)), d, dweight + c);
      if (dbias) hn::StoreU(hn::Add(of_y, hn::LoadU(d, dbias + c)), d, dbias + c);
    });
  }
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rw {
namespace {

HWY_EXPORT(forward_rows);
HWY_EXPORT(backward_rows);

}  // namespace

void fast::layer_norm_forward(Ctx&, View y, View h, View mean, View rstd, CView x, CView branch, CView weight,
                              CView bias, double eps) {
  const auto run = &HWY_DYNAMIC_DISPATCH(forward_rows);
  const int64_t rows = x.rows(), parts = row_parts(rows);
  parallel_for(parts, [&](int64_t part) {
    run(row_part(rows, parts, part), y.as<float>(), h.as<float>(), mean.as<float>().data, rstd.as<float>().data,
        x.as<float>(), branch.as<float>(), weight.as<float>().data, bias.as<float>().data,
        static_cast<size_t>(x.width()), static_cast<float>(eps));
  });
}

void fast::layer_norm_backward(Ctx&, View dx, View dweight, View dbias, CView dy, CView dh, CView h, CView mean,
                               CView rstd, CView weight, Grad mode, View partial) {
  const auto run = &HWY_DYNAMIC_DISPATCH(backward_rows);
  const int64_t rows = h.rows(), parts = row_parts(rows), width = h.width();
  const bool wanted = mode != Grad::skip, with_bias = wanted && !dbias.empty();
  const auto sums = partial.as<float>();  // for dweight, under them for dbias
  parallel_for(parts, [&](int64_t part) {
    float *of_weight = wanted ? sums[part] : nullptr, *of_bias = with_bias ? sums[parts + part] : nullptr;
    if (of_weight) std::fill_n(of_weight, width, 0.0f);
    if (of_bias) std::fill_n(of_bias, width, 0.0f);
    run(row_part(rows, parts, part), dx.as<float>(), of_weight, of_bias, dy.as<float>(), dh.as<float>(), h.as<float>(),
        mean.as<float>().data, rstd.as<float>().data, weight.as<float>().data, static_cast<size_t>(width));
  });
  const auto add = [&](View sum, int64_t first) {
    add_parts(sum.as<float>().data, CView(rw::rows(partial, first, parts)).as<float>(), parts, width, mode);
  };
  if (wanted) add(dweight, 0);
  if (with_bias) add(dbias, parts);
}

}  // namespace rw
#endif  // HWY_ONCE
