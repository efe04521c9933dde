#include "layers/loss/linear_cross_entropy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

constexpr double kScale = 0.375;

struct Case {
  int64_t rows, width, vocab, gap;
  int64_t bytes = kLossBytes;  // few: chunks of at most kLossRows rows
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << 'x' << c.width << " vocab " << c.vocab << " gap " << c.gap << " bytes " << c.bytes;
}

// In bf16 only what its vectors of 8 change: one and two warps, 16 warps that take another turn; each alone and beside
// single elements.
std::vector<Case> cases(DType dtype) {
  if (dtype == DType::bf16)
    return {{1, 1, 2, 0},   {5, 8, 17, 3},   {5, 7, 8, 0},   {5, 16, 248, 8},   {3, 3, 256, 0},
            {3, 3, 264, 0}, {2, 3, 4104, 0}, {2, 3, 515, 0}, {33, 5, 17, 3, 1}, {65, 5, 24, 0, 1}};
  std::vector<Case> all;
  for (int64_t vocab : {1, 2, 5, 15, 16, 17, 31, 32, 33, 129})
    for (int64_t gap : {0, 3}) all.push_back({5, 7, vocab, gap});
  all.insert(all.end(), {{1, 1, 2, 0},
                         {1, 33, 300, 0},
                         {31, 5, 17, 0, 1},   // one chunk
                         {33, 5, 17, 3, 1},   // 17 + 16
                         {65, 5, 17, 0, 1},   // 22 + 22 + 21
                         {128, 3, 33, 1, 1},  // 4 of 32
                         {3, 4, 50304, 0},
                         {2, 3, 128, 0},  // on a GPU: a warp for each row, in vectors of 4
                         {2, 3, 515, 0},  // 512 threads, and 3 take another turn
                         {2, 3, 2052, 0}});
  return all;
}

struct Tensors {
  Tensors(const Case& c, Where t)
      : x({c.rows, c.width}, t, c.gap),
        w({c.vocab, c.width}, t, c.gap),
        dx({c.rows, c.width}, t, c.gap),
        dw({c.vocab, c.width}, t.in_accumulator(), c.gap),
        nll({c.rows}, t.in_accumulator()),
        target({c.rows}, {DType::i32, t.device}) {
    x.fill(normal(x.size(), 1)), w.fill(normal(w.size(), 2));
    std::vector<double> ids(target.size());
    for (size_t r = 0; r < ids.size(); ++r)
      ids[r] = r % 4 == 1 ? kIgnore : static_cast<double>((r * 7 + 1) % static_cast<size_t>(c.vocab));
    target.fill(ids);
  }
  Tensor x, w, dx, dw, nll, target;
};

