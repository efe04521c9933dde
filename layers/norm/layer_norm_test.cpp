#include "layers/norm/layer_norm.hpp"

#include "layers/norm/norm_trial_test.hpp"

namespace rw::test {
namespace {

struct LayerKind {
  static constexpr bool layer = true;
  static void forward(Ctx& ctx, const Views& v) {
    layer_norm_forward(ctx, v.y, v.h, v.mean, v.rstd, v.x, v.branch, v.weight, v.bias, kEps);
  }
  static void backward(Ctx& ctx, const Views& v, Grad mode) {
    layer_norm_backward(ctx, v.dx, v.dweight, v.dbias, v.dy, v.dh, v.normed, v.mean, v.rstd, v.weight, mode);
  }

  template <class T>
  struct Naive {
    static void forward(const Tensors& t) {
      const auto x = t.x.as<T>(), branch = t.branch.as<T>(), h = t.normed().as<T>(), y = t.y.as<T>();
      const T width = static_cast<T>(t.c.width);
      for (int64_t r = 0; r < t.c.rows; ++r) {
        T mean = 0, variance = 0;
        for (int64_t c = 0; c < t.c.width; ++c) {
          if (t.c.branch) h[r][c] = t.as_stored(x[r][c] + branch[r][c]);
          mean += h[r][c];
        }
        mean /= width;
        for (int64_t c = 0; c < t.c.width; ++c) variance += (h[r][c] - mean) * (h[r][c] - mean) / width;
        const T rstd = 1 / std::sqrt(variance + T(kEps));
        for (int64_t c = 0; c < t.c.width; ++c) {
          y[r][c] = t.weight.as<T>().data[c] * ((h[r][c] - mean) * rstd);
          if (t.c.bias) y[r][c] += t.bias.as<T>().data[c];
        }
        t.mean.as<T>().data[r] = mean;
        t.rstd.as<T>().data[r] = rstd;
      }
    }
    static void backward(const Tensors& t) {
      const auto dy = t.dy.as<T>(), dh = t.dh.as<T>(), h = t.normed().as<T>(), dx = t.dx.as<T>();
      const T *weight = t.weight.as<T>().data, width = static_cast<T>(t.c.width);
      T *dweight = t.dweight.as<T>().data, *dbias = t.dbias.as<T>().data;
      std::fill_n(dweight, t.c.width, T(0));
      std::fill_n(dbias, t.c.width, T(0));
      for (int64_t r = 0; r < t.c.rows; ++r) {
        const T mean = t.mean.as<T>().data[r], rstd = t.rstd.as<T>().data[r];
        const auto g = [&](int64_t c) { return weight[c] * dy[r][c]; };
        const auto n = [&](int64_t c) { return (h[r][c] - mean) * rstd; };
        T mean_g = 0, mean_gn = 0;
        for (int64_t c = 0; c < t.c.width; ++c) mean_g += g(c) / width, mean_gn += g(c) * n(c) / width;
        for (int64_t c = 0; c < t.c.width; ++c) {
          dx[r][c] = (t.c.dh ? dh[r][c] : 0) + rstd * (g(c) - mean_g - n(c) * mean_gn);
          dweight[c] += dy[r][c] * n(c);
          dbias[c] += dy[r][c];
        }
      }
    }
  };
};

TEST(LayerNorm, HasNoProblemsOnAnyBackend) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Case& c : cases(LayerKind::layer, backend.dtype))
      EXPECT_EQ(problems(Op<LayerKind>(), bench, backend, c), "") << backend << ": " << c;
  }
}

TEST(LayerNorm, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{3, 5, 1, 0, true, true, true}, Case{9, 7, 1, 3, false, true, false},
                        Case{17, 33, 1, 0, true, false, true}, Case{4, 6, 1, 1, false, false, true}})
    EXPECT_LT(gradient_error(Op<LayerKind>(), c), 1e-7) << c;
}

TEST(LayerNorm, EveryElementHasAnEffect) { expect_every_element_has_an_effect<LayerKind>(); }

TEST(LayerNorm, AnyTensorMayBeUnaligned) { expect_any_tensor_may_be_unaligned<LayerKind>(); }

TEST(LayerNorm, FusedEqualsUnfused) {
  expect_fused_equals_unfused<LayerKind>(false);
  expect_fused_equals_unfused<LayerKind>(true);
}

