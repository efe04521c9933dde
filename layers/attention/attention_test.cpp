#include "layers/attention/attention_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/sanitizer.hpp"

namespace rw::test {
namespace {

// What is tested: the op, or a sabotaged one, to see that it is found out.
struct Op {
  std::function<decltype(attention_forward)> forward = attention_forward;
  std::function<decltype(attention_backward)> backward = attention_backward;
};

// Tiles hold 64 keys and 96 rows of all heads of a group, from 512 rows on 192; backward cuts 800 rows into two runs.
std::vector<AttentionCase> cases() {
  std::vector<AttentionCase> all;
  for (int64_t queries : {1, 2, 3, 15, 16, 17, 63, 64, 65, 95, 96, 97, 131})
    all.push_back({1, 1, 1, queries, 0, 5, 3, queries % 2 == 0, queries % 3});
  for (int64_t prefix : {1, 3, 61, 62, 63, 127, 195}) {  // Tq = 1 is decoding
    all.push_back({2, 1, 1, 1, prefix, 8, 8});
    all.push_back({1, 2, 3, 2, prefix, 17, 33, prefix % 2 == 0, 1});
    all.push_back({1, 1, 2, 37, prefix, 6, 2, prefix % 2 == 1});
  }
  for (int64_t d : {1, 2, 8, 15, 16, 33, 64, 80, 128}) {
    all.push_back({1, 2, 1, 35, 0, d, d, d % 2 == 0});
    all.push_back({1, 1, 2, 9, 4, d, 129 - d, true, 2});
    all.push_back({1, 1, 4, 1, 70, d, 129 - d, d % 2 == 0});
  }
  for (int64_t groups : {1, 2, 4})  // MQA, GQA, MHA
    all.push_back({3, groups, 4 / groups, 30, 11, 12, 20, true, 16});
  for (int64_t queries : {127, 128, 129, 191, 193, 200})
    all.push_back({1, 1, 4, queries, queries % 5, 4, 4, queries % 2 == 0});
  all.insert(all.end(), {{1, 1, 1, 97, 40, 256, 256}, {1, 2, 2, 140, 9, 64, 64, true}, {1, 2, 1, 195, 0, 64, 64}});
  // Two branches, windows and sinks, with borders around those of tiles.
  for (int64_t queries : {1, 33, 97, 140})
    for (int64_t near : {0, 1, 15, 16, 17, 40, 64, 139, 300}) {
      const int64_t prefix = (queries * 7 + near) % 3 * 23;
      const bool odd = (queries + near) % 2 == 1, even = !odd;
      all.push_back({1, odd ? 2 : 1, odd ? 2 : 1, queries, prefix, 6, 5, near % 2 == 1, near % 3, 1, near,
                     near % 4 == 0 ? near + 3 : 0, near % 8 == 0 ? 3 : 0, even});
    }
  for (int64_t queries : {1, 30, 130})
    for (int64_t window : {1, 16, 65, 100})
      for (int64_t sinks : {0, 1, 20, 70}) {
        const bool odd = (window + sinks) % 2 == 1;
        all.push_back({1, 1, odd ? 2 : 1, queries, sinks % 3 * 17, 4, 3, sinks == 20, 1, 1, odd ? window : -1, window,
                       sinks, odd});
      }
  all.push_back({1, 2, 4, 200, 100, 64, 64, false, 0, 1, 90, 0, 0, true});
  all.push_back({1, 1, 1, 520, 0, 16, 16, true, 0, 1, 130, 0, 0, true});
  return all;
}

// For emulated kernels, which are slow. Tiles hold 64 queries, 64 keys, and 64 of a head's columns.
std::vector<AttentionCase> kernel_cases() {
  std::vector<AttentionCase> all;
  for (int64_t queries : {1, 5, 63, 64, 65, 131})
    all.push_back({1, 1, 1, queries, 0, 5, 3, queries % 2 == 0, queries % 3});
  for (int64_t prefix : {62, 63, 64, 127}) {
    all.push_back({1, 2, 3, 1, prefix, 8, 8, prefix == 127});
    all.push_back({2, 1, 2, 2, prefix, 6, 4, prefix == 62, 1});
  }
  all.push_back({1, 1, 3, 66, 70, 4, 4, true, 2, 1, 40, 0, 0, true});
  // d and e: columns in one, two and four pieces, aligned for vectors or not.
  for (const auto& [d, e] : {std::pair{1, 1}, {32, 32}, {64, 64}, {80, 80}, {128, 128}, {64, 66}, {132, 5}, {3, 256}})
    for (int64_t gap : {0, 1}) all.push_back({1, 2, 1, 7, 3, d, e, gap == 1, gap, 1, gap == 1 ? 4 : -1});
  all.push_back({1, 1, 2, 67, 0, 80, 68});
  // Two branches, with borders in and at the edges of tiles.
  for (int64_t near : {0, 1, 63, 64, 65, 100, 200})
    all.push_back({1, 1, near % 2 ? 1 : 2, 131, near % 3 * 31, 4, 4, near == 65, near % 2, 1, near, 0, 0, near > 1});
  // Windows and sinks, with tiles that nobody sees, in documents of all lengths.
  for (int64_t window : {1, 64, 66})
    for (int64_t sinks : {0, 1, 64, 66})
      all.push_back(
          {1, 1, 1, 131, sinks == 1 ? 64 : 0, 4, 4, sinks == 66, 0, 1, window == 66 ? 30 : -1, window, sinks});
  for (const auto& [near, sinks] : {std::pair{-1, 0}, {20, 3}, {150, 3}})
    for (unsigned document : {7, 100, 1000})
      all.push_back(
          {1, 1, 1, 263, 5, 4, 4, document < 1000, 0, 1, near, near == 150 ? 200 : 40, sinks, true, document});
  return all;
}

// In bf16 tiles hold 128 rows or, in wider heads, 64, and 64 or 32 columns; a warp has 32 or 16 of the rows.
std::vector<AttentionCase> bf16_cases() {
  std::vector<AttentionCase> all;
  for (int64_t queries : {1, 17, 64, 129})
    all.push_back({1, 1, 1, queries, 0, 8, 16, queries % 2 == 0, queries % 3 * 8});
  for (int64_t prefix : {63, 127}) {
    all.push_back({1, 2, 3, 1, prefix, 8, 8, prefix == 127});
    all.push_back({2, 1, 2, 2, prefix, 6, 4, prefix == 63, 1});
  }
  // d and e: of each class of widths, all of it or less, aligned for vectors or not.
  for (const auto& [d, e] : {std::pair{1, 1}, {64, 64}, {128, 72}, {24, 128}, {256, 8}, {16, 200}, {129, 256}})
    for (int64_t gap : {0, 1}) all.push_back({1, 2, 1, 7, 3, d, e, gap == 1, gap, 1, gap == 1 ? 4 : -1});
  all.insert(all.end(), {{1, 1, 2, 67, 0, 80, 80}, {1, 1, 1, 70, 0, 136, 136, false, 0, 1, 30}});
  // Two branches, with borders in and at the edges of tiles.
  for (int64_t near : {0, 63, 65, 200})
    all.push_back({1, 1, near % 2 ? 1 : 2, 131, near % 3 * 31, 8, 8, near == 65, 0, 1, near, 0, 0, near > 1});
  // Windows and sinks, with tiles that nobody sees, in documents of all lengths.
  for (const auto& [window, sinks] : {std::pair{1, 1}, {64, 0}, {66, 66}})
    all.push_back({1, 1, 1, 131, sinks == 1 ? 64 : 0, 8, 8, sinks == 66, 0, 1, window == 66 ? 30 : -1, window, sinks});
  for (const auto& [near, document] : {std::pair{-1, 100u}, {20, 7u}, {150, 1000u}})
    all.push_back(
        {1, 1, 1, 263, 5, 8, 8, document < 1000, 0, 1, near, near == 150 ? 200 : 40, near < 0 ? 0 : 3, true, document});
  return all;
}

std::vector<AttentionCase> cases(const Backend& backend) {
  if (backend.dtype == DType::bf16) return bf16_cases();
  return backend.device.kind == Device::cuda ? kernel_cases() : cases();
}

// One op on one backend and one case. `found` gets a line for everything that is wrong.
struct Trial {
  Trial(const Op& op_, const Backend& backend_, const AttentionCase& c_)
      : op(op_), backend(backend_), c(c_), bench(backend_), t(c_, backend_) {}

