// Floating-point operations per second of causal attention, counting half the square: two products forward, five
// backward. Beside it the rate of a loop that does nothing but fused multiply-adds in registers, the roof.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/attention_bench.cpp"
#include <hwy/foreach_target.h>  // before everything else of Highway's

#include "core/math/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {
namespace {

// 12 sums; returns operations per lane group of one round, so that nothing is optimised away.
float multiply_add(int64_t rounds, double& operations) {
  const Full d;
  constexpr size_t kSums = 12;
  hn::Vec<Full> sum[kSums];
  for (size_t i = 0; i < kSums; ++i) sum[i] = hn::Set(d, static_cast<float>(i));
  const auto a = hn::Set(d, 0.5f), b = hn::Set(d, 0.25f);
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (size_t i = 0; i < kSums; ++i) sum[i] = hn::MulAdd(sum[i], a, b);
  operations = static_cast<double>(rounds) * static_cast<double>(2 * kSums * hn::Lanes(d));
  auto total = sum[0];
  for (size_t i = 1; i < kSums; ++i) total = hn::Add(total, sum[i]);
  return hn::GetLane(total);
}

}  // namespace
}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include <random>

#include "core/base/parallel.hpp"
#include "layers/attention/attention.hpp"

namespace rw {
namespace {

HWY_EXPORT(multiply_add);

void roof(benchmark::State& state) {
  limit_isa_once();
  double operations = 0;
  for (auto _ : state)
    parallel_for(threads(), [&](int64_t thread) {
      double done = 0;
      benchmark::DoNotOptimize(HWY_DYNAMIC_DISPATCH(multiply_add)(200000, done));
      if (thread == 0) operations = done;
    });
  state.counters["GFLOP/s"] =
      benchmark::Counter(operations * threads() * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

// q, k and v are slices of one product, as in a model.
struct Setup {
  explicit Setup(const benchmark::State& state)
      : batch(state.range(0)),
        heads(state.range(1)),
        groups(state.range(2)),
        queries(state.range(3)),
        keys(state.range(4)),
        d(state.range(5)) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (const Buffer* buffer : {&product, &prefix, &do_})
      for (int64_t i = 0; i < buffer->view().rows() * buffer->view().width(); ++i)
        buffer->view().as<float>().data[i] = normal(generator);
    if (queries < keys) k = columns(prefix.view(), 0, groups * d), v = columns(prefix.view(), groups * d, groups * d);
  }
  void forward() { attention_forward(ctx, o, lse, q, k, v, opt); }
  void backward() {
    attention_backward(ctx, columns(gradient.view(), 0, heads * d), columns(gradient.view(), heads * d, groups * d),
                       columns(gradient.view(), (heads + groups) * d, groups * d), {}, {}, do_, o, lse, q, k, v, opt);
  }
  // A far branch with a border, of which rotation beforehand is not a part: it is two passes over q and k.
  void add_far(int64_t near) {
    opt.q_far = q_far.view(), opt.k_far = k_far.view(), opt.near = near;
    for (const Buffer* buffer : {&q_far, &k_far})
      for (int64_t i = 0; i < buffer->view().rows() * buffer->view().width(); ++i)
        buffer->view().as<float>().data[i] = product.view().as<float>().data[i];
  }
  void two_backward() {
    attention_backward(ctx, columns(gradient.view(), 0, heads * d), columns(gradient.view(), heads * d, groups * d),
                       columns(gradient.view(), (heads + groups) * d, groups * d), dq_far, dk_far, do_, o, lse, q, k, v,
                       opt);
  }
  double operations(double products) const {
    const double seen =
        static_cast<double>(queries) * (static_cast<double>(keys - queries) + 0.5 * static_cast<double>(queries + 1));
    return products * 2 * static_cast<double>(batch * heads * d) * seen * 1e-9;
  }

  int64_t batch, heads, groups, queries, keys, d;
  Arena saved{"saved", {}, 0}, scratch{"scratch", {}, 256 << 20};
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
  Buffer product{{}, {batch, queries, (heads + 2 * groups) * d}, DType::f32};
  Buffer gradient{{}, {batch, queries, (heads + 2 * groups) * d}, DType::f32};
  Buffer prefix{{}, {batch, keys, 2 * groups* d}, DType::f32};
  Buffer o{{}, {batch, queries, heads*d}, DType::f32}, do_{{}, {batch, queries, heads*d}, DType::f32};
  Buffer lse{{}, {batch, queries, heads}, DType::f32};
  Buffer q_far{{}, {batch, queries, heads*d}, DType::f32}, k_far{{}, {batch, keys, groups*d}, DType::f32};
  Buffer dq_far{{}, {batch, queries, heads*d}, DType::f32}, dk_far{{}, {batch, keys, groups*d}, DType::f32};
  View q = columns(product.view(), 0, heads* d);
  CView k = columns(product.view(), heads*d, groups*d), v = columns(product.view(), (heads + groups) * d, groups*d);
  AttentionOpt opt{.head_width = d, .scale = 1 / std::sqrt(static_cast<double>(d))};
};

void forward(benchmark::State& state) {
  Setup setup(state);
  for (auto _ : state) setup.forward();
  state.counters["GFLOP/s"] = benchmark::Counter(setup.operations(2), benchmark::Counter::kIsIterationInvariantRate);
}

void backward(benchmark::State& state) {
  Setup setup(state);
  setup.forward();
  for (auto _ : state) setup.backward();
  state.counters["GFLOP/s"] = benchmark::Counter(setup.operations(5), benchmark::Counter::kIsIterationInvariantRate);
}

// Forward and backward with two branches over the same with one, in turn: the median of the ratios.
void branches(benchmark::State& state) {
  Setup one(state), two(state);
  two.add_far(state.range(6));
  const auto seconds = [](auto&& f) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  std::vector<double> ratios;
  for (auto _ : state) {
    const double of_one = seconds([&] { one.forward(), one.backward(); });
    ratios.push_back(seconds([&] { two.forward(), two.two_backward(); }) / of_one);
  }
  std::ranges::nth_element(ratios, ratios.begin() + static_cast<ptrdiff_t>(ratios.size() / 2));
  state.counters["two/one"] = ratios[ratios.size() / 2];
}

void borders(benchmark::internal::Benchmark* b) {
  for (const int64_t length : {1024, 4096})
    for (const int64_t near : {length / 4, length / 4 + 1}) b->Args({1, 6, 6, length, length, 64, near});
  b->Args({1, 6, 2, 1024, 1024, 64, 256})->UseRealTime()->Unit(benchmark::kMillisecond);
}

void training(benchmark::internal::Benchmark* b) {  // B, H, G, Tq, Tk, d
  b->Args({8, 6, 6, 256, 256, 64})->Args({1, 6, 6, 1024, 1024, 64})->Args({1, 6, 6, 4096, 4096, 64});
  b->Args({1, 12, 4, 1024, 1024, 80})->Args({1, 8, 8, 1024, 1024, 128})->UseRealTime()->Unit(benchmark::kMillisecond);
}
void decoding(benchmark::internal::Benchmark* b) {
  b->Args({1, 6, 6, 1, 1024, 64})->Args({1, 12, 4, 1, 4096, 64})->Args({8, 6, 6, 1, 1024, 64});
  b->Args({1, 6, 6, 32, 1024, 64})->UseRealTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK(roof)->UseRealTime();
BENCHMARK(forward)->Apply(training);
BENCHMARK(backward)->Apply(training);
BENCHMARK(branches)->Apply(borders);
BENCHMARK(forward)->Name("decode")->Apply(decoding);

}  // namespace
}  // namespace rw

BENCHMARK_MAIN();
#endif  // HWY_ONCE
