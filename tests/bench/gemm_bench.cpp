// GFLOP/s of the matrix products of a training step, f32: forward, data gradient and weight gradient of each linear
// layer. S: 2,048 tokens, width 384, vocabulary 256; M: 512 tokens, width 768, vocabulary 50,304.
#include <benchmark/benchmark.h>

#include "core/math/gemm.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {
namespace {

struct Shapes {
  const char* name;
  int64_t tokens, in, out;
};
constexpr Shapes kShapes[] = {
    {"S_qkv", 2048, 384, 1152},      {"S_projection", 2048, 384, 384}, {"S_gate_up", 2048, 384, 2048},
    {"S_down", 2048, 1024, 384},     {"S_head", 2048, 384, 256},       {"M_qkv", 512, 768, 2304},
    {"M_projection", 512, 768, 768}, {"M_gate_up", 512, 768, 4096},    {"M_down", 512, 2048, 768},
    {"M_head", 512, 768, 50304},
};

enum class Form { forward, data_gradient, weight_gradient };

void product(benchmark::State& state, Shapes s, Form form) {
  Arena saved("saved", {}, 0), scratch("scratch", {}, 0);
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
  Tensor x({s.tokens, s.in}, DType::f32), w({s.out, s.in}, DType::f32), y({s.tokens, s.out}, DType::f32);
  const auto some = normal(1 << 16, 1);
  for (Tensor* one : {&x, &w, &y}) {
    std::vector<double> values(one->size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = some[i % some.size()];
    one->fill(values);
  }
  for (auto _ : state) {
    if (form == Form::forward) gemm_nt(ctx, y, x, w, {}, Grad::overwrite);
    if (form == Form::data_gradient) gemm_nn(ctx, x, y, w, Grad::overwrite);
    if (form == Form::weight_gradient) gemm_tn(ctx, w, y, x, Grad::overwrite);
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(s.tokens * s.in * s.out),
                         benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void register_all() {
  const std::pair<const char*, Form> forms[] = {
      {"forward", Form::forward}, {"data_gradient", Form::data_gradient}, {"weight_gradient", Form::weight_gradient}};
  for (const Shapes& s : kShapes)
    for (const auto& [name, form] : forms)
      benchmark::RegisterBenchmark((std::string(s.name) + '/' + name).c_str(), product, s, form)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace rw::test

int main(int argc, char** argv) {
  rw::test::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
