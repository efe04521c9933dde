#include "layers/mlp/gelu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numbers>

#include "core/base/parallel.hpp"
#include "layers/mlp/mlp_test.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array kForms = {GeluForm::exact, GeluForm::tanh};

struct Tensors {
  Tensors(const Case& c, Where t)
      : rows(c.rows),
        width(c.width),
        x({rows, width}, t, c.gap),
        dy({rows, width}, t, c.gap),
        y({rows, width}, t, c.gap),
        dx({rows, width}, t, c.gap) {
    x.fill(scaled_normal(x.size(), 1, 2));
    dy.fill(normal(dy.size(), 2));
  }

  int64_t rows, width;
  Tensor x, dy;  // inputs
  Tensor y, dx;  // outputs
};

template <class T>
void naive(const Tensors& t, GeluForm form) {
  const T root = static_cast<T>(std::sqrt(2 / std::numbers::pi)), a = static_cast<T>(0.044715);
  for (int64_t r = 0; r < t.rows; ++r)
    for (int64_t c = 0; c < t.width; ++c) {
      const T x = t.x.as<T>()[r][c], dy = t.dy.as<T>()[r][c];
      T& y = t.y.as<T>()[r][c];
      T& dx = t.dx.as<T>()[r][c];
      if (form == GeluForm::exact) {
        const T cdf = (1 + std::erf(x / std::sqrt(T(2)))) / 2;
        y = x * cdf;
        dx = dy * (cdf + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<T>));
      } else {
        const T th = std::tanh(root * (x + a * x * x * x));
        y = x / 2 * (1 + th);
        dx = dy * ((1 + th) / 2 + x / 2 * (1 - th * th) * root * (1 + 3 * a * x * x));
      }
    }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
struct Op {
  std::function<decltype(gelu_forward)> forward = gelu_forward;
  std::function<decltype(gelu_backward)> backward = gelu_backward;

  void operator()(Ctx& ctx, const Tensors& t, GeluForm form) const {
    forward(ctx, t.y, t.x, form);
    backward(ctx, t.dx, t.dy, t.x, form);
  }
};

// A line for everything that is wrong.
std::string problems(const Op& op, GeluForm form, const Backend& backend, Ctx& ctx, const Case& c) {
  std::string found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  };
  Tensors t(c, backend), same_precision(c, accumulator(backend.dtype)), truth(c, DType::f64);
  for (Tensors* other : {&same_precision, &truth}) other->x.fill(t.x.values()), other->dy.fill(t.dy.values());
  op(ctx, t, form);
  visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(same_precision, form); });
  naive<double>(truth, form);
  found += parity_rounded_once("y", t.y, same_precision.y, truth.y);
  found += parity_rounded_once("dx", t.dx, same_precision.dx, truth.dx);

  const Tensors fresh(c, backend), a(c, backend);
  expect(t.x.bytes() == fresh.x.bytes() && t.dy.bytes() == fresh.dy.bytes(), "an input changed");
  expect(t.y.sentinels_intact() && t.dx.sentinels_intact(), "a sentinel was overwritten");
  op.backward(ctx, a.dy, a.dy, a.x, form);
  expect(a.dy.bytes() == t.dx.bytes(), "dx = dy: differs");
  op.backward(ctx, a.x, t.dy, a.x, form);
  expect(a.x.bytes() == t.dx.bytes(), "dx = x: differs");
  op.forward(ctx, fresh.x, fresh.x, form);
  expect(fresh.x.bytes() == t.y.bytes(), "y = x: differs");
  return found;
}

double worst_gradient_error(const Op& op, GeluForm form, const Case& c) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensors t(c, DType::f64);
  op(bench.ctx, t, form);
  return gradient_error(t.x, t.dx, [&] {
    op.forward(bench.ctx, t.y, t.x, form);
    return dot(t.dy.values(), t.y.values());
  });
}

TEST(Gelu, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (GeluForm form : kForms)
      for (const Case& c : cases(backend.dtype))
        EXPECT_EQ(problems(Op(), form, backend, bench.ctx, c), "")
            << backend << ' ' << c << (form == GeluForm::tanh ? " tanh" : " exact");
  }
}

TEST(Gelu, EveryElementHasAnEffect) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({3, 33, 1}, backend);
    for (GeluForm form : kForms)
      for (Tensor* input : {&t.x, &t.dy})
        EXPECT_THAT(without_effect(*input, {&t.y, &t.dx}, [&] { Op()(bench.ctx, t, form); }), testing::IsEmpty())
            << backend;
  }
}

