#include "layers/norm/rms_norm.hpp"

#include "layers/norm/norm_trial_test.hpp"

namespace rw::test {
namespace {

struct Rms {
  static constexpr bool layer = false;
  static void forward(Ctx& ctx, const Views& v) {
    rms_norm_forward(ctx, v.y, v.h, v.rstd, v.x, v.branch, v.weight, kEps);
  }
  static void backward(Ctx& ctx, const Views& v, Grad mode) {
    rms_norm_backward(ctx, v.dx, v.dweight, v.dy, v.dh, v.normed, v.rstd, v.weight, mode);
  }

  template <class T>
  struct Naive {
    static void forward(const Tensors& t) {
      const auto x = t.x.as<T>(), branch = t.branch.as<T>(), h = t.normed().as<T>(), y = t.y.as<T>();
      for (int64_t r = 0; r < t.c.rows; ++r)
        for (int64_t g = 0; g < t.c.groups; ++g) {
          const int64_t begin = g * t.c.width, end = begin + t.c.width;
          T squares = 0;
          for (int64_t c = begin; c < end; ++c) {
            if (t.c.branch) h[r][c] = t.as_stored(x[r][c] + branch[r][c]);
            squares += h[r][c] * h[r][c];
          }
          const T rstd = t.rstd.as<T>()[r][g] = 1 / std::sqrt(squares / T(t.c.width) + T(kEps));
          for (int64_t c = begin; c < end; ++c) y[r][c] = t.weight.as<T>().data[c - begin] * h[r][c] * rstd;
        }
    }
    static void backward(const Tensors& t) {
      const auto dy = t.dy.as<T>(), dh = t.dh.as<T>(), h = t.normed().as<T>(), dx = t.dx.as<T>();
      const T* weight = t.weight.as<T>().data;
      T* dweight = t.dweight.as<T>().data;
      std::fill_n(dweight, t.c.width, T(0));
      for (int64_t r = 0; r < t.c.rows; ++r)
        for (int64_t g = 0; g < t.c.groups; ++g) {
          const int64_t begin = g * t.c.width, end = begin + t.c.width;
          const T rstd = t.rstd.as<T>()[r][g];
          T dot = 0;
          for (int64_t c = begin; c < end; ++c) dot += weight[c - begin] * dy[r][c] * h[r][c];
          for (int64_t c = begin; c < end; ++c) {
            const T gdy = weight[c - begin] * dy[r][c], n = h[r][c] * rstd;
            dx[r][c] = (t.c.dh ? dh[r][c] : 0) + rstd * (gdy - n * (rstd * dot / T(t.c.width)));
            dweight[c - begin] += dy[r][c] * h[r][c] * rstd;
          }
        }
    }
  };
};

TEST(RmsNorm, HasNoProblemsOnAnyBackend) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Case& c : cases(Rms::layer, backend.dtype))
      EXPECT_EQ(problems(Op<Rms>(), bench, backend, c), "") << backend << ": " << c;
  }
}

TEST(RmsNorm, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{2, 2, 1, 0, true, true}, Case{3, 5, 3, 0, true, true}, Case{9, 7, 2, 3, false, true},
                        Case{17, 33, 1, 0, true, false}, Case{4, 6, 2, 1, false, false}})
    EXPECT_LT(gradient_error(Op<Rms>(), c), 1e-7) << c;
}

TEST(RmsNorm, EveryElementHasAnEffect) { expect_every_element_has_an_effect<Rms>(); }

TEST(RmsNorm, AnyTensorMayBeUnaligned) { expect_any_tensor_may_be_unaligned<Rms>(); }

TEST(RmsNorm, FusedEqualsUnfused) { expect_fused_equals_unfused<Rms>(false); }

TEST(RmsNorm, SameBitsForEveryNumberOfThreads) {
  expect_same_bits_for_every_number_of_threads<Rms>({100, 600, 1, 0, true, true});
  expect_same_bits_for_every_number_of_threads<Rms>({37, 64, 3, 0, false, false});
}

