#include "layers/rotary/rope.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/base/parallel.hpp"
#include "layers/rotary/frequencies.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array kLayouts = {RopeLayout::interleaved, RopeLayout::half};
constexpr int64_t kPositions = 40;

std::vector<double> first_positions(int64_t count) {
  std::vector<double> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), 0.0);
  return all;
}

struct Case {
  int64_t rows, heads, pairs, gap;
  int64_t rest = 0;  // of a head, not turned
  int64_t width() const { return 2 * pairs + rest; }
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << " rows " << c.heads << " heads " << c.pairs << " pairs gap " << c.gap << " rest " << c.rest;
}
// The tiles are vectors of 4, 8 and 16 pairs. In bf16 only what its vectors of 8 change: whole ones, half of one in the
// pairs or in the rest, one and more warps, 16 warps that take another turn; each alone and beside single elements.
std::vector<Case> cases(DType dtype) {
  if (dtype == DType::bf16)
    return {{1, 1, 1, 0},  {9, 3, 8, 0},    {5, 3, 8, 3, 8},    {5, 3, 16, 8, 24}, {5, 3, 4, 0, 8},
            {2, 2, 12, 8}, {2, 1, 8, 0, 4}, {5, 3, 8, 16, 320}, {2, 40, 128, 0},   {2, 3, 33, 0, 2}};
  std::vector<Case> all;
  for (int64_t rows : {1, 5, 17})
    for (int64_t pairs : {1, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 129})
      for (int64_t gap : {0, 3}) all.insert(all.end(), {{rows, 1, pairs, gap}, {rows, 3, pairs, gap}});
  for (int64_t rest : {1, 2, 4, 7, 16, 33, 300}) all.insert(all.end(), {{5, 3, 8, 3, rest}, {2, 1, 5, 0, rest}});
  all.insert(all.end(), {{300, 2, 32, 64}, {2, 12, 64, 0}, {3, 40, 64, 4}, {5, 3, 8, 4, 400}});
  return all;
}

struct Tensors {
  Tensors(const Case& c_, Where t)
      : c(c_),
        x({c.rows, c.heads * c.width()}, t, c.gap),
        cos({kPositions, c.pairs}, t.in_accumulator(), c.gap),
        sin({kPositions, c.pairs}, t.in_accumulator(), c.gap),
        position({c.rows}, {DType::i32, t.device}),
        y({c.rows, c.heads * c.width()}, t, c.gap) {
    x.fill(normal(x.size(), 1));
    const DType dtype = accumulator(t.dtype);
    const Tensor host_cos({kPositions, c.pairs}, dtype), host_sin({kPositions, c.pairs}, dtype);
    rope_table(host_cos, host_sin, rope_frequencies({.base = 100}, 2 * c.pairs, 1, 1), first_positions(kPositions));
    cos.fill(host_cos.values()), sin.fill(host_sin.values());
    std::vector<double> at(position.size());
    for (size_t r = 0; r < at.size(); ++r)
      at[r] = static_cast<double>((7 * r + 39) % kPositions);  // the last one first
    position.fill(at);
  }

  Case c;
  Tensor x, cos, sin, position;  // inputs
  Tensor y;                      // output
};

template <class T>
void naive(const Tensors& t, RopeLayout layout, bool inverse) {
  const int64_t n = t.c.pairs;
  for (int64_t r = 0; r < t.c.rows; ++r)
    for (int64_t head = 0; head < t.c.heads; ++head) {
      const int64_t at = head * t.c.width();
      for (int64_t c = 2 * n; c < t.c.width(); ++c) t.y.as<T>()[r][at + c] = t.x.as<T>()[r][at + c];
      for (int64_t c = 0; c < n; ++c) {
        const int64_t p = t.position.as<int32_t>().data[r];
        const int64_t a = at + (layout == RopeLayout::half ? c : 2 * c);
        const int64_t b = at + (layout == RopeLayout::half ? c + n : 2 * c + 1);
        const T cos = t.cos.as<T>()[p][c], sin = inverse ? -t.sin.as<T>()[p][c] : t.sin.as<T>()[p][c];
        const auto x = t.x.as<T>()[r];
        t.y.as<T>()[r][a] = x[a] * cos - x[b] * sin;
        t.y.as<T>()[r][b] = x[a] * sin + x[b] * cos;
      }
    }
}

