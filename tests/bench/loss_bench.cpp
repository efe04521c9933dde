// The head with its gradient, forward and backward, for different limits on the memory of its logits, f32. S: 2,048
// rows, width 384, vocabulary 256; M: 512 rows, width 768, vocabulary 50,304. And AdamW and clipping, in bytes per
// second.
#include <benchmark/benchmark.h>

#include "layers/loss/linear_cross_entropy.hpp"
#include "optim/adamw.hpp"
#include "optim/clip.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {
namespace {

void fill(View v, unsigned seed) {
  const auto some = normal(1 << 16, seed);
  for (int64_t r = 0; r < v.rows(); ++r)
    for (int64_t c = 0; c < v.width(); ++c)
      v.as<float>()[r][c] = static_cast<float>(0.02 * some[static_cast<size_t>(r * v.width() + c) % some.size()]);
}

struct Memory {
  explicit Memory(size_t bytes) : saved("saved", {}, bytes), scratch("scratch", {}, size_t{256} << 20) {}
  View take(Shape shape, DType dtype = DType::f32) {
    const View v = saved.take(shape, dtype, "tensor");
    if (dtype == DType::f32) fill(v, 1);
    return v;
  }
  Arena saved, scratch;
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
};

void head(benchmark::State& state, int64_t rows, int64_t width, int64_t vocab) {
  Memory memory(size_t{512} << 20);
  const View x = memory.take({rows, width}), dx = memory.take({rows, width}), w = memory.take({vocab, width}),
             dw = memory.take({vocab, width}), nll = memory.take({rows}), target = memory.take({rows}, DType::i32);
  for (int64_t r = 0; r < rows; ++r) target.as<int32_t>().data[r] = static_cast<int32_t>(r * 97 % vocab);
  const int64_t bytes = state.range(0) << 20;
  for (auto _ : state)
    linear_cross_entropy_with_gradient(memory.ctx, nll, dx, dw, x, w, target, 1e-3, Grad::accumulate, bytes);
  state.counters["rows"] = static_cast<double>(loss_chunk_rows(rows, vocab, DType::f32, bytes));
}
BENCHMARK_CAPTURE(head, S, 2048, 384, 256)
    ->ArgName("MiB")
    ->Arg(1)
    ->Arg(128)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(head, M, 512, 768, 50304)
    ->ArgName("MiB")
    ->Arg(16)
    ->Arg(32)
    ->Arg(64)
    ->Arg(128)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

void softmax(benchmark::State& state) {
  const int64_t rows = 512, vocab = 50304;
  Memory memory(size_t{256} << 20);
  const View z = memory.take({rows, vocab}), nll = memory.take({rows}), target = memory.take({rows}, DType::i32);
  std::fill_n(target.as<int32_t>().data, rows, 5);
  for (auto _ : state) softmax_cross_entropy(memory.ctx, nll, z, target, 1, true);
  state.SetBytesProcessed(2 * 4 * rows * vocab * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(softmax)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

void optimizer(benchmark::State& state) {
  const int64_t n = 1 << 25;
  Memory memory(size_t{640} << 20);
  const View p = memory.take({n}), m = memory.take({n}), v = memory.take({n}), g = memory.take({n}),
             clip = memory.take({1});
  for (int64_t i = 0; i < n; ++i) v.as<float>().data[i] = 1e-4f;
  clip.as<float>().data[0] = 1;
  for (auto _ : state) adamw(memory.ctx, p, {}, m, v, g, clip, {.lr = 1e-3, .step = 9});
  state.SetBytesProcessed(28 * n * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(optimizer)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

void norm_of_all(benchmark::State& state) {
  const int64_t n = 1 << 25;
  Memory memory(size_t{256} << 20);
  const View g = memory.take({n}), norm = memory.take({1}), clip = memory.take({1});
  for (auto _ : state) clip_factor(memory.ctx, norm, clip, g, 1);
  state.SetBytesProcessed(4 * n * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(norm_of_all)->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rw::test

BENCHMARK_MAIN();