// Queries and keys are column slices of one product; each is normed where it lies, forward and backward.
TEST(RmsNorm, NormsSlicesWhereTheyLie) {
  constexpr int64_t kRows = 19, kWidth = 24, kHeads = 3, kKeys = 1, kAll = (kHeads + 2 * kKeys) * kWidth;
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const Tensor x({kRows, kAll}, backend), gradient({kRows, kAll}, backend);
    Tensor in_place({kRows, kAll}, backend), gradient_in_place({kRows, kAll}, backend);
    const_cast<Tensor&>(x).fill(normal(x.size(), 1)), in_place.fill(x.values());
    const_cast<Tensor&>(gradient).fill(normal(gradient.size(), 2)), gradient_in_place.fill(gradient.values());
    Tensor weight({kWidth}, backend), dweight({kWidth}, Where(backend).in_accumulator());
    weight.fill(normal(kWidth, 3));

    int64_t first = 0;
    for (int64_t groups : {kHeads, kKeys}) {
      const auto slice = [&](View v) { return columns(v, first, groups * kWidth); };
      Tensor y({kRows, groups * kWidth}, backend), dx({kRows, groups * kWidth}, backend);
      Tensor rstd({kRows, groups}, Where(backend).in_accumulator()),
          expected({kWidth}, Where(backend).in_accumulator());
      rms_norm_forward(bench.ctx, y, {}, rstd, slice(x), {}, weight, kEps);
      rms_norm_backward(bench.ctx, dx, expected, slice(gradient), {}, slice(x), rstd, weight, Grad::overwrite);

      rms_norm_forward(bench.ctx, slice(in_place), {}, rstd, slice(in_place), {}, weight, kEps);
      const View d_slice = slice(gradient_in_place);
      rms_norm_backward(bench.ctx, d_slice, dweight, d_slice, {}, slice(x), rstd, weight, Grad::overwrite);
      EXPECT_EQ(dweight.bytes(), expected.bytes()) << backend;
      const auto normed = in_place.values(), d_normed = gradient_in_place.values(), apart = y.values(), d = dx.values();
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t c = 0; c < groups * kWidth; ++c) {
          const auto here = static_cast<size_t>(r * kAll + first + c),
                     there = static_cast<size_t>(r * groups * kWidth + c);
          ASSERT_EQ(normed[here], apart[there]) << backend;
          ASSERT_EQ(d_normed[here], d[there]) << backend;
        }
      first += groups * kWidth;
    }
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = first; c < kAll; ++c) {  // values are not normed
        const auto at = static_cast<size_t>(r * kAll + c);
        ASSERT_EQ(in_place.values()[at], x.values()[at]);
        ASSERT_EQ(gradient_in_place.values()[at], gradient.values()[at]);
      }
  }
}

Op<Rms> without_projection() {  // dx = dh + rstd · weight · dy
  return backward_then<Rms>([](const Views& v) {
    for (int64_t r = 0; r < v.dx.rows(); ++r)
      for (int64_t c = 0; c < v.dx.width(); ++c)
        v.dx.as<double>()[r][c] = v.dh.as<double>()[r][c] +
                                  v.rstd.as<double>()[r][0] * v.weight.as<double>().data[c] * v.dy.as<double>()[r][c];
  });
}

TEST(RmsNorm, SabotageIsFoundOut) {
  expect_sabotage_is_found<Rms>({9, 17, 1, 3, true, true});
  EXPECT_GT(gradient_error(without_projection(), {9, 17, 1, 3, true, true}), 1e-3);
}

struct RmsNormErrors : testing::Test, WrongTensors {
  Bench bench{kPlainF32};
  Tensors t{{3, 8, 1, 0, true, true}, Rms::layer, DType::f32};
  const Tensor rstd_f64{{3, 1}, DType::f64}, weight_3{{3}, DType::f32};
};

TEST_F(RmsNormErrors, ForwardNamesWhatIsWrong) {
  const auto error = [&](const std::vector<View>& v, double eps = kEps) {
    return error_of([&] { rms_norm_forward(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], eps); });
  };
  const std::vector<View> fused = {t.y, t.h, t.rstd, t.x, t.branch, t.weight};
  const std::vector<View> alone = {t.y, View{}, t.rstd, t.x, View{}, t.weight};
  EXPECT_EQ(error(fused, 0), "rms_norm_forward: expected eps > 0, got eps = 0");
  expect_messages(
      "rms_norm_forward", fused,
      {
          {3, empty, "x.rows() > 0 && x.width() > 0, got x = f32 [0, 8]"},
          {5, weight_3,
           "weight.shape.rank == 1 && weight.width() > 0 && x.width() % weight.width() == 0, got weight = "},
          {5, t.y,
           "weight.shape.rank == 1 && weight.width() > 0 && x.width() % weight.width() == 0, got weight = f32 [3"},
          {0, narrow, "y.shape == x.shape, got y = f32 [3, 7], x = f32 [3, 8]"},
          {2, t.weight, "rstd.shape == groups, got rstd = f32 [8], groups = [3, 1]"},
          {0, f64, "y.dtype == x.dtype && weight.dtype == x.dtype, got y = f64 [3, 8], weight = f32 [8]"},
          {2, rstd_f64, "rstd.dtype == accumulator(x.dtype), got rstd = f64 [3, 1], x = f32 [3, 8]"},
          {5, column_f64, "y.dtype == x.dtype && weight.dtype == x.dtype, got y = f32 [3, 8], weight = f64 [8]"},
          {1, View{}, "h.empty() == branch.empty(), got h = f32 [], branch = f32 [3, 8]"},
          {4, View{}, "h.empty() == branch.empty(), got h = f32 [3, 8], branch = f32 []"},
          {4, narrow, "branch.shape == x.shape && branch.dtype == x.dtype, got branch = f32 [3, 7], x = f32 [3, 8]"},
          {4, f64, "branch.shape == x.shape && branch.dtype == x.dtype, got branch = f64 [3, 8], x = f32 [3, 8]"},
          {1, narrow, "h.shape == x.shape && h.dtype == x.dtype, got h = f32 [3, 7], x = f32 [3, 8]"},
          {1, f64, "h.shape == x.shape && h.dtype == x.dtype, got h = f64 [3, 8], x = f32 [3, 8]"},
          {1, shifted(t.x), "same(h, x) || disjoint(h, x), got h = f32 [3, 8], x = f32 [3, 8]"},
          {1, t.branch, "disjoint_from_all(h, branch, weight), got h = "},
          {4, far, "on_device(ctx, y, h, rstd, x, branch, weight), got y = "},
          {0, t.x, "disjoint(y, x) || (branch.empty() && same(y, x)), got y = "},
          {0, t.h, "disjoint_from_all(y, h, branch, weight), got y = "},
          {0, t.branch, "disjoint_from_all(y, h, branch, weight), got y = "},
          {2, inside(t.y, {3, 1}), "disjoint_from_all(rstd, y, h, x, branch, weight), got rstd = "},
          {2, inside(t.x, {3, 1}), "disjoint_from_all(rstd, y, h, x, branch, weight), got rstd = "},
      },
      [&](const auto& v) { return error(v); });
  expect_messages("rms_norm_forward", alone,
                  {{0, shifted(t.x), "disjoint(y, x) || (branch.empty() && same(y, x)), got y = "},
                   {1, t.h, "h.empty() == branch.empty(), got h = f32 [3, 8], branch = f32 []"}},
                  [&](const auto& v) { return error(v); });
}