using Op = std::function<decltype(rope)>;

double rounding(const Backend& backend, double of_bf16) {
  return backend.dtype == DType::f64 ? 1e-14 : backend.dtype == DType::f32 ? 1e-6 : of_bf16;
}

void run(const Op& op, Ctx& ctx, const Tensors& t, View y, CView x, RopeLayout layout, bool inverse) {
  op(ctx, y, x, t.cos, t.sin, t.position, {layout, t.c.width(), inverse});
}

// A line for everything that is wrong.
std::string problems(const Op& op, const Backend& backend, Ctx& ctx, const Case& c, RopeLayout layout, bool inverse) {
  std::string found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  };
  constexpr std::array kInputs = {&Tensors::x, &Tensors::cos, &Tensors::sin, &Tensors::position};
  Tensors t(c, backend), same_precision(c, accumulator(backend.dtype)), truth(c, DType::f64);
  for (Tensors* one : {&same_precision, &truth})
    for (auto input : kInputs) (one->*input).fill((t.*input).values());
  run(op, ctx, t, t.y, t.x, layout, inverse);
  visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(same_precision, layout, inverse); });
  naive<double>(truth, layout, inverse);
  found += parity_rounded_once("y", t.y, same_precision.y, truth.y);
  const Tensors fresh(c, backend.dtype);
  for (auto input : kInputs) expect((t.*input).bytes() == (fresh.*input).bytes(), "an input changed");
  expect(t.y.sentinels_intact(), "a sentinel was overwritten");
  run(op, ctx, t, t.x, t.x, layout, inverse);
  expect(t.x.bytes() == t.y.bytes(), "y = x: differs");
  run(op, ctx, t, t.x, t.x, layout, !inverse);
  expect(largest_difference(t.x.values(), fresh.x.values()) <= rounding(backend, 0x1p-7) * largest(fresh.x.values()),
         "the inverse does not undo it");
  return found;
}

double worst_gradient_error(const Op& op, const Case& c, RopeLayout layout) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensors t(c, DType::f64);
  Tensor dy(t.x.view().shape, DType::f64), dx(t.x.view().shape, DType::f64);
  dy.fill(normal(dy.size(), 2));
  run(op, bench.ctx, t, dx, dy, layout, true);
  return gradient_error(t.x, dx, [&] {
    run(op, bench.ctx, t, t.y, t.x, layout, false);
    return dot(dy.values(), t.y.values());
  });
}

TEST(Rope, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts)
      for (bool inverse : {false, true})
        for (const Case& c : cases(backend.dtype))
          EXPECT_EQ(problems(rope, backend, bench.ctx, c, layout, inverse), "")
              << backend << ' ' << c << (layout == RopeLayout::half ? " half" : " interleaved") << inverse;
  }
}

TEST(Rope, EveryElementThatIsUsedHasAnEffect) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({5, 2, 5, 1, 3}, backend);
    const auto at = t.position.values();
    std::vector<size_t> unused;  // of the tables
    for (size_t i = 0; i < kPositions * 5; ++i)
      if (std::ranges::find(at, static_cast<double>(i / 5)) == at.end()) unused.push_back(i);
    for (RopeLayout layout : kLayouts) {
      const auto go = [&] { run(rope, bench.ctx, t, t.y, t.x, layout, false); };
      EXPECT_THAT(without_effect(t.x, {&t.y}, go), testing::IsEmpty()) << backend;
      EXPECT_EQ(without_effect(t.cos, {&t.y}, go), unused) << backend;
      EXPECT_EQ(without_effect(t.sin, {&t.y}, go), unused) << backend;
      EXPECT_THAT(without_effect(t.position, {&t.y}, go, neighbour), testing::IsEmpty()) << backend;
    }
  }
}