// The formulas, with all logits at once. Logits and their gradient are stored in `dtype`.
template <class T>
void naive(const Tensors& t, DType dtype) {
  const auto stored = [dtype](T v) { return dtype == DType::bf16 ? T(float(bf16(float(v)))) : v; };
  const int64_t rows = t.x.view().rows(), width = t.x.view().width(), vocab = t.w.view().rows();
  const auto x = t.x.as<T>(), w = t.w.as<T>(), dx = t.dx.as<T>(), dw = t.dw.as<T>();
  for (int64_t v = 0; v < vocab; ++v) std::fill_n(dw[v], width, T(0));
  std::vector<T> z(static_cast<size_t>(vocab));
  for (int64_t r = 0; r < rows; ++r) {
    std::fill_n(dx[r], width, T(0));
    t.nll.as<T>().data[r] = 0;
    const int32_t target = t.target.as<int32_t>().data[r];
    if (target == kIgnore) continue;
    for (int64_t v = 0; v < vocab; ++v) {
      T sum = 0;
      for (int64_t c = 0; c < width; ++c) sum += x[r][c] * w[v][c];
      z[static_cast<size_t>(v)] = stored(sum);
    }
    const T most = *std::max_element(z.begin(), z.end());
    T sum = 0;
    for (T one : z) sum += std::exp(one - most);
    t.nll.as<T>().data[r] = std::log(sum) + most - z[static_cast<size_t>(target)];
    for (int64_t v = 0; v < vocab; ++v) {
      const T p = std::exp(z[static_cast<size_t>(v)] - most) / sum, dz = stored(T(kScale) * (p - T(v == target)));
      for (int64_t c = 0; c < width; ++c) dx[r][c] += dz * w[v][c], dw[v][c] += dz * x[r][c];
    }
  }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
using Op = std::function<void(Ctx&, View, View, View, CView, CView, CView, double, Grad, int64_t)>;

struct Trial {
  Trial(const Op& op_, Bench& bench_, const Backend& backend_, const Case& c_)
      : op(op_), bench(bench_), backend(backend_), c(c_), t(c_, backend_) {}

  Op op;
  Bench& bench;
  Backend backend;
  Case c;
  Tensors t;
  std::string found;

  void expect(bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  }
  void run(const Tensors& on, View dx, Grad mode) {
    op(bench.ctx, on.nll, dx, mode == Grad::skip ? View{} : on.dw, on.x, on.w, on.target, kScale, mode, c.bytes);
  }

  void parity() {
    Tensors reference(c, accumulator(backend.dtype)), truth(c, DType::f64);
    for (Tensors* one : {&reference, &truth}) one->x.fill(t.x.values()), one->w.fill(t.w.values());
    run(t, t.dx, Grad::overwrite);
    visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(reference, backend.dtype); });
    naive<double>(truth, DType::f64);
    found += test::parity("nll", t.nll, reference.nll, truth.nll);
    found += test::parity("dx", t.dx, reference.dx, truth.dx);
    found += test::parity("dw", t.dw, reference.dw, truth.dw);
  }

  void loss_alone() {
    const auto nll = t.nll.bytes();
    t.nll.fill(std::vector<double>(t.nll.size(), std::nan("")));
    linear_cross_entropy(bench.ctx, t.nll, t.x, t.w, t.target, c.bytes);
    expect(t.nll.bytes() == nll, "the loss alone differs");
  }

  void grad_modes() {
    const auto dx = t.dx.bytes(), dw = t.dw.bytes(), nll = t.nll.bytes();
    auto twice = t.dw.values();
    run(t, t.dx, Grad::skip);
    expect(t.dw.bytes() == dw && t.dx.bytes() == dx, "skip: dw changed, or another dx");
    run(t, t.dx, Grad::accumulate);
    for (double& v : twice) v *= 2;
    expect(largest_difference(t.dw.values(), twice) <= 2e-6 * largest(twice), "accumulate: not the sum");
    run(t, t.dx, Grad::overwrite);
    expect(t.dw.bytes() == dw && t.dx.bytes() == dx && t.nll.bytes() == nll, "overwrite: other bits the second time");
  }

  void in_place() {
    const Tensors a(c, backend);
    run(a, a.x, Grad::overwrite);
    expect(a.x.bytes() == t.dx.bytes() && a.dw.bytes() == t.dw.bytes(), "in place: differs");
  }

  void nothing_else_was_touched() {
    const Tensors fresh(c, backend.dtype);
    for (auto one : {&Tensors::x, &Tensors::w, &Tensors::target})
      expect((t.*one).bytes() == (fresh.*one).bytes(), "an input changed");
    for (auto one : {&Tensors::nll, &Tensors::dx, &Tensors::dw})
      expect((t.*one).sentinels_intact(), "a sentinel was overwritten");
    expect(bench.ctx.scratch.mark() == 0, "scratch was not given back");
  }
};

std::string problems(const Op& op, Bench& bench, const Backend& backend, const Case& c) {
  Trial trial(op, bench, backend, c);
  trial.parity();
  trial.loss_alone();
  trial.grad_modes();
  trial.in_place();
  trial.nothing_else_was_touched();
  return trial.found;
}

