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
          if (t.c.branch) h[r][c] = x[r][c] + branch[r][c];
          mean += h[r][c] / width;
        }
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
  for (const Backend& backend : backends())
    for (const Case& c : cases(LayerKind::layer))
      EXPECT_EQ(problems(Op<LayerKind>(), backend, c), "") << backend << ": " << c;
}

TEST(LayerNorm, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{3, 5, 1, 0, true, true, true}, Case{9, 7, 1, 3, false, true, false},
                        Case{17, 33, 1, 0, true, false, true}, Case{4, 6, 1, 1, false, false, true}})
    EXPECT_LT(gradient_error(Op<LayerKind>(), c), 1e-7) << c;
}

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
    Trial<LayerKind> trial({}, backend, {7, 96});
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

}  // namespace
}  // namespace rw::test