// Each tensor lies, while all others are aligned, where no vector may lie, or where one may but not two.
TEST(Rope, AnyTensorMayBeUnaligned) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts) {
      const Tensors t({5, 2, 16, 0, 8}, backend);
      const std::array<View, 4> aligned = {t.y, t.x, t.cos, t.sin};
      const auto run = [&](const std::array<View, 4>& v) {
        rope(bench.ctx, v[0], v[1], v[2], v[3], t.position, {layout, t.c.width()});
      };
      run(aligned);
      for (size_t one = 0; one < aligned.size(); ++one)
        for (const int64_t first : {1, 4}) {
          const View there = aligned[one];
          const Tensor wide({there.rows(), there.width() + 8}, {there.dtype, backend.device});
          const Tensor fresh(t.y.view().shape, backend);
          std::array<View, 4> views = {fresh, t.x, t.cos, t.sin};
          views[one] = columns(wide.view(), first, there.width());
          if (one > 0) copy(views[one], there);
          run(views);
          EXPECT_TRUE(same_bits(views[0], t.y)) << backend << one << first;
        }
    }
  }
}

TEST(Rope, GradientMatchesCentralDifferences) {
  for (RopeLayout layout : kLayouts)
    for (const Case& c : {Case{2, 2, 2, 0}, Case{5, 3, 4, 3}, Case{3, 1, 17, 0}})
      EXPECT_LT(worst_gradient_error(rope, c, layout), 1e-7) << c;
}

TEST(Rope, TurnsColumnSlicesOfAProductInPlace) {  // q of [q, k, v]; k and v stay
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts) {
      const Tensors t({6, 2, 16, 0}, backend);
      Tensor qkv({2, 3, 3 * 64}, backend);
      const auto before = normal(qkv.size(), 4);
      qkv.fill(before);
      const View q = columns(qkv.view(), 0, 64);
      copy(q, t.x);
      run(rope, bench.ctx, t, t.y, t.x, layout, false);
      rope(bench.ctx, q, q, t.cos, t.sin, reshape(t.position.view(), {6}), {layout, 32});
      Tensor rest({2, 3, 3 * 64}, backend.dtype);
      rest.fill(before);
      for (size_t r = 0; r < 6; ++r)
        for (size_t c = 0; c < 192; ++c)
          ASSERT_EQ(qkv.values()[r * 192 + c], c < 64 ? t.y.values()[r * 64 + c] : rest.values()[r * 192 + c])
              << backend;
    }
  }
}

TEST(Rope, AddsToWhatIsThere) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts)
      for (const Case& c : {Case{6, 2, 17, 3}, Case{6, 2, 17, 3, 5}, Case{6, 2, 16, 8}, Case{6, 2, 16, 8, 8}})
        for (bool inverse : {false, true}) {
          Tensors t(c, backend), same_precision(c, accumulator(backend.dtype)), truth(c, DType::f64);
          t.y.fill(normal(t.y.size(), 9));
          const auto before = t.y.values();
          for (Tensors* one : {&same_precision, &truth}) {
            for (auto input : {&Tensors::x, &Tensors::cos, &Tensors::sin}) (one->*input).fill((t.*input).values());
            visit_dtype<double, float>(one->y.view().dtype, [&]<class T>() { naive<T>(*one, layout, inverse); });
            auto sum = one->y.values();
            for (size_t i = 0; i < sum.size(); ++i) sum[i] += before[i];
            one->y.fill(sum);
          }
          rope(bench.ctx, t.y, t.x, t.cos, t.sin, t.position, {layout, c.width(), inverse, true});
          EXPECT_EQ(parity_rounded_once("y", t.y, same_precision.y, truth.y), "") << backend << c;
          if (backend.dtype == DType::bf16) continue;
          EXPECT_LT(largest_difference(t.y.values(), truth.y.values()), backend.dtype == DType::f64 ? 1e-15 : 1e-6);
        }
  }
}

TEST(Rope, WithoutTablesCopiesOrAdds) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({6, 2, 8, 3}, backend);
    rope(bench.ctx, t.y, t.x, {}, {}, t.position, {.head_width = 16});
    EXPECT_EQ(t.y.values(), t.x.values()) << backend;
    rope(bench.ctx, t.y, t.x, {}, {}, t.position, {.head_width = 16, .add = true});
    auto twice = t.x.values();
    for (double& v : twice) v *= 2;
    EXPECT_EQ(t.y.values(), twice) << backend;
  }
}