double worst_gradient(const Op& op, const Case& c) {
  const Backend backend{"plain_f64", DType::f64, {}, true};
  Bench bench(backend);
  Trial trial(op, bench, backend, c);
  Tensors& t = trial.t;
  trial.run(t, t.dx, Grad::overwrite);
  const auto loss = [&] {
    linear_cross_entropy(trial.bench.ctx, t.nll, t.x, t.w, t.target, c.bytes);
    double sum = 0;
    for (double one : t.nll.values()) sum += one;
    return kScale * sum;
  };
  return std::max(gradient_error(t.x, t.dx, loss), gradient_error(t.w, t.dw, loss));
}

TEST(LinearCrossEntropy, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Case& c : cases(backend.dtype))
      EXPECT_EQ(problems(linear_cross_entropy_with_gradient, bench, backend, c), "") << backend << ' ' << c;
  }
}

TEST(LinearCrossEntropy, EveryElementHasAnEffectButThoseOfIgnoredRows) {
  const Case c{6, 3, 33, 1};
  std::vector<size_t> ignored;
  for (size_t i = 0; i < 6 * 3; ++i)
    if (i / 3 % 4 == 1) ignored.push_back(i);
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t(c, backend);
    const auto run = [&] {
      linear_cross_entropy_with_gradient(bench.ctx, t.nll, t.dx, t.dw, t.x, t.w, t.target, kScale, Grad::overwrite,
                                         c.bytes);
    };
    EXPECT_EQ(without_effect(t.x, {&t.nll, &t.dx, &t.dw}, run), ignored) << backend;
    EXPECT_THAT(without_effect(t.w, {&t.nll, &t.dx, &t.dw}, run), testing::IsEmpty()) << backend;
    for (const Tensor* output : {&t.nll, &t.dx, &t.dw})
      EXPECT_THAT(without_effect(t.target, {output}, run, neighbour), testing::IsEmpty()) << backend;
  }
}

TEST(LinearCrossEntropy, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{2, 2, 2, 0}, Case{3, 5, 7, 3}, Case{35, 3, 5, 0, 1}})
    EXPECT_LT(worst_gradient(linear_cross_entropy_with_gradient, c), 1e-7) << c;
}

TEST(LinearCrossEntropy, MicroBatchesAddUpToTheBatch) {  // and to what another op, of a tied embedding, has left in dw
  for (const Backend& backend : backends()) {
    const Case c{40, 6, 50, 0, 1};
    Bench bench(backend);
    Trial whole(linear_cross_entropy_with_gradient, bench, backend, c), parts(whole.op, bench, backend, c);
    const auto before = normal(whole.t.dw.size(), 9);
    whole.t.dw.fill(before), parts.t.dw.fill(before);
    whole.run(whole.t, whole.t.dx, Grad::accumulate);
    const Tensors& t = parts.t;
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 33}, {33, 7}})
      whole.op(bench.ctx, columns(t.nll.view(), first, count), rows(t.dx.view(), first, count), t.dw,
               rows(t.x.view(), first, count), t.w, columns(t.target.view(), first, count), kScale, Grad::accumulate,
               c.bytes);
    EXPECT_LT(largest_difference(t.nll.values(), whole.t.nll.values()), 1e-5) << backend;
    EXPECT_LT(largest_difference(t.dw.values(), whole.t.dw.values()), 2e-6 * largest(before)) << backend;
    EXPECT_LT(largest_difference(t.dx.values(), whole.t.dx.values()), 2e-6) << backend;
  }
}

TEST(LinearCrossEntropy, AllIgnored) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Trial trial(linear_cross_entropy_with_gradient, bench, backend, {35, 4, 9, 0, 1});
    trial.t.target.fill(std::vector<double>(35, kIgnore));
    trial.run(trial.t, trial.t.dx, Grad::overwrite);
    for (auto one : {&Tensors::nll, &Tensors::dx, &Tensors::dw})
      EXPECT_EQ(largest((trial.t.*one).values()), 0.0) << backend;
  }
}

