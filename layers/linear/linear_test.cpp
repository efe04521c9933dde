#include "layers/linear/linear.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

constexpr int64_t kRows = 9, kIn = 5;
const std::vector<Param::Part> kParts = {{"q", 4}, {"k", 2}, {"v", 1}};

// One layer with three parts, its storage and its tensors.
struct Trial {
  explicit Trial(const Backend& backend, bool with_bias = true, int64_t gap = 0)
      : bench(backend),
        layer(kParts, kIn, with_bias, 0.02),
        weight({7, kIn}, backend),
        dweight({7, kIn}, Where(backend).in_accumulator()),
        bias({7}, backend),
        dbias({7}, Where(backend).in_accumulator()),
        x({kRows, kIn}, backend, gap),
        dx({kRows, kIn}, backend, gap),
        y({kRows, 7}, backend, gap),
        dy({kRows, 7}, backend, gap) {
    layer.weight.value = weight, layer.weight.grad = dweight;
    for (Param& b : layer.bias) b.value = bias, b.grad = dbias;
    unsigned seed = 0;
    for (Tensor* one : {&weight, &bias, &x, &dy}) one->fill(normal(one->size(), ++seed));
  }
  void forward() { layer.forward(bench.ctx, y, x, saved); }
  void backward(Grad mode) { layer.backward(bench.ctx, dx, dy, saved, mode); }
  double loss() {  // Σ dy · y
    forward();
    return dot(dy.values(), y.values());
  }
  bool intact() const {
    bool good = true;
    for (const Tensor* one : {&y, &dx, &dweight, &dbias}) good = good && one->sentinels_intact();
    return good;
  }

  Bench bench;
  Linear layer;
  Linear::Saved saved;
  Tensor weight, dweight, bias, dbias, x, dx, y, dy;
};

const Backend kPlain{"plain_f64", DType::f64, {}, true};

double worst_gradient(Trial& t) {
  const auto loss = [&] { return t.loss(); };
  double worst = std::max(gradient_error(t.x, t.dx, loss), gradient_error(t.weight, t.dweight, loss));
  if (!t.layer.bias.empty()) worst = std::max(worst, gradient_error(t.bias, t.dbias, loss));
  return worst;
}

TEST(Linear, GradientMatchesCentralDifferences) {
  for (bool with_bias : {true, false}) {
    Trial t(kPlain, with_bias, 3);
    t.forward(), t.backward(Grad::overwrite);
    EXPECT_LT(worst_gradient(t), 1e-7);
    EXPECT_TRUE(t.intact());
  }
}

TEST(LinearSabotage, IsFoundOut) {
  for (Tensor Trial::*one : {&Trial::dx, &Trial::dweight, &Trial::dbias}) {
    Trial t(kPlain);
    t.forward(), t.backward(Grad::overwrite);
    (t.*one).as<double>()[0][1] += 1e-5;
    EXPECT_GT(worst_gradient(t), 1e-7);
  }
}

TEST(Linear, BackendsAgree) {
  Trial naive({"plain_f32", DType::f32, {}, true}), truth(kPlain);
  for (const Backend& backend : backends()) {
    Trial t(backend, true, 2);
    for (Trial* trial : {&t, &naive, &truth}) {
      for (Tensor Trial::*one : {&Trial::weight, &Trial::bias, &Trial::x, &Trial::dy})
        (trial->*one).fill((t.*one).values());
      trial->forward(), trial->backward(Grad::overwrite);
    }
    for (Tensor Trial::*one : {&Trial::y, &Trial::dx, &Trial::dweight, &Trial::dbias})
      EXPECT_EQ(parity_rounded_once("", t.*one, naive.*one, truth.*one), "") << backend;
    EXPECT_TRUE(t.intact()) << backend;
  }
}

TEST(Linear, GradModes) {
  for (const Backend& backend : backends()) {
    Trial t(backend);
    t.forward(), t.backward(Grad::overwrite);
    const auto dx = t.dx.bytes(), dweight = t.dweight.bytes(), dbias = t.dbias.bytes();
    auto twice = t.dweight.values(), twice_bias = t.dbias.values();
    t.backward(Grad::skip);
    EXPECT_TRUE(t.dweight.bytes() == dweight && t.dbias.bytes() == dbias && t.dx.bytes() == dx) << backend;
    t.backward(Grad::accumulate);
    for (double& v : twice) v *= 2;
    for (double& v : twice_bias) v *= 2;
    EXPECT_LT(largest_difference(t.dweight.values(), twice), 4e-6) << backend;
    EXPECT_LT(largest_difference(t.dbias.values(), twice_bias), 4e-6) << backend;
    t.layer.backward(t.bench.ctx, {}, t.dy, t.saved, Grad::overwrite);  // dx is not wanted
    EXPECT_TRUE(t.dweight.bytes() == dweight && t.dbias.bytes() == dbias && t.dx.bytes() == dx) << backend;
  }
}

TEST(Linear, PartsAreNamedForFiles) {
  Linear layer(kParts, kIn, true, 0.02);
  std::vector<std::string> names;
  layer.each([&](Param& p) {
    for (const Param::Part& part : p.parts) names.push_back(part.name + ' ' + std::to_string(part.rows));
  });
  EXPECT_THAT(names,
              testing::ElementsAre("q.weight 4", "k.weight 2", "v.weight 1", "q.bias 4", "k.bias 2", "v.bias 1"));
  EXPECT_EQ(layer.weight.shape, (Shape{7, kIn}));
  EXPECT_TRUE(layer.weight.decay);
  EXPECT_EQ(layer.weight.init_std, 0.02);
  EXPECT_EQ(layer.bias[0].shape, Shape{7});
  EXPECT_FALSE(layer.bias[0].decay);
  EXPECT_TRUE(Linear(kParts, kIn, false, 0.02).bias.empty());
}

TEST(Linear, ErrorsNameWhatIsWrong) {
  Trial t({"plain_f32", DType::f32, {}, true});
  const Tensor narrow({kRows, 4}, DType::f32);
  using testing::HasSubstr;
  EXPECT_THAT(error_of([&] { t.layer.forward(t.bench.ctx, t.y, narrow, t.saved); }), HasSubstr("a = f32 [9, 4]"));
  t.forward();
  EXPECT_THAT(error_of([&] { t.layer.backward(t.bench.ctx, t.dx, narrow, t.saved, Grad::overwrite); }),
              HasSubstr("f32 [9, 4]"));
  EXPECT_THAT(error_of([&] { t.layer.backward(t.bench.ctx, narrow, t.dy, t.saved, Grad::overwrite); }),
              HasSubstr("gemm_nn: "));
  const Tensor dy_bf16({kRows, 7}, DType::bf16), dweight_bf16({7, kIn}, DType::bf16);
  t.layer.weight.grad = dweight_bf16;
  for (const CView& dy : {CView(t.dy), CView(dy_bf16)})
    EXPECT_THAT(error_of([&] { t.layer.backward(t.bench.ctx, t.dx, dy, t.saved, Grad::overwrite); }),
                HasSubstr("expected weight.grad.dtype == accumulator(dy.dtype), got weight.grad = bf16 [7, 5]"));
}

}  // namespace
}  // namespace rw::test
