#include "optim/adamw.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

constexpr AdamWOpt kOpt{.lr = 0.02, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1, .step = 3};

struct Tensors {
  Tensors(int64_t n, Where t) : p({n}, t), m({n}, t), v({n}, t), g({n}, t), clip({1}, t) {
    unsigned seed = 0;
    for (Tensor* one : {&p, &m, &v, &g}) one->fill(normal(one->size(), ++seed));
    auto squares = v.values();
    for (double& x : squares) x *= x;
    v.fill(squares);
    clip.fill({0.625});
  }
  Tensor p, m, v, g, clip;
};

constexpr std::array kMoved = {&Tensors::p, &Tensors::m, &Tensors::v};

// The update as PyTorch documents it for AdamW, one line of it after the other.
template <class T>
void naive(const Tensors& t, const AdamWOpt& opt) {
  const auto single = [](double x) { return static_cast<T>(x); };
  const T lr = single(opt.lr), decay = single(opt.weight_decay), b1 = single(opt.beta1), b2 = single(opt.beta2);
  const T bias1 = single(1 - std::pow(opt.beta1, opt.step)), bias2 = single(1 - std::pow(opt.beta2, opt.step));
  for (int64_t i = 0; i < t.p.view().width(); ++i) {
    T &p = t.p.as<T>().data[i], &m = t.m.as<T>().data[i], &v = t.v.as<T>().data[i];
    const T g = t.g.as<T>().data[i] * t.clip.as<T>().data[0];
    p = p - lr * decay * p;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    const T m_hat = m / bias1, v_hat = v / bias2;
    p = p - lr * m_hat / (std::sqrt(v_hat) + single(opt.eps));
  }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
using Op = std::function<decltype(adamw)>;

std::string problems(const Op& op, Bench& bench, const Backend& backend, int64_t n) {
  const Tensors t(n, backend), reference(n, backend.dtype);
  const Tensors truth(n, DType::f64);
  for (auto one : {&Tensors::p, &Tensors::m, &Tensors::v, &Tensors::g}) {
    // the truth starts from the rounded values
    const_cast<Tensor&>(truth.*one).fill((t.*one).values());
  }
  op(bench.ctx, t.p, {}, t.m, t.v, t.g, t.clip, kOpt);
  visit_dtype<double, float>(backend.dtype, [&]<class T>() { naive<T>(reference, kOpt); });
  naive<double>(truth, kOpt);
  std::string found;
  const char* const names[] = {"p", "m", "v"};
  for (size_t i = 0; i < kMoved.size(); ++i) {
    const auto one = kMoved[i];
    found += parity(names[i], t.*one, reference.*one, truth.*one);
    if (!(t.*one).sentinels_intact()) found += "a sentinel was overwritten\n";
  }
  const Tensors fresh(n, backend);
  if (t.g.bytes() != fresh.g.bytes() || t.clip.bytes() != fresh.clip.bytes()) found += "an input changed\n";
  return found;
}

TEST(AdamW, HasNoProblems) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    for (int64_t n : {1, 5, 15, 16, 17, 33, 1000, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 100003})
      EXPECT_EQ(problems(adamw, bench, backend, n), "") << backend << ' ' << n;
  }
}

TEST(AdamW, EveryElementHasAnEffect) {
  constexpr std::array kInputs = {&Tensors::p, &Tensors::m, &Tensors::v, &Tensors::g, &Tensors::clip};
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensors from(33, backend);
    const Tensors t(33, backend);
    const auto run = [&] {
      for (auto one : kInputs) const_cast<Tensor&>(t.*one).fill((from.*one).values());
      adamw(bench.ctx, t.p, {}, t.m, t.v, t.g, t.clip, kOpt);
    };
    for (auto input : kInputs) EXPECT_THAT(without_effect(from.*input, {&t.p}, run), testing::IsEmpty()) << backend;
  }
}