TEST(Rope, OnADeviceARowAtAPositionOutsideIsNaN) {
  for (const Backend& backend : gpu_backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts)
      for (const Case& c : {Case{7, 2, 5, 3, 3}, Case{7, 2, 8, 8, 8}})
        for (bool in_place : {false, true}) {
          Tensors t(c, backend), good(c, backend);
          const auto at = good.position.values();
          auto some_outside = at;
          some_outside[1] = kPositions, some_outside[2] = -1, some_outside[4] = 0x1p31 - 1, some_outside[6] = -0x1p31;
          t.position.fill(some_outside);
          run(rope, bench.ctx, good, good.y, good.x, layout, false);
          const Tensor& y = in_place ? t.x : t.y;
          run(rope, bench.ctx, t, y, t.x, layout, false);
          EXPECT_TRUE(y.sentinels_intact());
          const auto values = y.values();
          for (int64_t r = 0; r < c.rows; ++r) {
            const int64_t width = c.heads * c.width();
            if (some_outside[static_cast<size_t>(r)] == at[static_cast<size_t>(r)])
              EXPECT_TRUE(same_bits(rows(y.view(), r, 1), rows(good.y.view(), r, 1))) << backend << c << r;
            else
              EXPECT_TRUE(
                  std::all_of(&values[r * width], &values[r * width] + width, [](double v) { return std::isnan(v); }))
                  << backend << c << r;
          }
        }
  }
}

TEST(Rope, KeepsNorms) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts) {
      const Tensors t({9, 1, 33, 0}, backend);
      run(rope, bench.ctx, t, t.y, t.x, layout, false);
      const auto x = t.x.values(), y = t.y.values();
      for (size_t r = 0; r < 9; ++r) {
        const std::vector<double> a(&x[r * 66], &x[r * 66] + 66), b(&y[r * 66], &y[r * 66] + 66);
        EXPECT_NEAR(dot(b, b), dot(a, a), rounding(backend, 0x1p-8) * dot(a, a)) << backend;
      }
    }
  }
}

TEST(Rope, ProductsDependOnTheDifferenceOfPositions) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (RopeLayout layout : kLayouts) {
      const Tensors t({2, 1, 16, 0}, backend);  // row 0 is q, row 1 is k
      const auto product = [&](int i, int j) {
        Tensor position({2}, {DType::i32, backend.device});
        position.fill({static_cast<double>(i), static_cast<double>(j)});
        rope(bench.ctx, t.y, t.x, t.cos, t.sin, position, {layout, 32});
        const auto y = t.y.values();
        return dot({y.begin(), y.begin() + 32}, {y.begin() + 32, y.end()});
      };
      for (int difference : {0, 1, 7})
        for (int j : {1, 5, 32})
          EXPECT_NEAR(product(j + difference, j), product(difference, 0), 320 * rounding(backend, 0x1p-12)) << backend;
      EXPECT_GT(std::abs(product(7, 0) - product(0, 0)), 0.1);
      EXPECT_GT(std::abs(product(7, 0) - product(0, 7)), 0.1);
    }
  }
}

TEST(Rope, InterleavedIsHalfAfterDeinterleaving) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    constexpr size_t n = 19;
    const Tensors t({4, 3, n, 0}, backend);
    const auto deinterleaved = [&](const std::vector<double>& v) {
      auto out = v;
      for (size_t head = 0; head < v.size(); head += 2 * n)
        for (size_t c = 0; c < n; ++c) out[head + c] = v[head + 2 * c], out[head + n + c] = v[head + 2 * c + 1];
      return out;
    };
    run(rope, bench.ctx, t, t.y, t.x, RopeLayout::interleaved, false);
    const auto interleaved = t.y.values(), x = t.x.values();
    Tensor z(t.x.view().shape, backend);
    z.fill(deinterleaved(x));
    run(rope, bench.ctx, t, t.y, z, RopeLayout::half, false);
    EXPECT_EQ(t.y.values(), deinterleaved(interleaved)) << backend;
    run(rope, bench.ctx, t, t.y, t.x, RopeLayout::half, false);
    EXPECT_GT(largest_difference(t.y.values(), interleaved), 0.1) << "the layout must matter";
  }
}

