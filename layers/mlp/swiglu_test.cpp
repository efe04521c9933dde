#include "layers/mlp/swiglu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "layers/mlp/mlp_test.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Tensors {
  Tensors(const Case& c, Where t)
      : rows(c.rows),
        width(c.width),
        g({rows, width}, t, c.gap),
        u({rows, width}, t, c.gap),
        dy({rows, width}, t, c.gap),
        y({rows, width}, t, c.gap),
        dg({rows, width}, t, c.gap),
        du({rows, width}, t, c.gap) {
    g.fill(scaled_normal(g.size(), 1, 3));
    u.fill(normal(u.size(), 2));
    dy.fill(normal(dy.size(), 3));
  }

  int64_t rows, width;
  Tensor g, u, dy;   // inputs
  Tensor y, dg, du;  // outputs
};
constexpr std::array kInputs = {&Tensors::g, &Tensors::u, &Tensors::dy};
constexpr std::array kOutputs = {&Tensors::y, &Tensors::dg, &Tensors::du};

template <class T>
void naive(const Tensors& t) {
  const auto g = t.g.as<T>(), u = t.u.as<T>(), dy = t.dy.as<T>();
  for (int64_t r = 0; r < t.rows; ++r)
    for (int64_t c = 0; c < t.width; ++c) {
      const T sigma = 1 / (1 + std::exp(-g[r][c])), silu = g[r][c] * sigma;
      t.y.as<T>()[r][c] = silu * u[r][c];
      t.dg.as<T>()[r][c] = dy[r][c] * u[r][c] * (sigma + silu * (1 - sigma));
      t.du.as<T>()[r][c] = dy[r][c] * silu;
    }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
struct Op {
  std::function<decltype(swiglu_forward)> forward = swiglu_forward;
  std::function<decltype(swiglu_backward)> backward = swiglu_backward;

  void operator()(Ctx& ctx, const Tensors& t) const {
    forward(ctx, t.y, t.g, t.u);
    backward(ctx, t.dg, t.du, t.dy, t.g, t.u);
  }
};

// A line for everything that is wrong.
std::string problems(const Op& op, const Backend& backend, Ctx& ctx, const Case& c) {
  std::string found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  };
  Tensors t(c, backend), same_precision(c, accumulator(backend.dtype)), truth(c, DType::f64);
  for (auto input : kInputs)
    for (Tensors* other : {&same_precision, &truth}) (other->*input).fill((t.*input).values());
  op(ctx, t);
  visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(same_precision); });
  naive<double>(truth);
  const std::array names = {"y", "dg", "du"};
  for (size_t i = 0; i < names.size(); ++i)
    found += parity_rounded_once(names[i], t.*kOutputs[i], same_precision.*kOutputs[i], truth.*kOutputs[i]);

  const Tensors fresh(c, backend), a(c, backend);
  for (auto input : kInputs) expect((t.*input).bytes() == (fresh.*input).bytes(), "an input changed");
  for (auto output : kOutputs) expect((t.*output).sentinels_intact(), "a sentinel was overwritten");
  op.backward(ctx, a.g, a.u, a.dy, a.g, a.u);
  expect(a.g.bytes() == t.dg.bytes() && a.u.bytes() == t.du.bytes(), "in place: backward differs");
  op.forward(ctx, fresh.g, fresh.g, fresh.u);
  expect(fresh.g.bytes() == t.y.bytes(), "in place: forward differs");
  return found;
}

double worst_gradient_error(const Op& op, const Case& c) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensors t(c, DType::f64);
  op(bench.ctx, t);
  const auto loss = [&] {
    op.forward(bench.ctx, t.y, t.g, t.u);
    return dot(t.dy.values(), t.y.values());
  };
  return std::max(gradient_error(t.g, t.dg, loss), gradient_error(t.u, t.du, loss));
}

TEST(Swiglu, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Case& c : cases(backend.dtype))
      EXPECT_EQ(problems(Op(), backend, bench.ctx, c), "") << backend << ' ' << c;
  }
}

TEST(Swiglu, EveryElementHasAnEffect) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({3, 33, 1}, backend);
    for (auto input : kInputs)
      EXPECT_THAT(without_effect(t.*input, {&t.y, &t.dg, &t.du}, [&] { Op()(bench.ctx, t); }), testing::IsEmpty())
          << backend;
  }
}