TEST_F(RmsNormErrors, BackwardNamesWhatIsWrong) {
  const auto error = [&](const std::vector<View>& v, Grad mode = Grad::overwrite) {
    return error_of([&] { rms_norm_backward(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], v[6], mode); });
  };
  const std::vector<View> right = {t.dx, t.dweight, t.dy, t.dh, t.h, t.rstd, t.weight};
  EXPECT_EQ(error({t.dx, View{}, t.dy, View{}, t.h, t.rstd, t.weight}, Grad::skip), "");
  expect_messages(
      "rms_norm_backward", right,
      {
          {4, empty, "h.rows() > 0 && h.width() > 0, got h = f32 [0, 8]"},
          {6, weight_3,
           "weight.shape.rank == 1 && weight.width() > 0 && h.width() % weight.width() == 0, got weight = "},
          {0, narrow,
           "dx.shape == h.shape && dy.shape == h.shape, got dx = f32 [3, 7], dy = f32 [3, 8], h = f32 [3, 8]"},
          {2, narrow,
           "dx.shape == h.shape && dy.shape == h.shape, got dx = f32 [3, 8], dy = f32 [3, 7], h = f32 [3, 8]"},
          {5, t.weight, "rstd.shape == groups, got rstd = f32 [8], groups = [3, 1]"},
          {0, f64, "dx.dtype == h.dtype && dy.dtype == h.dtype, got dx = f64 [3, 8], dy = f32 [3, 8], h = f32 [3, 8]"},
          {2, f64, "dx.dtype == h.dtype && dy.dtype == h.dtype, got dx = f32 [3, 8], dy = f64 [3, 8], h = f32 [3, 8]"},
          {5, rstd_f64,
           "rstd.dtype == accumulator(h.dtype) && weight.dtype == h.dtype, got rstd = f64 [3, 1], weight = f32 [8]"},
          {6, column_f64,
           "rstd.dtype == accumulator(h.dtype) && weight.dtype == h.dtype, got rstd = f32 [3, 1], weight = f64 [8]"},
          {3, narrow,
           "dh.empty() || (dh.shape == h.shape && dh.dtype == h.dtype), got dh = f32 [3, 7], h = f32 [3, 8]"},
          {3, f64, "dh.empty() || (dh.shape == h.shape && dh.dtype == h.dtype), got dh = f64 [3, 8], h = f32 [3, 8]"},
          {2, far, "on_device(ctx, dx, dy, dh, h, rstd, weight), got dx = "},
          {0, shifted(t.dy), "same(dx, dy) || disjoint(dx, dy), got dx = "},
          {0, shifted(t.dh), "same(dx, dh) || disjoint(dx, dh), got dx = "},
          {0, t.h, "disjoint_from_all(dx, h, rstd, weight), got dx = "},
          {1, weight_3,
           "dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), got dweight = f32 [3]"},
          {1, column_f64,
           "dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), got dweight = f64 [8]"},
          {1, View{},
           "dweight.shape == weight.shape && dweight.dtype == accumulator(weight.dtype), got dweight = f32 []"},
          {1, column_far, "on_device(ctx, dweight), got dweight = f32 [8] on cuda"},
          {1, t.weight, "disjoint_from_all(dweight, dx, dy, dh, h, rstd, weight), got dweight = "},
      },
      [&](const auto& v) { return error(v); });
}

}  // namespace
}  // namespace rw::test