TEST(LayerNorm, SameBitsForEveryNumberOfThreads) {
  expect_same_bits_for_every_number_of_threads<LayerKind>({100, 600, 1, 0, true, true, true});
  expect_same_bits_for_every_number_of_threads<LayerKind>({37, 64, 1, 0, false, false, false});
}

// A mean that is large beside the deviation costs no more than the rounding of h itself.
TEST(LayerNorm, SurvivesALargeMean) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Trial<LayerKind> trial({}, bench, backend, {7, 96});
    auto x = trial.t.x.values();
    for (double& v : x) v += 1000;
    trial.t.x.fill(x);
    trial.parity();
    EXPECT_EQ(trial.found, "") << backend;
  }
}

// dx without one of its terms. Each is as large as dx itself.
Op<LayerKind> without(bool mean_g, bool mean_gn) {
  return backward_then<LayerKind>([=](const Views& v) {
    const double width = static_cast<double>(v.dx.width());
    const double* weight = v.weight.as<double>().data;
    for (int64_t r = 0; r < v.dx.rows(); ++r) {
      const double mean = v.mean.as<double>().data[r], rstd = v.rstd.as<double>().data[r];
      const double *dy = v.dy.as<double>()[r], *h = v.normed.as<double>()[r];
      double sum_g = 0, sum_gn = 0;
      for (int64_t c = 0; c < v.dx.width(); ++c) {
        sum_g += weight[c] * dy[c];
        sum_gn += weight[c] * dy[c] * (h[c] - mean) * rstd;
      }
      for (int64_t c = 0; c < v.dx.width(); ++c)
        v.dx.as<double>()[r][c] +=
            rstd * ((mean_g ? sum_g / width : 0) + (mean_gn ? (h[c] - mean) * rstd * sum_gn / width : 0));
    }
  });
}

TEST(LayerNorm, SabotageIsFoundOut) {
  const Case c{9, 17, 1, 3, true, true, true};
  expect_sabotage_is_found<LayerKind>(c);
  EXPECT_LT(gradient_error(without(false, false), c), 1e-7);
  EXPECT_GT(gradient_error(without(true, false), c), 1e-3);
  EXPECT_GT(gradient_error(without(false, true), c), 1e-3);
}

struct LayerNormErrors : testing::Test, WrongTensors {
  Bench bench{kPlainF32};
  Tensors t{{3, 8, 1, 0, true, true, true}, LayerKind::layer, DType::f32};
};

TEST_F(LayerNormErrors, ForwardNamesWhatIsWrong) {
  const auto error = [&](const std::vector<View>& v, double eps = kEps) {
    return error_of([&] { layer_norm_forward(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], eps); });
  };
  const std::vector<View> right = {t.y, t.h, t.mean, t.rstd, t.x, t.branch, t.weight, t.bias};
  EXPECT_EQ(error({t.y, View{}, t.mean, t.rstd, t.x, View{}, t.weight, View{}}), "");
  EXPECT_EQ(error(right, 0), "layer_norm_forward: expected eps > 0, got eps = 0");
  const char *statistics = "mean.shape == Shape{x.rows()} && rstd.shape == mean.shape, got mean = ",
             *dtypes = "y.dtype == x.dtype && weight.dtype == x.dtype, got y = ",
             *statistics_dtypes = "mean.dtype == accumulator(x.dtype) && rstd.dtype == mean.dtype, got mean = ",
             *bias = "bias.empty() || (bias.shape == weight.shape && bias.dtype == x.dtype), got bias = ",
             *both = "h.empty() == branch.empty(), got h = ",
             *branch = "branch.shape == x.shape && branch.dtype == x.dtype, got branch = ",
             *h = "h.shape == x.shape && h.dtype == x.dtype, got h = ",
             *h_apart = "disjoint_from_all(h, branch, weight, bias), got h = ",
             *y_apart = "disjoint_from_all(y, h, x, branch, weight, bias), got y = ",
             *mean_apart = "disjoint_from_all(mean, rstd, y, h, x, branch, weight, bias), got mean = ",
             *rstd_apart = "disjoint_from_all(rstd, y, h, x, branch, weight, bias), got rstd = ";
  expect_messages("layer_norm_forward", right,
                  {
                      {4, empty, "x.rows() > 0 && x.width() > 0, got x = f32 [0, 8]"},
                      {0, narrow, "y.shape == x.shape, got y = f32 [3, 7], x = f32 [3, 8]"},
                      {6, t.rstd, "weight.shape == Shape{x.width()}, got weight = f32 [3], x = f32 [3, 8]"},
                      {2, t.weight, statistics},
                      {3, t.weight, statistics},
                      {0, f64, dtypes},
                      {6, column_f64, dtypes},
                      {2, row_f64, statistics_dtypes},
                      {3, row_f64, statistics_dtypes},
                      {7, t.rstd, bias},
                      {7, column_f64, bias},
                      {1, View{}, both},
                      {5, View{}, both},
                      {5, narrow, branch},
                      {5, f64, branch},
                      {1, narrow, h},
                      {1, f64, h},
                      {1, shifted(t.x), "same(h, x) || disjoint(h, x), got h = f32 [3, 8], x = f32 [3, 8]"},
                      {1, t.branch, h_apart},
                      {5, far, "on_device(ctx, y, h, mean, rstd, x, branch, weight, bias), got y = "},
                      {0, t.x, y_apart},
                      {0, t.h, y_apart},
                      {2, t.rstd, mean_apart},
                      {2, inside(t.x, {3}), mean_apart},
                      {3, inside(t.y, {3}), rstd_apart},
                  },
                  [&](const auto& v) { return error(v); });
}