TEST(Swiglu, AnyTensorMayBeUnaligned) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const Tensors aligned({3, 8, 0}, backend), t({3, 8, 0}, backend);
    Op()(bench.ctx, aligned);
    const std::array<const Tensor*, 6> all = {&t.g, &t.u, &t.dy, &t.y, &t.dg, &t.du};
    for (size_t one = 0; one < all.size(); ++one) {
      Tensor apart({3, 8}, backend, 3);
      apart.fill(all[one]->values());
      auto now = all;
      now[one] = &apart;
      swiglu_forward(bench.ctx, *now[3], *now[0], *now[1]);
      swiglu_backward(bench.ctx, *now[4], *now[5], *now[2], *now[0], *now[1]);
      for (size_t i = 0; i < kOutputs.size(); ++i)
        EXPECT_EQ(now[3 + i]->values(), (aligned.*kOutputs[i]).values()) << backend << ' ' << one << ' ' << i;
    }
  }
}

TEST(Swiglu, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{2, 2, 0}, Case{5, 7, 3}, Case{3, 33, 0}})
    EXPECT_LT(worst_gradient_error(Op(), c), 1e-7) << c;
}

TEST(Swiglu, KeepsRelativePrecisionWhereTheGateIsAlmostShut) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor g({1, 1601}, backend), one({1, 1601}, backend), y({1, 1601}, backend);
    one.fill(std::vector<double>(1601, 1.0));
    g.fill([] {
      std::vector<double> v(1601);
      for (size_t i = 0; i < v.size(); ++i) v[i] = (static_cast<double>(i) - 800) / 10;  // -80 .. 80
      return v;
    }());
    swiglu_forward(bench.ctx, y, g, one);
    for (size_t i = 0; i < 1601; ++i) {
      const double x = g.values()[i], exact = x / (1 + std::exp(-x));
      ASSERT_NEAR(y.values()[i], exact, 1e-6 * std::abs(exact) + rounding(exact, backend.dtype)) << backend << ' ' << x;
    }
  }
}

TEST(Swiglu, SaturatedGatesAreOpenOrShut) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (double gate : {50.0, 90.0, 1e4})
      for (double sign : {-1.0, 1.0}) {
        Tensors t({1, 5, 0}, backend);
        t.g.fill(std::vector<double>(5, sign * gate));
        Op()(bench.ctx, t);
        const auto g = t.g.values(), u = t.u.values(), dy = t.dy.values();
        const auto expect_near = [&](double got, double exact, double limit) {
          EXPECT_NEAR(got, exact, limit + rounding(exact, backend.dtype)) << backend << ' ' << sign * gate;
        };
        for (size_t i = 0; i < 5; ++i) {
          const double silu = sign > 0 ? g[i] : 0, slope = sign > 0 ? 1 : 0;
          expect_near(t.y.values()[i], silu * u[i], 1e-6 * gate);
          expect_near(t.dg.values()[i], dy[i] * u[i] * slope, 1e-6);
          expect_near(t.du.values()[i], dy[i] * silu, 1e-6 * gate);
        }
      }
  }
}

TEST(Swiglu, NonFiniteInputsShow) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({1, 33, 0}, backend);
    auto g = t.g.values(), u = t.u.values(), dy = t.dy.values();
    g[3] = g[32] = u[4] = dy[5] = std::nan("");
    g[6] = std::numeric_limits<double>::infinity();
    t.g.fill(g), t.u.fill(u), t.dy.fill(dy);
    Op()(bench.ctx, t);
    const auto finite = [](const Tensor& tensor, size_t i) { return std::isfinite(tensor.values()[i]); };
    for (size_t i : {3u, 32u}) EXPECT_FALSE(finite(t.y, i) || finite(t.dg, i) || finite(t.du, i)) << backend;
    EXPECT_FALSE(finite(t.y, 4) || finite(t.dg, 4) || finite(t.dg, 5) || finite(t.du, 5) || finite(t.y, 6)) << backend;
  }
}

TEST(Swiglu, TakesColumnSlicesOfOneTensor) {  // [g, u] is one product, and its gradient replaces it
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const Case c{7, 33, 0};
    Tensors t(c, backend);
    Op()(bench.ctx, t);
    Tensor both({7, 66}, backend);
    std::vector<double> joined;
    for (size_t r = 0; r < 7; ++r)
      for (const Tensor* half : {&t.g, &t.u})
        for (size_t i = 0; i < 33; ++i) joined.push_back(half->values()[r * 33 + i]);
    both.fill(joined);
    const View g = columns(both.view(), 0, 33), u = columns(both.view(), 33, 33);
    swiglu_backward(bench.ctx, g, u, t.dy, g, u);
    for (size_t r = 0; r < 7; ++r)
      for (size_t i = 0; i < 33; ++i) {
        ASSERT_EQ(both.values()[r * 66 + i], t.dg.values()[r * 33 + i]) << backend;
        ASSERT_EQ(both.values()[r * 66 + 33 + i], t.du.values()[r * 33 + i]) << backend;
      }
  }
}

