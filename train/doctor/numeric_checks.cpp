#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/math/gemm.hpp"
#include "train/doctor/checks.hpp"
#include "train/loop/engine.hpp"

namespace rw::doctor {
namespace {

constexpr const char* kAdvice =
    "the instruction set or a library computes wrongly here: try ROPEWALK_ISA=avx2, and report this";
// Against f64, relative.
struct Tolerance {
  double loss, norm;
};
constexpr Tolerance tolerance_of(DType dtype) {
  return dtype == DType::bf16 ? Tolerance{0.01, 0.1} : Tolerance{1e-5, 1e-4};
}

// Values in [-1, 1) that f32 holds exactly.
double value_at(int64_t i, uint64_t seed) {
  const uint64_t mixed = (static_cast<uint64_t>(i) + seed * 1000003) * 0x9E3779B97F4A7C15u;
  return static_cast<double>(static_cast<int32_t>(mixed >> 40) - (1 << 23)) * 0x1p-23;
}

Buffer filled(Shape shape, DType dtype, uint64_t seed) {
  Buffer out({}, shape, dtype);
  const View v = out;
  visit_dtype<double, float>(dtype, [&]<class T>() {
    for (int64_t i = 0; i < shape.elements(); ++i) v.as<T>().data[i] = static_cast<T>(value_at(i, seed));
  });
  return out;
}

// The largest error of a product of [m, k] and [k, n], as a share of what rounding allows: 2 k eps Σ |a||b| ≤ 2 k² eps.
double error_of(const Product& product, Shape a_shape, Shape b_shape, Shape c_shape, int64_t k) {
  Arena saved("saved", {}, 1 << 20), scratch("scratch", {}, 1 << 22);
  Ctx ctx{.device = {}, .saved = saved, .scratch = scratch};
  const auto compute = [&](DType dtype) {
    const Buffer a = filled(a_shape, dtype, 1), b = filled(b_shape, dtype, 2);
    Buffer c({}, c_shape, dtype);
    product(ctx, c, a, b);
    return c;
  };
  const Buffer narrow = compute(DType::f32), wide = compute(DType::f64);
  double error = 0;
  for (int64_t i = 0; i < c_shape.elements(); ++i) {
    const double difference = narrow.view().as<float>().data[i] - wide.view().as<double>().data[i];
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    error = std::max(error, std::abs(difference));
  }
  const auto length = static_cast<double>(k);
  return error / (2 * length * length * 0x1p-24);
}

}  // namespace

Products our_products() {
  return {[](Ctx& ctx, View c, CView a, CView b) { gemm_nt(ctx, c, a, b, {}, Grad::overwrite); },
          [](Ctx& ctx, View c, CView a, CView b) { gemm_nn(ctx, c, a, b, Grad::overwrite); },
          [](Ctx& ctx, View c, CView a, CView b) { gemm_tn(ctx, c, a, b, Grad::overwrite); }};
}

Check check_products(const Products& products) {
  double worst = 0;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{37, 29, 53}, {64, 128, 96}}) {
    worst = std::max(worst, error_of(products.nt, {m, k}, {n, k}, {m, n}, k));
    worst = std::max(worst, error_of(products.nn, {m, k}, {k, n}, {m, n}, k));
    worst = std::max(worst, error_of(products.tn, {k, m}, {k, n}, {m, n}, k));
  }
  char text[128];
  if (worst <= 1) {
    std::snprintf(text, sizeof text, "matrix products agree with double precision, to %.2f of the bound", worst);
    return {Check::State::ok, "arithmetic", text, {}};
  }
  std::snprintf(text, sizeof text, "matrix products are wrong: %.3g times the error that rounding allows", worst);
  return {Check::State::wrong, "arithmetic", text, kAdvice, Exit::internal};
}

Check check_training(double factor, Device device, DType dtype) {
  const ModelConfig config{.vocab = 61,
                           .layers = 2,
                           .width = 32,
                           .heads = 4,
                           .kv_heads = 2,
                           .head_width = 8,
                           .hidden = 48,
                           .context = 16,
                           .rope = {.base = 100}};
  struct Result {
    Engine::StepResult first, second;
  };
  const auto train = [&](Device on, DType in) {
    Engine engine(config, {.device = on, .dtype = in, .sequences = 4, .micro_batch = 2, .length = 16, .clip = 1});
    engine.initialise();
    const auto step = [&](int64_t number) {
      for (int64_t i = 0; i < engine.token().shape.elements(); ++i) {
        engine.token().as<int32_t>().data[i] = static_cast<int32_t>(i * i % config.vocab);
        engine.target().as<int32_t>().data[i] = static_cast<int32_t>((i + 1) * (i + 1) % config.vocab);
        engine.first_key().as<int32_t>().data[i] = 0;
      }
      return engine.step(number, 0.01 * factor);
    };
    const Engine::StepResult first = step(1);
    return Result{first, step(2)};
  };
  const Result narrow = train(device, dtype), wide = train({}, DType::f64);
  const Tolerance near = tolerance_of(dtype);
  const auto differ = [](double a, double b, double tolerance) {
    return !(std::abs(a - b) <= tolerance * std::abs(b));
  };
  char text[160];
  const bool same = !differ(narrow.first.loss, wide.first.loss, near.loss) &&
                    !differ(narrow.first.grad_norm, wide.first.grad_norm, near.norm) &&
                    !differ(narrow.second.loss, wide.second.loss, near.norm);
  if (same && wide.second.loss < wide.first.loss) {
    std::snprintf(text, sizeof text, "one step lowers a loss from %.3f to %.3f, as in double precision",
                  narrow.first.loss, narrow.second.loss);
    return {Check::State::ok, "training", text, {}};
  }
  std::snprintf(text, sizeof text, "a step took a loss from %.6g to %.6g; in double precision from %.6g to %.6g",
                narrow.first.loss, narrow.second.loss, wide.first.loss, wide.second.loss);
  return {Check::State::wrong, "training", text, kAdvice, Exit::internal};
}

}  // namespace rw::doctor
