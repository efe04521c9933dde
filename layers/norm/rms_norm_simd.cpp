// Compiled once for each instruction set; the best one that the machine has is picked at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/norm/rms_norm_simd.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include <cmath>

#include "core/math/add_parts.hpp"
#include "core/math/simd-inl.hpp"
#include "layers/norm/rms_norm.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

void forward_rows(RowRange range, Rows<float> y, Rows<float> h, Rows<float> rstd, Rows<const float> x,
                  Rows<const float> branch, const float* weight, size_t groups, size_t width, float eps) {
  for (int64_t r = range.begin; r < range.end; ++r)
    for (size_t group = 0; group < groups; ++group) {
      const float* in = x[r] + group * width;
      RowSum squares;
      if (branch.data) {
        const float *stream = in, *added = branch[r] + group * width;
        float* sum = h[r] + group * width;
        for_columns(width, [&](auto d, size_t c) HWY_ATTR {
          const auto v = hn::Add(hn::LoadU(d, stream + c), hn::LoadU(d, added + c));
          hn::StoreU(v, d, sum + c);
          squares.add(d, hn::Mul(v, v));
        });
        in = sum;
      } else {
        for_columns(width, [&](auto d, size_t c) HWY_ATTR {
          const auto v = hn::LoadU(d, in + c);
          squares.add(d, hn::Mul(v, v));
        });
      }
      const float s = 1 / std::sqrt(squares.total() / static_cast<float>(width) + eps);
      rstd[r][group] = s;
      float* out = y[r] + group * width;
      for_columns(width, [&](auto d, size_t c) HWY_ATTR {
        const auto n = hn::Mul(hn::LoadU(d, in + c), hn::Set(d, s));
        hn::StoreU(hn::Mul(hn::LoadU(d, weight + c), n), d, out + c);
      });
    }
}

// Adds the rows' share to dweight, which is null with Grad::skip. One load of dy before the store of dx: they may be
// one tensor.
void backward_rows(RowRange range, Rows<float> dx, float* dweight, Rows<const float> dy, Rows<const float> dh,
                   Rows<const float> h, Rows<const float> rstd, const float* weight, size_t groups, size_t width) {
  for (int64_t r = range.begin; r < range.end; ++r)
    for (size_t group = 0; group < groups; ++group) {
      const size_t first = group * width;
      const float *vdy = dy[r] + first, *vh = h[r] + first, *vdh = dh.data ? dh[r] + first : nullptr;
      float* vdx = dx[r] + first;
      const float s = rstd[r][group];
      RowSum dot;  // Σ_c g · h, g = weight · dy
      for_columns(width, [&](auto d, size_t c) HWY_ATTR {
        const auto g = hn::Mul(hn::LoadU(d, weight + c), hn::LoadU(d, vdy + c));
        dot.add(d, hn::Mul(g, hn::LoadU(d, vh + c)));
      });
      const float mean = s * dot.total() / static_cast<float>(width);  // of g · n, n = h · rstd
      for_columns(width, [&](auto d, size_t c) HWY_ATTR {
        const auto of_y = hn::LoadU(d, vdy + c), n = hn::Mul(hn::LoadU(d, vh + c), hn::Set(d, s));
        const auto g = hn::Mul(hn::LoadU(d, weight + c), of_y);
        const auto of_n = hn::NegMulAdd(n, hn::Set(d, mean), g), of_h = vdh ? hn::LoadU(d, vdh + c) : hn::Zero(d);
        hn::StoreU(hn::MulAdd(hn::Set(d, s), of_n, of_h), d, vdx + c);
        if (dweight) hn::StoreU(hn::MulAdd(of_y, n, hn::LoadU(d, dweight + c)), d, dweight + c);
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

void fast::rms_norm_forward(Ctx&, View y, View h, View rstd, CView x, CView branch, CView weight, double eps) {
  const auto run = &HWY_DYNAMIC_DISPATCH(forward_rows);
  const int64_t rows = x.rows(), parts = row_parts(rows);
  parallel_for(parts, [&](int64_t part) {
    run(row_part(rows, parts, part), y.as<float>(), h.as<float>(), rstd.as<float>(), x.as<float>(), branch.as<float>(),
        weight.as<float>().data, static_cast<size_t>(rstd.width()), static_cast<size_t>(weight.width()),
        static_cast<float>(eps));
  });
}

void fast::rms_norm_backward(Ctx&, View dx, View dweight, CView dy, CView dh, CView h, CView rstd, CView weight,
                             Grad mode, View partial) {
  const auto run = &HWY_DYNAMIC_DISPATCH(backward_rows);
  const int64_t rows = h.rows(), parts = row_parts(rows), width = weight.width();
  parallel_for(parts, [&](int64_t part) {
    float* of_part = partial.as<float>()[part];
    if (of_part) std::fill_n(of_part, width, 0.0f);
    run(row_part(rows, parts, part), dx.as<float>(), of_part, dy.as<float>(), dh.as<float>(), h.as<float>(),
        rstd.as<float>(), weight.as<float>().data, static_cast<size_t>(rstd.width()), static_cast<size_t>(width));
  });
  if (mode != Grad::skip) add_parts(dweight.as<float>().data, CView(partial).as<float>(), parts, width, mode);
}

}  // namespace rw
#endif  // HWY_ONCE