TEST(Swiglu, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (bool plain : {true, false}) {
    Bench bench({"f32", DType::f32, {}, plain});
    std::vector<std::vector<std::byte>> all;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      Tensors t({50, 129, 3}, DType::f32);
      Op()(bench.ctx, t);
      auto bytes = t.y.bytes();
      bytes.insert(bytes.end(), t.dg.bytes().begin(), t.dg.bytes().end());
      bytes.insert(bytes.end(), t.du.bytes().begin(), t.du.bytes().end());
      all.push_back(bytes);
    }
    EXPECT_THAT(all, testing::Each(all[0]));
  }
  set_threads(before);
}

TEST(Swiglu, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  Tensors t({3, 8, 0}, DType::f32);
  const Tensor narrow({3, 7}, DType::f32), empty({0, 8}, DType::f32), f64({3, 8}, DType::f64);
  const Tensor far({3, 8}, {DType::f32, {Device::cuda, 0}});
  const auto forward = [&](const std::vector<View>& v) {
    return error_of([&] { swiglu_forward(bench.ctx, v[0], v[1], v[2]); });
  };
  const auto backward = [&](const std::vector<View>& v) {
    return error_of([&] { swiglu_backward(bench.ctx, v[0], v[1], v[2], v[3], v[4]); });
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
  expect("swiglu_forward: ", forward, {t.y, t.g, t.u},
         {{0, narrow, "expected y.shape == g.shape, got y = f32 [3, 7], g = f32 [3, 8]"},
          {1, empty, "expected g.rows() > 0 && g.width() > 0, got g = f32 [0, 8]"},
          {2, narrow, "expected u.shape == g.shape, got u = f32 [3, 7], g = f32 [3, 8]"},
          {0, f64, "expected u.dtype == g.dtype && y.dtype == g.dtype"},
          {2, far, "u = f32 [3, 8] on cuda"},
          {0, shifted(t.g), "expected same(y, g) || disjoint(y, g)"},
          {0, t.u, "expected disjoint(y, u)"}});
  expect("swiglu_backward: ", backward, {t.dg, t.du, t.dy, t.g, t.u},
         {{0, narrow, "expected dg.shape == g.shape, got dg = f32 [3, 7], g = f32 [3, 8]"},
          {1, narrow, "expected du.shape == g.shape, got du = f32 [3, 7], g = f32 [3, 8]"},
          {2, narrow, "expected dy.shape == g.shape, got dy = f32 [3, 7], g = f32 [3, 8]"},
          {3, empty, "expected g.rows() > 0 && g.width() > 0, got g = f32 [0, 8]"},
          {4, narrow, "expected u.shape == g.shape, got u = f32 [3, 7], g = f32 [3, 8]"},
          {2, f64, "expected u.dtype == g.dtype && dy.dtype == g.dtype"},
          {1, f64, "expected dg.dtype == g.dtype && du.dtype == g.dtype"},
          {0, far, "dg = f32 [3, 8] on cuda"},
          {0, shifted(t.g), "expected same(dg, g) || disjoint(dg, g)"},
          {1, shifted(t.u), "expected same(du, u) || disjoint(du, u)"},
          {0, t.dy, "expected disjoint_from_all(dg, du, dy, u)"},
          {1, t.dy, "expected disjoint_from_all(du, dy, g)"}});
}

TEST(Swiglu, SabotageIsFoundOut) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const auto found = [&](const Op& op) {
    return problems(op, {"plain_f32", DType::f32, {}, true}, bench.ctx, {5, 17, 3});
  };
  const auto forward_then = [](auto mischief) {
    Op op;
    op.forward = [=](Ctx& ctx, View y, CView g, CView u) {
      swiglu_forward(ctx, y, g, u);
      mischief(y.as<float>().data, const_cast<float*>(g.as<float>().data));
    };
    return op;
  };
  EXPECT_EQ(found(Op()), "");
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[16] = std::nanf(""); })), HasSubstr("y: error nan"));
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[3] += 1e-4f; })), HasSubstr("y: error"));
  EXPECT_THAT(found(forward_then([](float* y, float*) { y[17] = 0; })), HasSubstr("a sentinel"));
  EXPECT_THAT(found(forward_then([](float* y, float* g) { g[0] += y == g ? 0.0f : 1.0f; })), HasSubstr("an input"));

  Op without_curve;  // dg = dy · u · σ(g)
  without_curve.backward = [](Ctx& ctx, View dg, View du, CView dy, CView g, CView u) {
    swiglu_backward(ctx, dg, du, dy, g, u);
    for (int64_t r = 0; r < g.rows(); ++r)
      for (int64_t c = 0; c < g.width(); ++c)
        dg.as<double>()[r][c] = dy.as<double>()[r][c] * u.as<double>()[r][c] / (1 + std::exp(-g.as<double>()[r][c]));
  };
  EXPECT_GT(worst_gradient_error(without_curve, {3, 5, 0}), 1e-3);
}

}  // namespace
}  // namespace rw::test
