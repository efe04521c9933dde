#include "layers/norm/norm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

constexpr int64_t kRows = 40, kWidth = 24, kJunctions = 3;

std::vector<Norm> kinds() {
  return {{NormKind::rms, "blocks.0.norm", kWidth, false, 1e-5},
          {NormKind::layer, "blocks.0.norm", kWidth, false, 1e-5},
          {NormKind::layer, "blocks.0.norm", kWidth, true, 1e-5}};
}

// Storage of a norm's parameters and gradients.
struct Bound {
  Norm norm;
  std::vector<std::unique_ptr<Tensor>> values, grads;

  Bound(Norm n, Where where) : norm(std::move(n)) {
    norm.each([&](Param& p) {
      values.push_back(std::make_unique<Tensor>(p.shape, where));
      grads.push_back(std::make_unique<Tensor>(p.shape, where.in_accumulator()));
      values.back()->fill(normal(values.back()->size(), static_cast<unsigned>(values.size())));
      p.value = *values.back(), p.grad = *grads.back();
    });
  }
};

TEST(Norm, EachVisitsItsParameters) {
  std::vector<std::string> seen;
  for (Norm& norm : kinds())
    norm.each([&](Param& p) {
      std::ostringstream text;
      text << p.name() << ' ' << p.parts[0].rows << ' ' << p.shape << ' ' << p.decay << ' ' << p.init_fill;
      seen.push_back(text.str());
    });
  const std::string weight = "blocks.0.norm.weight 24 [24] 0 1", bias = "blocks.0.norm.bias 24 [24] 0 0";
  EXPECT_EQ(seen, (std::vector<std::string>{weight, weight, weight, bias}));
}

TEST(Norm, RmsHasNoBias) {
  EXPECT_EQ(error_of([] { Norm(NormKind::rms, "blocks.0.norm", kWidth, true, 1e-5); }),
            "Norm: expected kind == NormKind::layer || !with_bias, got name = blocks.0.norm");
}

TEST(Norm, GradientsMatchCentralDifferences) {
  for (const Norm& kind : kinds()) {
    Bound bound(kind, DType::f64);
    Bench bench({"plain_f64", DType::f64, {}, true});
    const Shape matrix = {5, kWidth};
    Tensor x(matrix, DType::f64), branch(matrix, DType::f64), dy(matrix, DType::f64), dh(matrix, DType::f64);
    Tensor y(matrix, DType::f64), h(matrix, DType::f64), dx(matrix, DType::f64);
    unsigned seed = 10;
    for (Tensor* t : {&x, &branch, &dy, &dh}) t->fill(normal(t->size(), ++seed));
    Norm::Saved saved;
    const auto loss = [&] {
      const ArenaScope scope(bench.ctx.saved);
      bound.norm.forward(bench.ctx, y, h, x, branch, saved);
      return dot(dy.values(), y.values()) + dot(dh.values(), h.values());
    };
    bound.norm.forward(bench.ctx, y, h, x, branch, saved);
    bound.norm.backward(bench.ctx, dx, dy, dh, saved, Grad::overwrite);
    EXPECT_LT(gradient_error(x, dx, loss), 1e-7);
    EXPECT_LT(gradient_error(branch, dx, loss), 1e-7);
    for (size_t p = 0; p < bound.values.size(); ++p)
      EXPECT_LT(gradient_error(*bound.values[p], *bound.grads[p], loss), 1e-7) << p;
  }
}

// With a branch and without, `again` gives y to the same bits, and leaves h and the statistics as they were.
TEST(Norm, AgainGivesTheSameBits) {
  for (const Backend& backend : backends())
    for (const Norm& kind : kinds())
      for (bool with_branch : {false, true}) {
        const Bound bound(kind, backend);
        Bench bench(backend);
        const Shape matrix = {kRows, kWidth};
        Tensor x(matrix, backend), branch(matrix, backend), h(matrix, backend);
        Tensor y(matrix, backend), again(matrix, backend);
        x.fill(normal(x.size(), 1)), branch.fill(normal(branch.size(), 2));
        Norm::Saved saved;
        bound.norm.forward(bench.ctx, y, with_branch ? h : View{}, x, with_branch ? branch : View{}, saved);
        EXPECT_TRUE(same(saved.h, with_branch ? h : x));
        EXPECT_EQ(saved.mean.empty(), kind.kind == NormKind::rms);
        const auto mark = bench.ctx.saved.mark();
        const auto stream = h.bytes(), input = x.bytes();
        bound.norm.again(bench.ctx, again, saved);
        EXPECT_EQ(again.bytes(), y.bytes()) << backend;
        EXPECT_EQ(h.bytes(), stream);
        EXPECT_EQ(x.bytes(), input);
        EXPECT_EQ(bench.ctx.saved.mark(), mark);
        EXPECT_EQ(bench.ctx.scratch.mark(), 0u);
      }
}