TEST(Gelu, AnyTensorMayBeUnaligned) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const Tensors aligned({3, 8, 0}, backend), t({3, 8, 0}, backend);
    Op()(bench.ctx, aligned, GeluForm::exact);
    const std::array<const Tensor*, 4> all = {&t.x, &t.dy, &t.y, &t.dx};
    for (size_t one = 0; one < all.size(); ++one) {
      Tensor apart({3, 8}, backend, 3);
      apart.fill(all[one]->values());
      auto now = all;
      now[one] = &apart;
      gelu_forward(bench.ctx, *now[2], *now[0], GeluForm::exact);
      gelu_backward(bench.ctx, *now[3], *now[1], *now[0], GeluForm::exact);
      EXPECT_EQ(now[2]->values(), aligned.y.values()) << backend << ' ' << one;
      EXPECT_EQ(now[3]->values(), aligned.dx.values()) << backend << ' ' << one;
    }
  }
}

TEST(Gelu, GradientMatchesCentralDifferences) {
  for (GeluForm form : kForms)
    for (const Case& c : {Case{2, 2, 0}, Case{5, 7, 3}, Case{3, 33, 0}})
      EXPECT_LT(worst_gradient_error(Op(), form, c), 1e-7) << c;
}

// A relative error of one unit in x becomes one of x² units in e^(-x²/2); likewise for tanh.
TEST(Gelu, KeepsRelativePrecisionInTheTail) {
  constexpr size_t n = 2401;
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const double unit = backend.dtype == DType::f64 ? 0x1p-52 : 0x1p-23;
    Tensor x({1, n}, backend), y({1, n}, backend);
    std::vector<double> grid(n);
    for (size_t i = 0; i < n; ++i) grid[i] = (static_cast<double>(i) - 1200) / 100;  // -12 .. 12
    x.fill(grid);
    gelu_forward(bench.ctx, y, x, GeluForm::exact);
    for (size_t i = 0; i < n; ++i) {
      const double v = x.values()[i], exact = v * std::erfc(-v / std::numbers::sqrt2) / 2;
      ASSERT_NEAR(y.values()[i], exact, (4 + 2 * v * v) * unit * std::abs(exact) + rounding(exact, backend.dtype))
          << backend << ' ' << v;
    }
    if (backend.plain) continue;  // 1 + tanh has no digits left below -4
    gelu_forward(bench.ctx, y, x, GeluForm::tanh);
    for (size_t i = 0; i < n; ++i) {
      const double v = x.values()[i], s2 = 2 * std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
      const double exact = v / (1 + std::exp(-s2));
      ASSERT_NEAR(y.values()[i], exact,
                  (4 + 2 * std::abs(s2)) * unit * std::abs(exact) + 1e-36 + rounding(exact, backend.dtype))
          << backend << ' ' << v;
    }
  }
}

TEST(Gelu, FarFromZeroItIsTheIdentityOrZero) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (GeluForm form : kForms) {
      Tensors t({1, 8, 0}, backend);
      t.x.fill({-1e4, -100, -20, -10, 10, 20, 100, 1e4});
      const auto x = t.x.values();
      Op()(bench.ctx, t, form);
      for (size_t i = 0; i < 8; ++i) {
        EXPECT_NEAR(t.y.values()[i], std::max(x[i], 0.0), 1e-6 * std::abs(x[i])) << backend << ' ' << x[i];
        EXPECT_NEAR(t.dx.values()[i], x[i] > 0 ? t.dy.values()[i] : 0, 1e-6) << backend << ' ' << x[i];
      }
    }
  }
}

TEST(Gelu, NonFiniteInputsShow) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (GeluForm form : kForms) {
      Tensors t({1, 33, 0}, backend);
      auto x = t.x.values(), dy = t.dy.values();
      x[3] = x[32] = dy[5] = std::nan("");
      x[6] = std::numeric_limits<double>::infinity();
      t.x.fill(x), t.dy.fill(dy);
      Op()(bench.ctx, t, form);
      const auto finite = [](const Tensor& tensor, size_t i) { return std::isfinite(tensor.values()[i]); };
      for (size_t i : {3u, 32u}) EXPECT_FALSE(finite(t.y, i) || finite(t.dx, i)) << backend;
      EXPECT_FALSE(finite(t.dx, 5) || finite(t.y, 6)) << backend;
    }
  }
}

TEST(Gelu, KnownValues) {  // Φ(1) = 0.841344746..., and the published tanh form at 1
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensor x({1, 2}, DType::f64), y({1, 2}, DType::f64);
  x.fill({1, -2});
  gelu_forward(bench.ctx, y, x, GeluForm::exact);
  EXPECT_NEAR(y.values()[0], 0.8413447460685429, 1e-15);
  EXPECT_NEAR(y.values()[1], -0.0455002638963584, 1e-15);
  gelu_forward(bench.ctx, y, x, GeluForm::tanh);
  EXPECT_NEAR(y.values()[0], 0.8411919906082768, 1e-15);
  EXPECT_NEAR(y.values()[1], -0.0454023059122249, 1e-15);
}