TEST_F(LayerNormErrors, BackwardNamesWhatIsWrong) {
  const auto error = [&](const std::vector<View>& v, Grad mode = Grad::overwrite) {
    return error_of(
        [&] { layer_norm_backward(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], mode); });
  };
  const std::vector<View> right = {t.dx, t.dweight, t.dbias, t.dy, t.dh, t.h, t.mean, t.rstd, t.weight};
  EXPECT_EQ(error({t.dx, View{}, View{}, t.dy, View{}, t.h, t.mean, t.rstd, t.weight}, Grad::skip), "");
  const char
      *shapes = "dx.shape == h.shape && dy.shape == h.shape, got dx = ",
      *statistics = "mean.shape == Shape{h.rows()} && rstd.shape == mean.shape, got mean = ",
      *dtypes = "dx.dtype == h.dtype && dy.dtype == h.dtype && weight.dtype == h.dtype, got dx = ",
      *statistics_dtypes = "mean.dtype == accumulator(h.dtype) && rstd.dtype == mean.dtype, got mean = ",
      *dh = "dh.empty() || (dh.shape == h.shape && dh.dtype == h.dtype), got dh = ",
      *dx_apart = "disjoint_from_all(dx, h, mean, rstd, weight), got dx = ",
      *dweight = "dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), got dweight = ",
      *dbias =
          "dbias.empty() || (dbias.shape == weight.shape && dbias.dtype == accumulator(weight.dtype)), got dbias = ",
      *grads_device = "on_device(ctx, dweight, dbias), got dweight = ",
      *dweight_apart = "disjoint_from_all(dweight, dbias, dx, dy, dh, h, mean, rstd, weight), got dweight = ",
      *dbias_apart = "disjoint_from_all(dbias, dx, dy, dh, h, mean, rstd, weight), got dbias = ";
  expect_messages("layer_norm_backward", right,
                  {
                      {5, empty, "h.rows() > 0 && h.width() > 0, got h = f32 [0, 8]"},
                      {0, narrow, shapes},
                      {3, narrow, shapes},
                      {8, t.rstd, "weight.shape == Shape{h.width()}, got weight = f32 [3], h = f32 [3, 8]"},
                      {6, t.weight, statistics},
                      {7, t.weight, statistics},
                      {0, f64, dtypes},
                      {3, f64, dtypes},
                      {8, column_f64, dtypes},
                      {6, row_f64, statistics_dtypes},
                      {7, row_f64, statistics_dtypes},
                      {4, narrow, dh},
                      {4, f64, dh},
                      {3, far, "on_device(ctx, dx, dy, dh, h, mean, rstd, weight), got dx = "},
                      {0, shifted(t.dy), "same(dx, dy) || disjoint(dx, dy), got dx = "},
                      {0, shifted(t.dh), "same(dx, dh) || disjoint(dx, dh), got dx = "},
                      {0, t.h, dx_apart},
                      {1, t.rstd, dweight},
                      {1, column_f64, dweight},
                      {2, t.rstd, dbias},
                      {2, column_f64, dbias},
                      {1, column_far, grads_device},
                      {2, column_far, grads_device},
                      {1, t.dbias, dweight_apart},
                      {1, t.weight, dweight_apart},
                      {2, t.weight, dbias_apart},
                  },
                  [&](const auto& v) { return error(v); });
}

}  // namespace
}  // namespace rw::test
