// What must hold whatever the numbers: who sees whom, what equals what, and which bits may not depend on what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "core/base/parallel.hpp"
#include "layers/attention/attention_test.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"

namespace rw::test {
namespace {

void forward(Ctx& ctx, AttentionTensors& t) { attention_forward(ctx, t.o, t.lse, t.q, t.k, t.v, t.opt()); }
void run(Ctx& ctx, AttentionTensors& t) {
  forward(ctx, t);
  attention_backward(ctx, t.dq, t.dk, t.dv, t.of_far(t.dq_far), t.of_far(t.dk_far), t.do_, t.o, t.lse, t.q, t.k, t.v,
                     t.opt());
}

struct Passes {
  Passes(const Backend& backend, const AttentionCase& c) : bench(backend), t(c, backend) {}
  void operator()() { run(bench.ctx, t); }
  Bench bench;
  AttentionTensors t;
};

// Rows [begin, end) of sample 0, as values.
std::vector<double> rows_of(const Tensor& tensor, int64_t begin, int64_t end) {
  const auto all = tensor.values();
  const int64_t width = tensor.view().width();
  return {all.begin() + begin * width, all.begin() + end * width};
}

void disturb(Tensor& tensor, int64_t begin, int64_t end) {
  auto all = tensor.values();
  const int64_t width = tensor.view().width();
  for (int64_t x = begin * width; x < end * width; ++x) all[static_cast<size_t>(x)] += 3;
  tensor.fill(all);
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  return largest_difference(a, b) / largest(b);
}
double tolerance(const Backend& backend) {  // in bf16 for two results that are rounded
  return backend.dtype == DType::f64 ? 1e-13 : backend.dtype == DType::f32 ? 3e-6 : 0x1p-7;
}

// Two of the values in bf16, whose emulated products are slow.
template <class T>
std::vector<T> thinned(const Backend& backend, std::vector<T> all) {
  if (backend.dtype == DType::bf16) all = {all[all.size() / 2], all.back()};
  return all;
}

TEST(AttentionInvariant, ALaterTokenChangesNoBitOfAnEarlierOne) {
  for (const Backend& backend : backends())
    for (int64_t changed : thinned<int64_t>(backend, {1, 16, 47, 63, 64, 100, 130})) {
      Passes a(backend, {1, 2, 2, 131, 0, 8, 8}), b(backend, {1, 2, 2, 131, 0, 8, 8});
      for (Tensor* input : {&b.t.q, &b.t.k, &b.t.v}) disturb(*input, changed, 131);
      a(), b();
      for (auto output : {&AttentionTensors::o, &AttentionTensors::lse, &AttentionTensors::dq})
        EXPECT_EQ(rows_of(a.t.*output, 0, changed), rows_of(b.t.*output, 0, changed)) << backend << ' ' << changed;
      EXPECT_NE(a.t.o.values(), b.t.o.values());
    }
}

TEST(AttentionInvariant, ADocumentChangesNoBitOfAnother) {
  for (const Backend& backend : backends())
    for (int64_t begin : thinned<int64_t>(backend, {1, 30, 64, 90}))  // three documents; the middle one changes
      for (int64_t end : {97, 130}) {
        const AttentionCase c{1, 1, 2, 140, 0, 8, 8, true, 0, 1, 3, 40, 3};
        Passes a(backend, c), b(backend, c);
        std::vector<double> first(140);
        for (int64_t j = 0; j < 140; ++j)
          first[static_cast<size_t>(j)] = static_cast<double>(j < begin ? 0 : j < end ? begin : end);
        for (Passes* r : {&a, &b}) r->t.first_key.fill(first);
        for (Tensor* input : {&b.t.q, &b.t.k, &b.t.v, &b.t.do_, &b.t.q_far, &b.t.k_far}) disturb(*input, begin, end);
        a(), b();
        for (auto output : kAttentionOutputs) {
          EXPECT_EQ(rows_of(a.t.*output, 0, begin), rows_of(b.t.*output, 0, begin)) << backend << ' ' << begin;
          EXPECT_EQ(rows_of(a.t.*output, end, 140), rows_of(b.t.*output, end, 140)) << backend << ' ' << end;
          EXPECT_NE(rows_of(a.t.*output, begin, end), rows_of(b.t.*output, begin, end));
        }
      }
}

TEST(AttentionInvariant, GroupsEqualRepeatedKeysAndValues) {
  constexpr int64_t kHeads = 6, kTokens = 70, kWidth = 16;
  for (const Backend& backend : backends())
    for (int64_t groups : thinned<int64_t>(backend, {1, 2, 3})) {
      const int64_t repeat = kHeads / groups;
      Passes grouped(backend, {1, groups, repeat, kTokens, 0, kWidth, kWidth});
      Passes repeated(backend, {1, kHeads, 1, kTokens, 0, kWidth, kWidth});
      const auto expand = [&](const Tensor& from, Tensor& to) {
        const auto values = from.values();
        std::vector<double> all;
        for (int64_t j = 0; j < kTokens; ++j)
          for (int64_t h = 0; h < kHeads; ++h)
            for (int64_t x = 0; x < kWidth; ++x)
              all.push_back(values[static_cast<size_t>((j * groups + h / repeat) * kWidth + x)]);
        to.fill(all);
      };
      const auto sum = [&](const Tensor& from) {
        const auto values = from.values();
        std::vector<double> all(static_cast<size_t>(kTokens * groups * kWidth));
        for (int64_t j = 0; j < kTokens; ++j)
          for (int64_t h = 0; h < kHeads; ++h)
            for (int64_t x = 0; x < kWidth; ++x)
              all[static_cast<size_t>((j * groups + h / repeat) * kWidth + x)] +=
                  values[static_cast<size_t>((j * kHeads + h) * kWidth + x)];
        return all;
      };
      expand(grouped.t.k, repeated.t.k), expand(grouped.t.v, repeated.t.v);
      grouped(), repeated();
      for (auto output : {&AttentionTensors::o, &AttentionTensors::lse, &AttentionTensors::dq})
        EXPECT_LT(relative_difference((grouped.t.*output).values(), (repeated.t.*output).values()), tolerance(backend));
      EXPECT_LT(relative_difference(grouped.t.dk.values(), sum(repeated.t.dk)), tolerance(backend));
      EXPECT_LT(relative_difference(grouped.t.dv.values(), sum(repeated.t.dv)), tolerance(backend));
    }
}

TEST(AttentionInvariant, TokenByTokenEqualsAllAtOnce) {
  for (const Backend& backend : backends())
    for (bool documents : {false, true}) {
      const bool emulated = backend.device.kind == Device::cuda;  // and slow
      const AttentionCase c{1, 2, 3, emulated ? 67 : 150, 0, 24, 40, documents};
      Passes whole(backend, c);
      forward(whole.bench.ctx, whole.t);
      AttentionTensors step(c, backend);
      for (int64_t i = 0; i < c.queries; ++i) {
        const auto from = [&](const Tensor& tensor, int64_t first, int64_t count) {
          View v = rows(tensor.view(), first, count);
          v.shape = {1, count, v.width()};
          return v;
        };
        AttentionOpt opt = step.opt();
        if (documents) opt.first_key.shape = {1, i + 1}, opt.first_key.row_stride = i + 1;
        attention_forward(whole.bench.ctx, from(step.o, i, 1), from(step.lse, i, 1), from(step.q, i, 1),
                          from(step.k, 0, i + 1), from(step.v, 0, i + 1), opt);
      }
      EXPECT_LT(relative_difference(step.o.values(), whole.t.o.values()), tolerance(backend)) << backend;
      EXPECT_LT(relative_difference(step.lse.values(), whole.t.lse.values()), tolerance(backend)) << backend;
    }
}

// With equal branches it does not matter where their border is, and a window over everything is none.
TEST(AttentionInvariant, EqualBranchesAreOne) {
  for (const Backend& backend : backends())
    for (int64_t near : thinned<int64_t>(backend, {0, 1, 30, 64, 200})) {
      Passes one(backend, {1, 2, 2, 131, 20, 8, 8, true}),
          two(backend, {1, 2, 2, 131, 20, 8, 8, true, 0, 1, near, 151});
      two.t.q_far.fill(two.t.q.values()), two.t.k_far.fill(two.t.k.values());
      one(), two();
      const auto sum = [](const Tensor& a, const Tensor& b) {
        auto all = a.values();
        const auto more = b.values();
        std::ranges::transform(all, more, all.begin(), std::plus());
        return all;
      };
      EXPECT_LT(relative_difference(two.t.o.values(), one.t.o.values()), tolerance(backend)) << near;
      EXPECT_LT(relative_difference(sum(two.t.dq, two.t.dq_far), one.t.dq.values()), tolerance(backend)) << near;
      EXPECT_LT(relative_difference(sum(two.t.dk, two.t.dk_far), one.t.dk.values()), tolerance(backend)) << near;
    }
}

TEST(AttentionInvariant, AKeyOutsideTheWindowChangesNoBit) {
  for (const Backend& backend : backends())
    for (const auto& [window, sinks, changed] : thinned<std::tuple<int64_t, int64_t, int64_t>>(
             backend, {{1, 0, 20}, {16, 0, 20}, {64, 0, 3}, {16, 4, 5}, {40, 10, 12}})) {
      const AttentionCase c{1, 2, 2, 131, 0, 8, 8, false, 0, 1, window / 2, window, sinks, true};
      Passes a(backend, c), b(backend, c);
      for (Tensor* input : {&b.t.k, &b.t.k_far, &b.t.v}) disturb(*input, changed, changed + 1);
      a(), b();
      for (auto output : {&AttentionTensors::o, &AttentionTensors::dq, &AttentionTensors::dq_far}) {
        EXPECT_EQ(rows_of(a.t.*output, changed + window, 131), rows_of(b.t.*output, changed + window, 131));
        EXPECT_EQ(rows_of(a.t.*output, 0, changed), rows_of(b.t.*output, 0, changed));
      }
      EXPECT_NE(rows_of(a.t.o, changed + window - 1, changed + window),
                rows_of(b.t.o, changed + window - 1, changed + window));
    }
}

// Tiles that hold nothing to be seen are not read at all, so that a window costs what is in it: a NaN would show.
TEST(AttentionInvariant, TilesThatNobodySeesAreNotRead) {
  const auto spoil = [](Tensor& tensor, int64_t begin, int64_t end) {
    auto all = tensor.values();
    const int64_t width = tensor.view().width();
    std::fill(all.begin() + begin * width, all.begin() + end * width, std::nan(""));
    tensor.fill(all);
  };
  const auto expect_finite = [](const Backend& backend, const Tensor& tensor, int64_t begin, int64_t end) {
    for (double value : rows_of(tensor, begin, end)) ASSERT_TRUE(std::isfinite(value)) << backend << ' ' << begin;
  };
  for (const Backend& backend : backends()) {
    const int64_t tile = backend.dtype == DType::bf16 ? 128 : 64, tokens = 4 * tile + 7;
    for (int64_t sinks : {0, 3})
      for (int64_t near : {-1, 20}) {
        const AttentionCase c{1, 1, 2, tokens, 0, 4, 4, false, 0, 1, near, 40, sinks};
        Passes keys(backend, c), queries(backend, c);
        const int64_t begin = sinks > 0 ? tile : 0;
        for (Tensor* input : {&keys.t.k, &keys.t.k_far, &keys.t.v}) spoil(*input, begin, 2 * tile);
        keys();
        for (auto output : {&AttentionTensors::o, &AttentionTensors::dq})
          expect_finite(backend, keys.t.*output, 3 * tile, tokens);
        for (Tensor* input : {&queries.t.q, &queries.t.q_far, &queries.t.do_}) spoil(*input, 3 * tile, tokens);
        queries();
        for (auto output : {&AttentionTensors::dk, &AttentionTensors::dv})
          expect_finite(backend, queries.t.*output, begin, 2 * tile);
        if (near < 0) continue;
        expect_finite(backend, keys.t.dq_far, 3 * tile, tokens);
        expect_finite(backend, queries.t.dk_far, begin, 2 * tile);
      }
    Passes near(backend, {1, 1, 1, tokens, 0, 4, 4, false, 0, 1, 30}), far(backend, near.t.c);
    spoil(near.t.k, 0, tile), spoil(far.t.k_far, 4 * tile, tokens);
    near(), far();
    expect_finite(backend, near.t.o, 2 * tile, tokens), expect_finite(backend, near.t.dq, 2 * tile, tokens);
    for (auto output : kAttentionOutputs) expect_finite(backend, far.t.*output, 0, tokens);
  }
}

// Nobody can look at what is on a device: there first_key is obeyed as far as there are keys.
TEST(AttentionInvariant, AFirstKeyBeyondAllMakesNaN) {
  for (const Backend& backend : backends()) {
    if (backend.device.kind != Device::cuda) continue;
    const AttentionCase c{1, 1, 2, 131, 5, 4, 4, true, 0, 1, 40, 50, 3};
    Passes beyond(backend, c), before(backend, c), without(backend, c);
    beyond.t.first_key.fill(std::vector<double>(136, 1 << 30));
    before.t.first_key.fill(std::vector<double>(136, -(1 << 30)));
    without.t.first_key.fill(std::vector<double>(136, -3));
    beyond(), before(), without();
    for (double value : beyond.t.o.values()) EXPECT_TRUE(std::isnan(value));
    for (auto output : kAttentionOutputs) EXPECT_EQ((before.t.*output).values(), (without.t.*output).values());
  }
}

TEST(AttentionInvariant, SlicesOfOneProductGiveTheSameBits) {
  constexpr int64_t kGroups = 2, kRepeat = 2, kTokens = 67, kWidth = 24;
  const AttentionCase c{2, kGroups, kRepeat, kTokens, 0, kWidth, kWidth, true};
  for (const Backend& backend : backends()) {
    Passes apart(backend, c);
    apart();
    const Tensor product({2, kTokens, 8 * kWidth}, backend), gradient(product.view().shape, backend);
    const auto slice = [&](const Tensor& whole, int64_t head, int64_t heads) {
      return columns(whole.view(), head * kWidth, heads * kWidth);
    };
    const auto copy = [&](View to, const Tensor& from) {
      visit_dtype<double, float, bf16>(backend.dtype, [&]<class T>() {
        for (int64_t r = 0; r < to.rows(); ++r) std::copy_n(from.as<T>()[r], to.width(), to.as<T>()[r]);
      });
    };
    const View q = slice(product, 0, 4), k = slice(product, 4, 2), v = slice(product, 6, 2);
    copy(q, apart.t.q), copy(k, apart.t.k), copy(v, apart.t.v);
    AttentionTensors t(c, backend);
    attention_forward(apart.bench.ctx, t.o, t.lse, q, k, v, t.opt());
    attention_backward(apart.bench.ctx, slice(gradient, 0, 4), slice(gradient, 4, 2), slice(gradient, 6, 2), {}, {},
                       t.do_, t.o, t.lse, q, k, v, t.opt());
    const Tensor joined(product.view().shape, backend.dtype);
    copy(slice(joined, 0, 4), apart.t.dq), copy(slice(joined, 4, 2), apart.t.dk), copy(slice(joined, 6, 2), apart.t.dv);
    EXPECT_EQ(t.o.bytes(), apart.t.o.bytes()) << backend;
    EXPECT_EQ(gradient.bytes(), joined.bytes()) << backend;
  }
}

TEST(AttentionInvariant, ValuesMayBeTheFirstColumnsOfKeys) {
  for (const Backend& backend : backends()) {
    Passes apart(backend, {1, 1, 3, 70, 3, 8, 6}), joined(backend, apart.t.c);
    const View first = columns(apart.t.k.view(), 0, 6);
    visit_dtype<double, float, bf16>(backend.dtype, [&]<class T>() {
      for (int64_t r = 0; r < first.rows(); ++r) std::copy_n(first.as<T>()[r], 6, apart.t.v.as<T>()[r]);
    });
    apart();
    AttentionTensors& t = joined.t;
    const View v = columns(t.k.view(), 0, 6);
    attention_forward(joined.bench.ctx, t.o, t.lse, t.q, t.k, v, t.opt());
    attention_backward(joined.bench.ctx, t.dq, t.dk, t.dv, {}, {}, t.do_, t.o, t.lse, t.q, t.k, v, t.opt());
    for (auto output : kAttentionOutputs) EXPECT_EQ((t.*output).bytes(), (apart.t.*output).bytes()) << backend;
  }
}

TEST(AttentionInvariant, LargeScoresStayFinite) {
  for (const Backend& backend : backends())
    for (double spread : {3e3, -3e3}) {  // |s| up to about 1e4
      Passes r(backend, {1, 1, 2, 80, 3, 16, 16, spread > 0, 0, spread, 10, 30, 2, true});
      r();
      for (auto output : kAttentionOutputs)
        for (double value : (r.t.*output).values()) ASSERT_TRUE(std::isfinite(value)) << backend;
      EXPECT_LE(largest(r.t.o.values()), largest(r.t.v.values()));
      EXPECT_GT(largest(r.t.lse.values()), 5e3);
    }
}

// A NaN stays one, for the guard against them to find.
TEST(AttentionInvariant, ANaNReachesWhatDependsOnIt) {
  for (const Backend& backend : backends())
    for (int64_t queries : {1, 40}) {  // a row at a time, and tiles
      Passes r(backend, {1, 1, 1, queries, 30, 16, 16});
      auto q = r.t.q.values();
      q[static_cast<size_t>(queries) * 16 - 1] = std::nan("");  // of the last query
      r.t.q.fill(q);
      r();
      for (auto output : {&AttentionTensors::o, &AttentionTensors::lse, &AttentionTensors::dq})
        for (double value : rows_of(r.t.*output, queries - 1, queries)) EXPECT_TRUE(std::isnan(value)) << backend;
      for (double value : rows_of(r.t.o, 0, queries - 1)) EXPECT_TRUE(std::isfinite(value)) << backend;
      for (double value : rows_of(r.t.dv, 0, 1)) EXPECT_TRUE(std::isnan(value)) << backend;
    }
}

// A row with one visible key is that key's value, exactly.
TEST(AttentionInvariant, TheFirstTokenIsItsValue) {
  for (const Backend& backend : backends()) {
    Passes r(backend, {1, 1, 1, 40, 0, 16, 16});
    r();
    EXPECT_EQ(rows_of(r.t.o, 0, 1), rows_of(r.t.v, 0, 1)) << backend;
  }
}

TEST(AttentionInvariant, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (const Backend& backend : backends()) {
    const int64_t many = backend.device.kind == Device::cuda ? 200 : 1100;
    for (const AttentionCase& c :
         {AttentionCase{2, 2, 2, 131, 5, 16, 16, true}, AttentionCase{1, 1, 1, many, 0, 8, 8},
          AttentionCase{2, 3, 1, 1, 130, 16, 16}, AttentionCase{1, 1, 1, many, 0, 8, 8, true, 0, 1, 275, 0, 0, true}}) {
      Passes r(backend, c);
      std::vector<std::vector<std::byte>> bits;
      for (int n : {1, 2, 3}) {
        set_threads(n);
        r();
        bits.emplace_back();
        for (auto output : kAttentionOutputs)
          bits.back().insert(bits.back().end(), (r.t.*output).bytes().begin(), (r.t.*output).bytes().end());
      }
      set_threads(before);
      EXPECT_TRUE(bits[0] == bits[1] && bits[0] == bits[2]) << backend << ' ' << c;
    }
  }
}

TEST(AttentionInvariant, ADryRunMeasuresTheScratchAndComputesNothing) {
  for (const Backend& backend : backends()) {
    Passes r(backend, {2, 2, 2, 70, 5, 16, 16, true, 0, 1, 20, 60, 3, true});
    const Device device = backend.device;
    Arena saved("saved", device, 0), measuring = Arena::measuring("scratch", device);
    Ctx dry{.device = device, .saved = saved, .scratch = measuring, .dry = true, .plain = backend.plain};
    run(dry, r.t);
    for (auto output : kAttentionOutputs)
      for (double value : (r.t.*output).values()) ASSERT_TRUE(std::isnan(value)) << backend;
    Arena scratch("scratch", device, measuring.peak());
    Ctx ctx{.device = device, .saved = saved, .scratch = scratch, .plain = backend.plain};
    run(ctx, r.t);
    EXPECT_EQ(scratch.peak(), measuring.peak()) << backend;
  }
}

}  // namespace
}  // namespace rw::test