// From the same logits, so that it does not hide behind their rounding: rows of a warp, of two, and of 16 that take
// another turn, in vectors and in single elements.
TEST(LinearCrossEntropy, OneChunkIsAsGoodAsThePlainTwin) {
  struct Chunk {
    Tensor z, nll, target;
    Chunk(int64_t vocab, int64_t gap, Where t)
        : z({3, vocab}, t, gap), nll({3}, t.in_accumulator()), target({3}, {DType::i32, t.device}) {
      z.fill(normal(z.size(), 3)), target.fill({0, static_cast<double>(vocab - 1), 3});
    }
    void run(Ctx& ctx) { softmax_cross_entropy(ctx, nll, z, target, kScale, true); }
  };
  for (const Backend& backend : backends()) {
    Bench plain({"plain", DType::f64, {}, true}), bench(backend);
    for (const int64_t vocab : {5, 16, 33, 264, 520, 4104})
      for (const int64_t gap : {0, 5}) {
        Chunk chunk(vocab, gap, backend), same_precision(vocab, gap, accumulator(backend.dtype));
        Chunk truth(vocab, gap, DType::f64);
        for (Chunk* one : {&same_precision, &truth}) one->z.fill(chunk.z.values()), one->run(plain.ctx);
        chunk.run(bench.ctx);
        EXPECT_EQ(parity("nll", chunk.nll, same_precision.nll, truth.nll), "") << backend << vocab << ' ' << gap;
        EXPECT_EQ(parity_rounded_once("dz", chunk.z, same_precision.z, truth.z), "") << backend << vocab << ' ' << gap;
        EXPECT_TRUE(chunk.z.sentinels_intact() && chunk.nll.sentinels_intact()) << backend << vocab << ' ' << gap;
      }
  }
}

TEST(LinearCrossEntropy, LargeLogitsAreFiniteAndRight) {  // 1e4, 0 and -1e4, each as the target
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Trial trial(linear_cross_entropy_with_gradient, bench, backend, {3, 1, 35, 0});
    auto w = std::vector<double>(35, 0.0);
    w[1] = 100, w[34] = -100;
    trial.t.w.fill(w), trial.t.x.fill({100, 100, 100}), trial.t.target.fill({1, 2, 34});
    trial.run(trial.t, trial.t.dx, Grad::overwrite);
    const double logit = rounded({1e4}, backend.dtype)[0];
    EXPECT_THAT(trial.t.nll.values(), testing::ElementsAre(0, logit, 2 * logit)) << backend;
    EXPECT_THAT(trial.t.dx.values(), testing::ElementsAre(0, kScale * 100, kScale * 200)) << backend;
    for (double v : trial.t.dw.values()) EXPECT_TRUE(std::isfinite(v)) << backend;
  }
}

TEST(LinearCrossEntropy, NotFiniteIsNotHidden) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()})
      for (size_t at : {0, 3, 36}) {  // in vectors, and after the last whole one
        Trial trial(linear_cross_entropy_with_gradient, bench, backend, {1, 1, 37, 0});
        auto w = trial.t.w.values();
        w[at] = bad;
        trial.t.w.fill(w), trial.t.x.fill({1}), trial.t.target.fill({5});
        trial.run(trial.t, trial.t.dx, Grad::overwrite);
        EXPECT_TRUE(std::isnan(trial.t.nll.values()[0])) << backend << ' ' << bad << ' ' << at;
        EXPECT_TRUE(std::isnan(trial.t.dx.values()[0])) << backend << ' ' << bad << ' ' << at;
      }
  }
}