// Two steps of one parameter, worked out by hand: lr 0.1, betas 0.9 and 0.99, eps 1e-8, weight decay 0.5, clip 1.
TEST(AdamW, GoldenValues) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensors t(1, backend);
    t.p.fill({1}), t.m.fill({0}), t.v.fill({0}), t.clip.fill({1});
    AdamWOpt opt{.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.5, .step = 1};
    t.g.fill({0.5});
    adamw(bench.ctx, t.p, {}, t.m, t.v, t.g, t.clip, opt);  // p = 0.95 - 0.1 · 0.5 / (0.5 + 1e-8)
    EXPECT_NEAR(t.p.values()[0], 0.85, 1e-7);
    opt.step = 2;
    t.g.fill({-0.25});
    // m = 0.9 · 0.05 - 0.1 · 0.25 = 0.02, m̂ = 0.02 / 0.19;  v = 0.99 · 0.0025 + 0.01 · 0.0625 = 0.0031, v̂ = 0.0031 /
    // 0.0199
    adamw(bench.ctx, t.p, {}, t.m, t.v, t.g, t.clip, opt);
    EXPECT_NEAR(t.m.values()[0], 0.02, 1e-8) << backend;
    EXPECT_NEAR(t.v.values()[0], 0.0031, 1e-9) << backend;
    EXPECT_NEAR(t.p.values()[0], 0.95 * 0.85 - 0.1 * (0.02 / 0.19) / std::sqrt(0.0031 / 0.0199), 2e-7) << backend;
  }
}

TEST(AdamW, SameBitsForEveryNumberOfThreadsAndEveryCut) {
  const int before = threads();
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    const auto run = [&](int team, int64_t cut) {
      set_threads(team);
      const Tensors t(50000, backend);
      const auto part = [&](const Tensor& one, int64_t first, int64_t count) {
        return columns(one.view(), first, count);
      };
      for (const auto& [first, count] : {std::pair{int64_t{0}, cut}, std::pair{cut, 50000 - cut}})
        adamw(bench.ctx, part(t.p, first, count), {}, part(t.m, first, count), part(t.v, first, count),
              part(t.g, first, count), t.clip, kOpt);
      return std::pair{t.p.bytes(), t.v.bytes()};
    };
    const auto once = run(1, 32768);
    EXPECT_TRUE(run(2, 32768) == once) << backend;
    EXPECT_TRUE(run(3, 12347) == once) << backend;
  }
  set_threads(before);
}

TEST(AdamW, SameBitsAtEveryAddress) {
  constexpr int64_t kElements = 1027;
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    std::vector<std::vector<double>> moved;
    for (size_t n = 0; n <= 8; ++n) {  // one operand after the other, by one element and by two; then none
      const size_t shifted = n / 2, by = n % 2 + 1;
      const Tensors t(kElements, backend);
      Tensor wide({kElements + static_cast<int64_t>(by)}, backend);
      std::array<View, 4> operands = {t.p, t.m, t.v, t.g};
      if (shifted < 4) {
        auto values = std::array{&t.p, &t.m, &t.v, &t.g}[shifted]->values();
        values.insert(values.begin(), by, 0.0);
        wide.fill(values);
        operands[shifted] = columns(wide.view(), static_cast<int64_t>(by), kElements);
      }
      adamw(bench.ctx, operands[0], {}, operands[1], operands[2], operands[3], t.clip, kOpt);
      moved.emplace_back();
      for (View one : {operands[0], operands[1], operands[2]})
        visit_dtype<double, float>(backend.dtype, [&]<class T>() {
          moved.back().insert(moved.back().end(), one.as<T>().data, one.as<T>().data + kElements);
        });
    }
    EXPECT_THAT(moved, testing::Each(moved[0])) << backend;
  }
}

// The rounded copy is that of p to the bit, wherever the two lie, and p is what it is without.
TEST(AdamW, RoundsACopyForModelsInBf16) {
  for (const Backend& backend : gpu_backends()) {
    if (backend.dtype == DType::bf16) continue;
    Bench bench(backend);
    for (const int64_t n : {1, 5, 1027})
      for (const int64_t at : {0, 1, 2, 4}) {
        const Tensors t(n, backend), without(n, backend);
        Tensor low({n + at}, {DType::bf16, backend.device});
        adamw(bench.ctx, t.p, columns(low.view(), at, n), t.m, t.v, t.g, t.clip, kOpt);
        adamw(bench.ctx, without.p, {}, without.m, without.v, without.g, without.clip, kOpt);
        EXPECT_EQ(t.p.bytes(), without.p.bytes());
        const auto copy = low.values();
        EXPECT_EQ(std::vector<double>(copy.begin() + at, copy.end()), rounded(t.p.values(), DType::bf16));
        EXPECT_TRUE(low.sentinels_intact() && std::isnan(copy[0]) == (at > 0)) << backend << n << at;
      }
  }
}