// A stack of junctions, y_l = norm_l(h_l), h_{l+1} = h_l + y_l, and back: what a model does with memory, in small.
void step(Ctx& ctx, const std::vector<Bound>& bound) {
  const auto take = [&](Arena& arena, unsigned seed) {
    const View v = arena.take({kRows, kWidth}, DType::f32, "activation");
    if (!ctx.dry && seed) {
      const auto values = normal(static_cast<size_t>(kRows * kWidth), seed);
      std::ranges::transform(values, v.as<float>().data, [](double value) { return static_cast<float>(value); });
    }
    return v;
  };
  std::vector<Norm::Saved> saved(bound.size());
  View h = take(ctx.saved, 1), branch = take(ctx.saved, 2);
  for (size_t l = 0; l < bound.size(); ++l) {
    const View next = take(ctx.saved, 0), y = take(ctx.saved, 0);
    bound[l].norm.forward(ctx, y, next, h, branch, saved[l]);
    h = next, branch = y;
  }
  const ArenaScope scope(ctx.scratch);
  const View dh = take(ctx.scratch, 3), dy = take(ctx.scratch, 4);
  for (size_t l = bound.size(); l-- > 0;) {
    bound[l].norm.again(ctx, branch, saved[l]);
    bound[l].norm.backward(ctx, dh, dy, dh, saved[l], Grad::overwrite);
  }
}

TEST(Norm, DryRunSizesTheArenasAndTouchesNothing) {
  for (const Norm& kind : kinds()) {
    std::vector<Bound> bound;
    for (int64_t l = 0; l < kJunctions; ++l) bound.emplace_back(kind, DType::f32);
    Arena saved = Arena::measuring("saved", {}), scratch = Arena::measuring("scratch", {});
    Ctx dry{.device = {}, .saved = saved, .scratch = scratch, .dry = true};
    step(dry, bound);
    for (const Bound& b : bound)
      for (const auto& grad : b.grads)
        for (double g : grad->values()) ASSERT_TRUE(std::isnan(g));

    // x, branch, and h, y and one or two statistics of each junction, at 256-byte boundaries; dh, dy and [5 parts,
    // width] for each column sum.
    const bool two = kind.kind == NormKind::layer;
    EXPECT_EQ(saved.peak(), 8 * 3840u + (two ? 5 : 2) * 256u + 160u);
    EXPECT_EQ(scratch.peak(), 2 * 3840u + (kind.bias.empty() ? 480u : 960u));

    Arena real_saved("saved", {}, saved.peak()), real_scratch("scratch", {}, scratch.peak());
    Ctx ctx{.device = {}, .saved = real_saved, .scratch = real_scratch};
    step(ctx, bound);
    EXPECT_EQ(real_saved.peak(), saved.peak());
    EXPECT_EQ(real_scratch.peak(), scratch.peak());
    EXPECT_EQ(real_scratch.mark(), 0u);
    for (const Bound& b : bound)
      for (const auto& grad : b.grads)
        for (double g : grad->values()) EXPECT_TRUE(std::isfinite(g));
  }
}

TEST(Norm, OneByteLessIsAnErrorThatNamesTheTensor) {
  std::vector<Bound> bound;
  bound.emplace_back(kinds()[0], DType::f32);
  Arena saved("saved", {}, 1 << 20), scratch("scratch", {}, 2 * 3840 + 479);
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
  EXPECT_EQ(error_of([&] { step(ctx, bound); }),
            "arena scratch: no room for rms_norm.partial = f32 [5, 24] at 7680 of 8159 bytes");
}

}  // namespace
}  // namespace rw::test