TEST(LinearCrossEntropy, ALogitOfMinusInfinityIsProbabilityZero) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (int64_t vocab : {3, 37, 132, 136, 2052}) {
      Tensor z({2, vocab}, backend), nll({2}, Where(backend).in_accumulator());
      Tensor target({2}, {DType::i32, backend.device});
      std::vector<double> logits(z.size(), kNone), gradient(z.size(), 0);
      const auto end = static_cast<size_t>(vocab) - 1;
      logits[0] = logits[end] = 2, gradient[0] = 0.5 * kScale, gradient[end] = -0.5 * kScale;
      logits[2 * end] = 2, gradient[2 * end] = kScale, gradient[2 * end + 1] = -kScale;  // the target is one of them
      z.fill(logits), target.fill({static_cast<double>(end), static_cast<double>(end)});
      softmax_cross_entropy(bench.ctx, nll, z, target, kScale, true);
      EXPECT_THAT(nll.values(), testing::ElementsAre(testing::DoubleNear(std::log(2), 1e-7), -kNone)) << backend;
      EXPECT_LT(largest_difference(z.values(), gradient), 1e-7) << backend << vocab;
    }
  }
}

TEST(LinearCrossEntropy, OneChunkHasTheSameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const auto run = [&](int team) {
      set_threads(team);
      Tensor z({9, 300}, backend, 5), nll({9}, Where(backend).in_accumulator());
      Tensor target({9}, {DType::i32, backend.device});
      z.fill(normal(z.size(), 3)), target.fill({0, 1, -1, 299, 4, 5, 6, 7, 8});
      softmax_cross_entropy(bench.ctx, nll, z, target, kScale, true);
      return std::pair{z.bytes(), nll.bytes()};
    };
    EXPECT_TRUE(run(1) == run(3)) << backend;
  }
  set_threads(before);
}

TEST(LinearCrossEntropy, ChunksFitTheLimitAndAreEven) {
  EXPECT_EQ(loss_chunk_rows(2048, 256, DType::f32), 2048);
  EXPECT_EQ(loss_chunk_rows(1000, 1 << 20, DType::f64, 1), 32);  // 31 · 32 + 8
  EXPECT_EQ(loss_chunk_rows(100, 1000, DType::f32, 4000 * 64), 50);
  EXPECT_EQ(loss_chunk_rows(100, 1000, DType::f64, 8000 * 40), 34);
  EXPECT_EQ(loss_chunk_rows(100, 1000, DType::bf16, 2000 * 64), 50);
  EXPECT_EQ(loss_chunk_rows(1, 7, DType::f64, 1), 1);
}

TEST(LinearCrossEntropy, DryRunSizesTheScratchAndTouchesNothing) {
  const Case c{65, 5, 17, 0, 1};
  const Backend backend{"f32", DType::f32, {}};
  Bench bench(backend);
  Trial trial(linear_cross_entropy_with_gradient, bench, backend, c);
  Arena saved = Arena::measuring("saved", {}), scratch = Arena::measuring("scratch", {});
  Ctx dry{.device = {}, .saved = saved, .scratch = scratch, .dry = true};
  const Tensors& t = trial.t;
  linear_cross_entropy_with_gradient(dry, t.nll, t.dx, t.dw, t.x, t.w, t.target, kScale, Grad::overwrite, c.bytes);
  EXPECT_EQ(t.dw.bytes(), Tensors(c, DType::f32).dw.bytes());
  Arena exact("scratch", {}, scratch.peak());
  Ctx real{.device = {}, .saved = saved, .scratch = exact};
  linear_cross_entropy_with_gradient(real, t.nll, t.dx, t.dw, t.x, t.w, t.target, kScale, Grad::overwrite, c.bytes);
  EXPECT_EQ(exact.peak(), scratch.peak());
  EXPECT_GE(scratch.peak(), 22u * 17 * 4);
}