TEST(AdamW, WritesNothingWhenTheClipFactorIsNaN) {
  for (const Backend& backend : backends_without_bf16()) {
    Bench bench(backend);
    Tensors t(33, backend);
    t.clip.fill({std::nan("")});
    adamw(bench.ctx, t.p, {}, t.m, t.v, t.g, t.clip, kOpt);
    const Tensors before(33, backend);
    for (auto one : kMoved) EXPECT_EQ((t.*one).bytes(), (before.*one).bytes()) << backend;
  }
}

TEST(AdamWSabotage, IsFoundOut) {
  const Backend plain{"plain_f32", DType::f32, {}, true};
  Bench bench(plain);
  const auto with = [&](auto change) {
    return problems(
        [=](Ctx& ctx, View p, View low, View m, View v, CView g, CView clip, const AdamWOpt& opt) {
          AdamWOpt other = opt;
          change(other, clip);
          adamw(ctx, p, low, m, v, g, clip, other);
        },
        bench, plain, 33);
  };
  const Tensors ones(1, DType::f32);
  ones.clip.as<float>().data[0] = 1;
  using testing::HasSubstr;
  EXPECT_EQ(with([](AdamWOpt&, CView&) {}), "");
  EXPECT_THAT(with([](AdamWOpt& o, CView&) { o.step = 4; }), HasSubstr("p: error"));
  EXPECT_THAT(with([](AdamWOpt& o, CView&) { o.weight_decay = 0; }), HasSubstr("p: error"));
  EXPECT_THAT(with([](AdamWOpt& o, CView&) { o.eps = 1.1e-3; }), HasSubstr("p: error"));
  EXPECT_THAT(with([](AdamWOpt& o, CView&) { o.beta2 = 0.951; }), HasSubstr("v: error"));
  EXPECT_THAT(with([&](AdamWOpt&, CView& clip) { clip = ones.clip; }), HasSubstr("m: error"));
}

TEST(AdamW, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensors t(8, DType::f32);
  const Tensor other({7}, DType::f32), f64({8}, DType::f64), empty({0}, DType::f32), low({8}, DType::bf16);
  const std::vector<View> right = {t.p, {}, t.m, t.v, t.g, t.clip};
  const auto error = [&](const std::vector<View>& v, const AdamWOpt& opt) {
    return error_of([&] { adamw(bench.ctx, v[0], v[1], v[2], v[3], v[4], v[5], opt); });
  };
  const auto opt = [](auto change) {
    AdamWOpt o = kOpt;
    change(o);
    return o;
  };
  using testing::HasSubstr;
  EXPECT_EQ(error(right, kOpt), "");
  EXPECT_EQ(error(right, opt([](AdamWOpt& o) { o.step = 0; })), "adamw: expected opt.step >= 1, got opt.step = 0");
  EXPECT_THAT(error(right, opt([](AdamWOpt& o) { o.beta2 = 1; })), HasSubstr("opt.beta2 = 1"));
  EXPECT_THAT(error(right, opt([](AdamWOpt& o) { o.eps = 0; })), HasSubstr("opt.eps = 0"));
  for (const auto& [argument, instead, message] : std::vector<Wrong>{
           {0, empty, "p.width() > 0, got p = f32 [0]"},
           {1, low, "got low = bf16 [8]"},  // on the CPU
           {2, other, "got m = f32 [7]"},
           {3, other, "v = f32 [7]"},
           {4, f64, "g = f64 [8]"},
           {5, t.g, "expected clip.shape == Shape{1}, got clip = f32 [8]"},
           {4, t.p, "disjoint_from_all(p, m, v, g, clip)"},
           {3, t.m, "disjoint_from_all(m, v, g, clip)"},
       }) {
    auto views = right;
    views[argument] = instead;
    EXPECT_THAT(error(views, kOpt), HasSubstr(message));
  }
}

}  // namespace
}  // namespace rw::test