  Op op;
  Backend backend;
  AttentionCase c;
  Bench bench;
  AttentionTensors t;
  std::string found;

  void expect(bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  }
  void forward() { op.forward(bench.ctx, t.o, t.lse, t.q, t.k, t.v, t.opt()); }
  void backward() {
    op.backward(bench.ctx, t.dq, t.dk, t.dv, t.of_far(t.dq_far), t.of_far(t.dk_far), t.do_, t.o, t.lse, t.q, t.k, t.v,
                t.opt());
  }

  // Backward is judged on the o and lse that it got, not on those that it should have got.
  void parity() {
    AttentionTensors naive(c, accumulator(backend.dtype)), truth(c, DType::f64);
    const auto give = [&](Tensor AttentionTensors::*tensor) {
      for (AttentionTensors* other : {&naive, &truth}) (other->*tensor).fill((t.*tensor).values());
    };
    const auto compare = [&](const char* name, Tensor AttentionTensors::*tensor) {
      if (largest((truth.*tensor).values()) > 0)
        found += test::parity(name, t.*tensor, naive.*tensor, truth.*tensor);
      else  // one visible key: <do, v> - D, the same sum twice, in whatever order
        expect(largest((t.*tensor).values()) < 1e-5, "not zero");
    };
    visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() {
      for (auto input : kAttentionInputs) give(input);
      forward(), NaiveAttention<T>(naive).forward(), NaiveAttention<double>(truth).forward();
      compare("o", &AttentionTensors::o), compare("lse", &AttentionTensors::lse);

      give(&AttentionTensors::o), give(&AttentionTensors::lse);
      backward(), NaiveAttention<T>(naive).backward(), NaiveAttention<double>(truth).backward();
      compare("dq", &AttentionTensors::dq), compare("dk", &AttentionTensors::dk), compare("dv", &AttentionTensors::dv);
      if (t.far()) compare("dq_far", &AttentionTensors::dq_far), compare("dk_far", &AttentionTensors::dk_far);
    });
  }