// The tests are tested: each of these ops is wrong in one way and must be found out.
TEST(LinearCrossEntropySabotage, IsFoundOut) {
  const Case c{65, 5, 17, 3, 1};
  const auto with = [](auto change) -> Op {
    return [=](Ctx& ctx, View nll, View dx, View dw, CView x, CView w, CView target, double scale, Grad mode,
               int64_t bytes) {
      const Grad asked = mode;
      change(scale, mode);
      linear_cross_entropy_with_gradient(ctx, nll, dx, asked == Grad::skip ? View{} : dw, x, w, target, scale, mode,
                                         bytes);
    };
  };
  const Backend backend{"plain_f32", DType::f32, {}, true};
  Bench bench(backend);
  const auto found = [&](const Op& op) { return problems(op, bench, backend, c); };
  const Op smoothed = [](Ctx& ctx, View nll, View dx, View dw, CView x, CView w, CView target, double scale, Grad mode,
                         int64_t bytes) {
    linear_cross_entropy_with_gradient(ctx, nll, dx, dw, x, w, target, scale, mode, bytes);
    dx.as<double>()[0][0] += 1e-6;
  };
  EXPECT_EQ(found(with([](double&, Grad&) {})), "");
  EXPECT_THAT(found(with([](double& scale, Grad&) { scale *= 1.0001; })), HasSubstr("dx: error"));
  EXPECT_THAT(found(with([](double& scale, Grad&) { scale *= 1.0001; })), HasSubstr("dw: error"));
  EXPECT_THAT(found(with([](double&, Grad& mode) {
                if (mode == Grad::overwrite) mode = Grad::accumulate;
              })),
              HasSubstr("dw: error nan"));
  EXPECT_THAT(found(with([](double&, Grad& mode) {
                if (mode == Grad::accumulate) mode = Grad::overwrite;
              })),
              HasSubstr("accumulate: not the sum"));
  const Op last_row = [](Ctx& ctx, View nll, View dx, View dw, CView x, CView w, CView target, double scale, Grad mode,
                         int64_t bytes) {
    linear_cross_entropy_with_gradient(ctx, nll, dx, dw, x, w, target, scale, mode, bytes);
    nll.as<float>().data[64] += 1e-4f;
  };
  EXPECT_THAT(found(last_row), HasSubstr("nll: error"));
  EXPECT_GT(worst_gradient(smoothed, {3, 5, 7, 0}), 1e-7);
}

TEST(LinearCrossEntropy, AWrongTargetIsNamedBeforeAnythingIsWritten) {
  for (const Backend& backend : backends()) {
    if (backend.device.kind != Device::cpu) continue;
    Bench bench(backend);
    for (double bad : {-2.0, 17.0, 1e6}) {
      const Case c{65, 5, 17, 0, 1};
      Trial trial(linear_cross_entropy_with_gradient, bench, backend, c);
      auto ids = trial.t.target.values();
      ids[64] = bad;
      trial.t.target.fill(ids);
      const std::string message = error_of([&] { trial.run(trial.t, trial.t.dx, Grad::overwrite); });
      EXPECT_EQ(message, "linear_cross_entropy_with_gradient: target of row 64 is " +
                             std::to_string(static_cast<int>(bad)) + ", expected -1 (ignored) or an id from 0 to 16");
      const Tensors fresh(c, backend.dtype);
      for (auto one : {&Tensors::nll, &Tensors::dx, &Tensors::dw})
        EXPECT_EQ((trial.t.*one).bytes(), (fresh.*one).bytes());
    }
  }
}

TEST(LinearCrossEntropy, OnADeviceAWrongTargetMakesItsRowNaN) {
  for (const Backend& backend : gpu_backends()) {
    Bench bench(backend);
    for (double bad : {-2.0, 17.0, 0x1p31 - 1, -0x1p31})
      for (int64_t vocab : {16, 17}) {
        const Case c{11, 5, vocab, 0, 1};
        Trial good(linear_cross_entropy_with_gradient, bench, backend, c), trial(good.op, bench, backend, c);
        auto ids = trial.t.target.values();
        ids[9] = bad;
        trial.t.target.fill(ids);
        good.run(good.t, good.t.dx, Grad::overwrite), trial.run(trial.t, trial.t.dx, Grad::overwrite);
        const auto expect = [&](auto one, size_t first, size_t count) {  // so many elements are NaN, the rest is right
          const auto got = (trial.t.*one).values(), right = (good.t.*one).values();
          for (size_t i = 0; i < got.size(); ++i)
            EXPECT_TRUE(first <= i && i < first + count ? std::isnan(got[i]) : got[i] == right[i]) << backend << i;
        };
        expect(&Tensors::nll, 9, 1), expect(&Tensors::dx, 45, 5), expect(&Tensors::dw, 0, trial.t.dw.size());
        trial.t.nll.fill(std::vector<double>(11, 0));
        linear_cross_entropy(bench.ctx, trial.t.nll, trial.t.x, trial.t.w, trial.t.target);
        expect(&Tensors::nll, 9, 1);
      }
  }
}