TEST(Gelu, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (bool plain : {true, false})
    for (GeluForm form : kForms) {
      Bench bench({"f32", DType::f32, {}, plain});
      std::vector<std::vector<std::byte>> all;
      for (int n : {1, 2, 3}) {
        set_threads(n);
        Tensors t({50, 129, 3}, DType::f32);
        Op()(bench.ctx, t, form);
        auto bytes = t.y.bytes();
        bytes.insert(bytes.end(), t.dx.bytes().begin(), t.dx.bytes().end());
        all.push_back(bytes);
      }
      EXPECT_THAT(all, testing::Each(all[0]));
    }
  set_threads(before);
}

TEST(Gelu, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  Tensors t({3, 8, 0}, DType::f32);
  const Tensor narrow({3, 7}, DType::f32), empty({0, 8}, DType::f32), f64({3, 8}, DType::f64);
  const Tensor far({3, 8}, {DType::f32, {Device::cuda, 0}});
  const auto forward = [&](const std::vector<View>& v) {
    return error_of([&] { gelu_forward(bench.ctx, v[0], v[1], GeluForm::exact); });
  };
  const auto backward = [&](const std::vector<View>& v) {
    return error_of([&] { gelu_backward(bench.ctx, v[0], v[1], v[2], GeluForm::exact); });
  };
  const auto expect = [](const char* op, const auto& run, const std::vector<View>& right,
                         const std::vector<Wrong>& wrong) {
    EXPECT_EQ(run(right), "");
    for (const auto& [argument, instead, message] : wrong) {
      auto views = right;
      views[argument] = instead;
      EXPECT_THAT(run(views), AllOf(StartsWith(op), HasSubstr(message)));
    }
  };
  expect("gelu_forward: ", forward, {t.y, t.x},
         {{0, narrow, "expected y.shape == x.shape, got y = f32 [3, 7], x = f32 [3, 8]"},
          {1, empty, "expected x.rows() > 0 && x.width() > 0, got x = f32 [0, 8]"},
          {0, f64, "expected y.dtype == x.dtype, got y = f64 [3, 8], x = f32 [3, 8]"},
          {0, far, "y = f32 [3, 8] on cuda"},
          {0, shifted(t.x), "expected same(y, x) || disjoint(y, x)"}});
  expect("gelu_backward: ", backward, {t.dx, t.dy, t.x},
         {{0, narrow, "expected dx.shape == x.shape, got dx = f32 [3, 7], x = f32 [3, 8]"},
          {1, narrow, "expected dy.shape == x.shape, got dy = f32 [3, 7], x = f32 [3, 8]"},
          {2, empty, "expected x.rows() > 0 && x.width() > 0, got x = f32 [0, 8]"},
          {1, f64, "expected dy.dtype == x.dtype && dx.dtype == x.dtype, got dy = f64 [3, 8]"},
          {1, far, "dy = f32 [3, 8] on cuda"},
          {0, shifted(t.dy), "expected same(dx, dy) || disjoint(dx, dy)"},
          {0, shifted(t.x), "expected same(dx, x) || disjoint(dx, x)"}});
}

TEST(Gelu, SabotageIsFoundOut) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const auto found = [&](const Op& op) {
    return problems(op, GeluForm::exact, {"plain_f32", DType::f32, {}, true}, bench.ctx, {5, 17, 3});
  };
  const auto forward_then = [](auto mischief) {
    Op op;
    op.forward = [=](Ctx& ctx, View y, CView x, GeluForm form) {
      gelu_forward(ctx, y, x, form);
      mischief(y.as<float>().data, const_cast<float*>(x.as<float>().data));
    };
    return op;
  };
  EXPECT_EQ(found(Op()), "");
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[16] = std::nanf(""); })), HasSubstr("y: error nan"));
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[3] += 1e-4f; })), HasSubstr("y: error"));
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[17] = 0; })), HasSubstr("a sentinel"));
  EXPECT_THAT(found(forward_then([](float* y, float* x) { x[0] += y == x ? 0.0f : 1.0f; })), HasSubstr("an input"));

  Op other_form;  // forward of one form, backward of the other
  other_form.backward = [](Ctx& ctx, View dx, CView dy, CView x, GeluForm form) {
    gelu_backward(ctx, dx, dy, x, form == GeluForm::exact ? GeluForm::tanh : GeluForm::exact);
  };
  EXPECT_THAT(found(other_form), HasSubstr("dx: error"));
  EXPECT_GT(worst_gradient_error(other_form, GeluForm::tanh, {3, 5, 0}), 1e-4);
}

}  // namespace
}  // namespace rw::test