// spec/positions.md 12.2: q[i][c] = sin(0.7 i + 1.3 c + 0.1), k[i][c] = cos(0.5 i - 0.9 c + 0.2), d = 4, base 10000.
TEST(Rope, GivesTheGoldenLogits) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensor cos({6, 2}, DType::f64), sin({6, 2}, DType::f64), position({6}, DType::i32);
  rope_table(cos, sin, rope_frequencies({}, 4, 1, 1), first_positions(6));
  position.fill({0, 1, 2, 3, 4, 5});
  const auto logits = [&](RopeLayout layout) {
    Tensor q({6, 4}, DType::f64), k({6, 4}, DType::f64);
    std::vector<double> vq, vk;
    for (int i = 0; i < 6; ++i)
      for (int c = 0; c < 4; ++c)
        vq.push_back(std::sin(0.7 * i + 1.3 * c + 0.1)), vk.push_back(std::cos(0.5 * i - 0.9 * c + 0.2));
    q.fill(vq), k.fill(vk);
    rope(bench.ctx, q, q, cos, sin, position, {layout, 4});
    rope(bench.ctx, k, k, cos, sin, position, {layout, 4});
    std::vector<double> row;
    for (size_t j = 0; j < 6; ++j) {
      double sum = 0;
      for (size_t c = 0; c < 4; ++c) sum += q.values()[20 + c] * k.values()[4 * j + c];
      row.push_back(sum);
    }
    return row;
  };
  EXPECT_THAT(logits(RopeLayout::interleaved),
              testing::Pointwise(testing::DoubleNear(1e-9),
                                 {-1.678351055, 0.166827656, 1.052883463, 0.270154283, 0.149824503, 1.509636472}));
  EXPECT_THAT(logits(RopeLayout::half),
              testing::Pointwise(testing::DoubleNear(1e-9),
                                 {-1.710348724, -1.022864239, -0.721448309, -0.600756870, 0.264446539, 1.509636472}));
}

TEST(Rope, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (bool plain : {true, false})
    for (RopeLayout layout : kLayouts) {
      Bench bench({"f32", DType::f32, {}, plain});
      std::vector<std::vector<std::byte>> all;
      for (int n : {1, 2, 3}) {
        set_threads(n);
        const Tensors t({50, 3, 17, 3}, DType::f32);
        run(rope, bench.ctx, t, t.y, t.x, layout, false);
        all.push_back(t.y.bytes());
      }
      EXPECT_THAT(all, testing::Each(all[0]));
    }
  set_threads(before);
}