  void nothing_else_was_touched() {
    const AttentionTensors fresh(c, backend.dtype);
    for (auto input : kAttentionInputs) expect((t.*input).bytes() == (fresh.*input).bytes(), "an input changed");
    for (auto output : kAttentionOutputs) expect((t.*output).sentinels_intact(), "a sentinel was overwritten");
    expect(bench.ctx.scratch.mark() == 0, "scratch was not given back");
  }
};

std::string problems(const Op& op, const Backend& backend, const AttentionCase& c) {
  Trial trial(op, backend, c);
  trial.parity();
  trial.nothing_else_was_touched();
  return trial.found;
}

TEST(Attention, HasNoProblems) {
  for (const Backend& backend : backends())
    for (const AttentionCase& c : cases(backend)) {
      if (!kSanitizer) {
        EXPECT_EQ(problems(Op(), backend, c), "") << backend << ' ' << c;
        continue;
      }
      Trial trial(Op(), backend, c);  // the op alone: the naive program would take minutes
      trial.forward(), trial.backward();
      trial.nothing_else_was_touched();
      EXPECT_EQ(trial.found, "") << backend << ' ' << c;
    }
}

TEST(Attention, AnyTensorMayBeUnaligned) {
  for (const Backend& backend : backends())
    for (int tensor = 0; tensor < 12; ++tensor) {
      AttentionCase c{1, 1, 2, 9, 3, 16, 16, false, 0, 1, 4};
      c.unaligned = tensor;
      EXPECT_EQ(problems(Op(), backend, c), "") << backend << ", tensor " << tensor;
    }
}

TEST(Attention, MatricesHaveNoBankConflicts) {
  if (!simt::matrix_bank_conflicts) GTEST_SKIP() << "the emulator counts them";
  for (const Backend& backend : backends())
    for (int64_t width : {64, 128, 256}) {
      if (backend.dtype != DType::bf16) continue;
      Trial trial(Op(), backend, {1, 1, 1, 40, 0, width, width});
      const size_t before = simt::matrix_bank_conflicts();
      trial.forward(), trial.backward();
      EXPECT_EQ(simt::matrix_bank_conflicts(), before) << width;
    }
}

// The worst error of dq, dk and dv against central differences of Σ do · o.
double gradient_error(const Op& op, const AttentionCase& c) {
  Trial trial(op, {"plain_f64", DType::f64, {}, true}, c);
  AttentionTensors& t = trial.t;
  const auto loss = [&] {
    trial.forward();
    return dot(t.do_.values(), t.o.values());
  };
  trial.forward();
  trial.backward();
  double worst =
      std::max({gradient_error(t.q, t.dq, loss), gradient_error(t.k, t.dk, loss), gradient_error(t.v, t.dv, loss)});
  if (t.far())
    worst = std::max({worst, gradient_error(t.q_far, t.dq_far, loss), gradient_error(t.k_far, t.dk_far, loss)});
  return worst;
}

constexpr AttentionCase kEverythingOn = {2, 2, 2, 9, 3, 4, 3, true, 1, 1, 4, 6, 1, true};

// What a mask hides has none; the plain twin in f64 says what that is.
TEST(Attention, EveryElementThatIsSeenHasAnEffect) {
  const AttentionCase all[] = {{1, 1, 2, 3, 2, 3, 2, true, 1, 1, 2, 0, 0, true},
                               {1, 2, 1, 6, 0, 2, 2, false, 0, 1, 2, 4, 1, true}};
  for (const AttentionCase& c : all) {
    std::vector<std::vector<size_t>> expected;
    for (const Backend& backend : backends()) {
      Trial trial({}, backend, c);
      AttentionTensors& t = trial.t;
      const auto run = [&] { trial.forward(), trial.backward(); };
      std::vector<std::vector<size_t>> found;
      for (auto input : kAttentionInputs)
        if (input != &AttentionTensors::first_key)
          found.push_back(without_effect(t.*input, {&t.o, &t.lse, &t.dq, &t.dk, &t.dv, &t.dq_far, &t.dk_far}, run));
      if (expected.empty()) expected = found;
      EXPECT_EQ(found, expected) << backend << ' ' << c;
      for (size_t one : {0u, 3u, 4u}) EXPECT_THAT(found[one], testing::IsEmpty()) << c;  // q, do, factor
    }
  }
}

TEST(AttentionGradient, MatchesCentralDifferences) {
  for (const AttentionCase& c : {kEverythingOn, AttentionCase{2, 2, 1, 7, 0, 3, 5}, AttentionCase{2, 1, 3, 2, 6, 2, 2},
                                 AttentionCase{1, 2, 1, 11, 2, 3, 3, false, 0, 1, 5, 0, 0, true},
                                 AttentionCase{1, 1, 2, 10, 0, 3, 2, false, 0, 1, -1, 4, 2}})
    EXPECT_LT(gradient_error(Op(), c), 1e-7) << c;
}

// The tests are tested: each of these ops is wrong in one way and must be found out.

template <class F>
Op forward_then(F mischief) {
  Op op;
  op.forward = [=](Ctx& ctx, View o, View lse, CView q, CView k, CView v, const AttentionOpt& opt) {
    attention_forward(ctx, o, lse, q, k, v, opt);
    mischief(o, lse, q);
  };
  return op;
}

// backward on arguments that `change` has spoilt
template <class F>
Op backward_with(F change) {
  Op op;
  op.backward = [=](Ctx& ctx, View dq, View dk, View dv, View dq_far, View dk_far, CView do_, CView o, CView lse,
                    CView q, CView k, CView v, AttentionOpt opt) {
    Tensor spoilt_o(o.shape, o.dtype), spoilt_lse(lse.shape, lse.dtype);
    for (int64_t r = 0; r < o.rows(); ++r) {
      std::copy_n(o.as<double>()[r], o.width(), spoilt_o.as<double>()[r]);
      std::copy_n(lse.as<double>()[r], lse.width(), spoilt_lse.as<double>()[r]);
    }
    change(spoilt_o, spoilt_lse, opt);
    attention_backward(ctx, dq, dk, dv, dq_far, dk_far, do_, spoilt_o, spoilt_lse, q, k, v, opt);
  };
  return op;
}

TEST(AttentionSabotage, IsFoundOut) {
  const AttentionCase c{1, 2, 2, 30, 5, 8, 6, true, 3};
  const auto found = [&](const Op& op) { return problems(op, {"plain_f32", DType::f32, {}, true}, c); };
  const auto first_row = [](CView v) { return const_cast<float*>(v.as<float>().data); };
  using testing::HasSubstr;

  EXPECT_EQ(found(Op()), "");
  EXPECT_THAT(found(forward_then([&](View o, View, CView) { first_row(o)[23] = std::nanf(""); })),
              HasSubstr("o: error nan"));
  EXPECT_THAT(found(forward_then([&](View o, View, CView) { first_row(o)[3] += 1e-5f; })), HasSubstr("o: error"));
  EXPECT_THAT(found(forward_then([&](View, View lse, CView) { first_row(lse)[0] += 1e-5f; })), HasSubstr("lse: error"));
  EXPECT_THAT(found(forward_then([&](View o, View, CView) { first_row(o)[24] = 0; })), HasSubstr("a sentinel"));
  EXPECT_THAT(found(forward_then([&](View, View, CView q) { first_row(q)[0] += 1; })), HasSubstr("an input changed"));

  const auto error = [&](auto change) { return gradient_error(backward_with(change), kEverythingOn); };
  EXPECT_LT(error([](Tensor&, Tensor&, AttentionOpt&) {}), 1e-7);
  EXPECT_GT(error([](Tensor& o, Tensor&, AttentionOpt&) { o.fill(std::vector<double>(o.size())); }), 1e-3);  // no D
  EXPECT_GT(error([](Tensor&, Tensor& lse, AttentionOpt&) { lse.fill(std::vector<double>(lse.size())); }), 1e-3);
  EXPECT_GT(error([](Tensor&, Tensor&, AttentionOpt& opt) { opt.first_key = {}; }), 1e-3);
  EXPECT_GT(error([](Tensor&, Tensor&, AttentionOpt& opt) { opt.factor = {}; }), 1e-3);
  EXPECT_GT(error([](Tensor&, Tensor&, AttentionOpt& opt) { ++opt.near; }), 1e-3);
  EXPECT_GT(error([](Tensor&, Tensor&, AttentionOpt& opt) { --opt.window; }), 1e-3);
  EXPECT_GT(error([](Tensor&, Tensor&, AttentionOpt& opt) { ++opt.sinks; }), 1e-3);
}

}  // namespace
}  // namespace rw::test