TEST(LinearCrossEntropy, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensors t({3, 8, 5, 0}, DType::f32);
  const Tensor narrow({3, 7}, DType::f32), f64({3, 8}, DType::f64), ids({4}, DType::i32), one({4}, DType::f32);
  const Tensor nll_f64({3}, DType::f64), dw_f64({5, 8}, DType::f64), nll_bf16({3}, DType::bf16);
  View shifted = t.x;
  shifted.data += 4;
  const std::vector<View> right = {t.nll, t.dx, t.dw, t.x, t.w, t.target};
  const auto error = [&](const std::vector<View>& v, Grad mode) {
    return error_of(
        [&] { linear_cross_entropy_with_gradient(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], 1, mode); });
  };
  EXPECT_EQ(error(right, Grad::overwrite), "");
  EXPECT_EQ(error({t.nll, t.dx, View{}, t.x, t.w, t.target}, Grad::skip), "");
  for (const auto& [argument, instead, message] : std::vector<Wrong>{
           {0, one, "nll = f32 [4]"},
           {0, t.target, "nll = i32 [3]"},
           {0, nll_f64, "nll = f64 [3]"},
           {1, narrow, "dx = f32 [3, 7]"},
           {1, shifted, "expected same(dx, x) || disjoint(dx, x)"},
           {1, f64, "dx = f64 [3, 8]"},
           {2, narrow, "expected dw.shape == w.shape"},
           {2, dw_f64, "dw.dtype == accumulator(w.dtype), got dw = f64 [5, 8], w = f32 [5, 8]"},
           {2, t.w, "disjoint_from_all(dw, nll, dx, x, w, target)"},
           {3, narrow, "x = f32 [3, 7]"},
           {3, f64, "x = f64 [3, 8]"},
           {4, narrow, "w = f32 [3, 7]"},
           {5, ids, "target = i32 [4]"},
           {5, t.nll, "target = f32 [3]"},
       }) {
    auto views = right;
    views[argument] = instead;
    EXPECT_THAT(error(views, Grad::overwrite),
                testing::AllOf(testing::StartsWith("linear_cross_entropy_with_gradient: "), HasSubstr(message)));
  }
  const Tensors t_bf16({3, 8, 5, 0}, DType::bf16);
  const auto error_in_bf16 = [&](View nll, View dw) {
    return error({nll, t_bf16.dx, dw, t_bf16.x, t_bf16.w, t_bf16.target}, Grad::overwrite);
  };
  EXPECT_EQ(error_in_bf16(t_bf16.nll, t_bf16.dw), "gemm_nt: has no CPU twin for bf16");
  EXPECT_THAT(error_in_bf16(nll_bf16, t_bf16.dw), HasSubstr("got nll = bf16 [3], x = bf16 [3, 8]"));
  EXPECT_THAT(error_in_bf16(t_bf16.nll, t_bf16.w), HasSubstr("dw.dtype == accumulator(w.dtype), got dw = bf16 [5, 8]"));
  EXPECT_THAT(error_of([&] { softmax_cross_entropy(bench.ctx, nll_bf16, t_bf16.x, t_bf16.target, 1, true); }),
              HasSubstr("expected nll.dtype == accumulator(z.dtype) && target.dtype == DType::i32, got nll = bf16"));
}

}  // namespace
}  // namespace rw::test