TEST(Rope, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensors t({3, 2, 4, 0}, DType::f32);
  const Tensor narrow({3, 8}, DType::f32), empty({0, 16}, DType::f32), f64({3, 16}, DType::f64);
  const Tensor three({kPositions, 3}, DType::f32), few({2}, DType::i32), position_f32({3}, DType::f32);
  const Tensor far({3, 16}, {DType::f32, {Device::cuda, 0}}), table_f64({kPositions, 4}, DType::f64);
  Tensor high({3}, DType::i32), low({3}, DType::i32);
  high.fill({0, kPositions, 1}), low.fill({0, 1, -1});
  View shifted = t.x;
  shifted.data += 4;
  const auto error = [&](const std::vector<View>& v) {
    return error_of([&] { rope(bench.ctx, v[0], v[1], v[2], v[3], v[4], {.head_width = 8}); });
  };
  const std::vector<View> right = {t.y, t.x, t.cos, t.sin, t.position};
  EXPECT_EQ(error(right), "");
  const std::vector<Wrong> wrong = {
      {0, narrow, "expected y.shape == x.shape, got y = f32 [3, 8], x = f32 [3, 16]"},
      {1, empty, "expected x.rows() > 0 && x.width() > 0, got x = f32 [0, 16]"},
      {2, three,
       "expected cos.empty() == sin.empty() && sin.shape == cos.shape, got sin = f32 [40, 4], cos = f32 [40, 3]"},
      {3, three, "sin.shape == cos.shape, got sin = f32 [40, 3], cos = f32 [40, 4]"},
      {4, few, "expected position.shape.elements() == x.rows(), got position = i32 [2], x = f32 [3, 16]"},
      {0, f64, "expected y.dtype == x.dtype, got y = f64 [3, 16]"},
      {3, table_f64, "sin = f64 [40, 4], x = f32 [3, 16]"},
      {4, position_f32, "expected position.dtype == DType::i32, got position = f32 [3]"},
      {0, far, "y = f32 [3, 16] on cuda"},
      {0, shifted, "expected (same(y, x) && !opt.add) || disjoint(y, x)"},
      {0, reshape(rows(t.cos.view(), 0, 12), {3, 16}), "expected disjoint_from_all(y, cos, sin, position)"},
      {4, high, "expected every position in [0, 40), got position[1] = 40"},
      {4, low, "expected every position in [0, 40), got position[2] = -1"},
  };
  for (const auto& [argument, instead, message] : wrong) {
    auto views = right;
    views[argument] = instead;
    EXPECT_THAT(error(views), AllOf(StartsWith("rope: "), HasSubstr(message)));
  }
  const auto error_with = [&](const RopeOpt& opt, View y) {
    return error_of([&] { rope(bench.ctx, y, t.x, t.cos, t.sin, t.position, opt); });
  };
  EXPECT_THAT(error_with({.head_width = 5}, t.y),
              HasSubstr("expected opt.head_width > 0 && x.width() % opt.head_width"));
  EXPECT_THAT(error_with({}, t.y), HasSubstr("got opt.head_width = 0"));
  const Tensors t_bf16({3, 2, 4, 0}, DType::bf16);
  const Tensor cos_bf16({kPositions, 4}, DType::bf16);
  EXPECT_EQ(error({t_bf16.y, t_bf16.x, t_bf16.cos, t_bf16.sin, t_bf16.position}), "rope: has no CPU twin for bf16");
  for (const auto& [cos, sin] : {std::pair{cos_bf16.view(), cos_bf16.view()}, {t_bf16.cos.view(), cos_bf16.view()}})
    EXPECT_THAT(error({t_bf16.y, t_bf16.x, cos, sin, t_bf16.position}),
                HasSubstr("expected cos.dtype == accumulator(x.dtype) && sin.dtype == cos.dtype"));
  EXPECT_THAT(error_with({.head_width = 4}, t.y),
              HasSubstr("2 * cos.width() <= opt.head_width, got cos = f32 [40, 4]"));
  EXPECT_THAT(error_with({.head_width = 8, .add = true}, t.x), HasSubstr("expected (same(y, x) && !opt.add)"));
}

TEST(Rope, SabotageIsFoundOut) {
  const Backend backend{"plain_f32", DType::f32, {}, true};
  Bench bench(backend);
  const Case c{5, 3, 4, 3};
  const auto found = [&](const Op& op) { return problems(op, backend, bench.ctx, c, RopeLayout::half, false); };
  EXPECT_EQ(found(rope), "");
  const Op forgets_the_rest = [](Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
    rope(ctx, y, x, cos, sin, position, opt);
    y.as<float>()[0][8] += 1;
  };
  const Case partial{5, 3, 4, 3, 2};
  EXPECT_THAT(problems(forgets_the_rest, backend, bench.ctx, partial, RopeLayout::half, false), HasSubstr("y: error"));
  const Op other_layout = [](Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, RopeOpt opt) {
    opt.layout = RopeLayout::interleaved;
    rope(ctx, y, x, cos, sin, position, opt);
  };
  const Op never_inverse = [](Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, RopeOpt opt) {
    opt.inverse = false;
    rope(ctx, y, x, cos, sin, position, opt);
  };
  const Op by_row = [](Ctx& ctx, View y, CView x, CView cos, CView sin, CView, const RopeOpt& opt) {
    Tensor position({x.rows()}, DType::i32);
    std::vector<double> at(position.size());
    for (size_t r = 0; r < at.size(); ++r) at[r] = static_cast<double>(r);
    position.fill(at);
    rope(ctx, y, x, cos, sin, position, opt);
  };
  const Op sloppy = [](Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
    rope(ctx, y, x, cos, sin, position, opt);
    y.as<float>()[0][y.width()] = 0;
  };
  EXPECT_THAT(found(other_layout), HasSubstr("y: error"));
  EXPECT_THAT(found(by_row), HasSubstr("y: error"));
  EXPECT_THAT(found(never_inverse), HasSubstr("the inverse does not undo it"));
  EXPECT_THAT(found(sloppy), HasSubstr("a sentinel"));
  EXPECT_GT(worst_gradient_error(never_inverse, c, RopeLayout::half), 1e-3);
}

}  // namespace
}  // namespace rw::test
