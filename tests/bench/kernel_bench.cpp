// The time of single ops, one JSON line for each: bytes or floating-point operations that the op has to move or do, per
// second. Attention counts half the square: two products forward, five backward.
//     kernel_bench [--device cuda] [--dtype f32 --dtype bf16] [--only attention] [--tiny]
// On a GPU with LD_LIBRARY_PATH=BUILD/device. An op is put on the queue so often that it takes the GPU --seconds, and
// the host waits for the last; the best of three is taken.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"
#include "core/device/choose.hpp"
#include "core/device/copy.hpp"
#include "layers/attention/attention.hpp"
#include "layers/embedding/embedding.hpp"
#include "layers/loss/linear_cross_entropy.hpp"
#include "layers/mlp/gelu.hpp"
#include "layers/mlp/swiglu.hpp"
#include "layers/norm/layer_norm.hpp"
#include "layers/norm/rms_norm.hpp"
#include "layers/rotary/rope.hpp"
#include "optim/adamw.hpp"
#include "optim/clip.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/workspace.hpp"

namespace rw {
namespace {

struct Options {
  std::string device = "cpu", only;
  std::vector<std::string> dtypes = {"f32"};
  double seconds = 0.1;
  bool tiny = false;
};

class Kernels {
 public:
  Kernels(const Options& o, Device device, DType dtype) : o_(o), device_(device), dtype_(dtype) {}

  // Answers whether all could be timed.
  bool all() {
    attention();
    norms();
    elementwise();
    embedding();
    loss();
    optimizer();
    products();
    return good_;
  }

 private:
  using Work = std::function<void(Ctx&)>;
  using Dims = std::vector<int64_t>;

  // Elements about as large as those of a normal distribution, times `scale`.
  Buffer random(Shape shape, DType dtype, double scale = 1) {
    const size_t bytes = static_cast<size_t>(shape.elements()) * size_of(dtype),
                 drawn = std::min(bytes, size_t{4} << 20);
    uint32_t bits = seed_ += 0x9e3779b9u;
    std::vector<std::byte> host(bytes);
    visit_dtype<float, bf16>(dtype, [&]<class T>() {
      for (size_t i = 0; i < drawn / sizeof(T); ++i) {
        bits ^= bits << 13, bits ^= bits >> 17, bits ^= bits << 5;
        reinterpret_cast<T*>(host.data())[i] = T(static_cast<float>(scale * 1.7 * (bits * 0x1p-31 - 1)));
      }
    });
    for (size_t at = drawn; at < bytes; at += drawn)
      std::memcpy(host.data() + at, host.data(), std::min(drawn, bytes - at));
    return upload(host, shape, dtype);
  }
  Buffer random(Shape shape) { return random(shape, dtype_); }
  Buffer ids(Shape shape, int64_t below) {
    std::vector<int32_t> id(static_cast<size_t>(shape.elements()));
    for (int32_t& i : id)
      i = static_cast<int32_t>((seed_ = seed_ * 1664525u + 1013904223u) % static_cast<uint32_t>(below));
    return upload(std::as_bytes(std::span(id)), shape, DType::i32);
  }
  Buffer upload(std::span<const std::byte> host, Shape shape, DType dtype) {
    Buffer buffer(device_, shape, dtype);
    Workspace at(device_, {});
    copy(at.ctx, buffer, CView{host.data(), shape, dtype, {}, shape.width()});
    synchronize(at.ctx);
    return buffer;
  }
  Buffer empty(Shape shape) { return Buffer(device_, shape, dtype_); }
  Buffer sums(Shape shape) { return Buffer(device_, shape, accumulator(dtype_)); }
  double size() const { return static_cast<double>(size_of(dtype_)); }
  int64_t tokens() const { return o_.tiny ? 70 : 32768; }
  int64_t width() const { return o_.tiny ? 48 : 768; }
  int64_t hidden() const { return o_.tiny ? 80 : 2048; }
  int64_t vocab() const { return o_.tiny ? 300 : 50304; }

  void time(const std::string& kernel, const Dims& shape, double bytes, double flop, const Work& work) {
    if (!kernel.starts_with(o_.only)) return;
    try {
      std::printf("%s\n", timed(kernel, shape, bytes, flop, work).dump().c_str());
      std::fflush(stdout);
    } catch (const Error& error) {  // the others are still of interest
      good_ = false;
      std::fprintf(stderr, "error: %s, %s: %s\n", kernel.c_str(), name_of(dtype_), error.what());
    }
  }
  nlohmann::ordered_json timed(const std::string& kernel, const Dims& shape, double bytes, double flop,
                               const Work& work) {
    const Work list[] = {work};
    Workspace workspace(device_, measure(device_, list));
    const auto seconds = [&](int64_t count) {
      const double begin = monotonic_seconds();
      for (int64_t i = 0; i < count; ++i) work(workspace.ctx);
      synchronize(workspace.ctx);
      return (monotonic_seconds() - begin) / static_cast<double>(count);
    };
    double best = seconds(1);
    int64_t count = 1;
    if (!o_.tiny) {
      constexpr double kMost = 1000;
      best = seconds(3);
      count = static_cast<int64_t>(std::clamp(o_.seconds / best, 1.0, kMost));
      best = std::min({seconds(count), seconds(count), seconds(count)});
    }
    return {{"what", "ropewalk"},          {"kernel", kernel}, {"shape", shape},   {"dtype", name_of(dtype_)},
            {"device", describe(device_)}, {"count", count},   {"us", best * 1e6}, {"gbs", bytes / best / 1e9},
            {"tflops", flop / best / 1e12}};
  }

  // Shape: B, T, heads, heads of keys, d, near (0: one branch). 16 k tokens and a width of 2,048, as in the tables of
  // FlashAttention.
  void attention() {
    if (o_.tiny) {
      for (int64_t d : {64, 128, 256}) attention({2, 70, 2, 1, d, 0}), attention({1, 130, 2, 2, d, 64});
      return;
    }
    const bool low = dtype_ == DType::bf16;  // f32 has no tensor cores: fewer lengths
    for (int64_t d : {64, 128, 256})
      for (int64_t length :
           low ? std::vector<int64_t>{512, 1024, 2048, 4096, 8192, 16384} : std::vector<int64_t>{1024, 4096})
        attention({16384 / length, length, 2048 / d, 2048 / d, d, 0});
    for (int64_t length : {2048, 4096, 8192})
      if (low || length == 4096)
        for (int64_t d : {64, 128}) attention({16384 / length, length, 2048 / d, 2048 / d, d, length / 4});
    attention({16, 1024, 12, 4, 64, 0});
  }
  void attention(const Dims& dims) {
    const int64_t batch = dims[0], length = dims[1], heads = dims[2], groups = dims[3], d = dims[4], near = dims[5];
    const std::string name = near > 0 ? "two_branch_attention" : "attention";
    if (!(name + "_with_backward").starts_with(o_.only)) return;
    const int64_t all = (heads + 2 * groups) * d;
    const Buffer product = random({batch, length, all}), d_out = random({batch, length, heads * d});
    const Buffer gradient = empty({batch, length, all}), out = empty({batch, length, heads * d});
    const Buffer lse = sums({batch, length, heads});
    const auto q = [&](View of) { return columns(of, 0, heads * d); };
    const auto k = [&](View of) { return columns(of, heads * d, groups * d); };
    const auto v = [&](View of) { return columns(of, (heads + groups) * d, groups * d); };
    const Buffer far = near > 0 ? random({batch, length, all}) : Buffer{};
    const Buffer far_gradient = near > 0 ? empty({batch, length, all}) : Buffer{};
    AttentionOpt opt{.head_width = d, .scale = 1 / std::sqrt(static_cast<double>(d)), .near = near};
    View dq_far, dk_far;
    if (near > 0) {
      opt.q_far = q(far), opt.k_far = k(far);
      dq_far = q(far_gradient), dk_far = k(far_gradient);
    }
    const Work forward = [&](Ctx& ctx) { attention_forward(ctx, out, lse, q(product), k(product), v(product), opt); };
    const Work both = [&](Ctx& ctx) {
      forward(ctx);
      attention_backward(ctx, q(gradient), k(gradient), v(gradient), dq_far, dk_far, d_out, out, lse, q(product),
                         k(product), v(product), opt);
    };
    const double product_flop = static_cast<double>(batch * heads * d) * static_cast<double>(length * (length + 1));
    time(name, dims, 0, 2 * product_flop, forward);
    time(name + "_with_backward", dims, 0, 7 * product_flop, both);
  }

  void norms() {
    const Shape shape = {tokens(), width()};
    const Buffer x = random(shape), branch = random(shape), weight = random({width()}), bias = random({width()});
    const Buffer dy = random(shape), dh = random(shape), h = empty(shape), y = empty(shape), dx = empty(shape);
    const Buffer mean = sums({tokens()}), rstd = sums({tokens(), 1}), dweight = sums({width()}),
                 dbias = sums({width()});
    const double bytes = size() * static_cast<double>(shape.elements());
    const Dims dims = {tokens(), width()};
    time("rms_norm", dims, 4 * bytes, 0, [&](Ctx& ctx) { rms_norm_forward(ctx, y, h, rstd, x, branch, weight, 1e-5); });
    time("rms_norm_backward", dims, 4 * bytes, 0,
         [&](Ctx& ctx) { rms_norm_backward(ctx, dx, dweight, dy, dh, h, rstd, weight, Grad::overwrite); });
    const View flat = reshape(rstd.view(), {tokens()});
    time("layer_norm", dims, 4 * bytes, 0,
         [&](Ctx& ctx) { layer_norm_forward(ctx, y, h, mean, flat, x, branch, weight, bias, 1e-5); });
    time("layer_norm_backward", dims, 4 * bytes, 0, [&](Ctx& ctx) {
      layer_norm_backward(ctx, dx, dweight, dbias, dy, dh, h, mean, flat, weight, Grad::overwrite);
    });
  }

  void elementwise() {
    const Buffer both = random({tokens(), 2 * hidden()}), d_both = empty({tokens(), 2 * hidden()});
    const Buffer y = empty({tokens(), hidden()}), dy = random({tokens(), hidden()});
    const View g = columns(both.view(), 0, hidden()), u = columns(both.view(), hidden(), hidden());
    const View dg = columns(d_both.view(), 0, hidden()), du = columns(d_both.view(), hidden(), hidden());
    const double bytes = size() * static_cast<double>(tokens() * hidden());
    const Dims dims = {tokens(), hidden()};
    time("swiglu", dims, 3 * bytes, 0, [&](Ctx& ctx) { swiglu_forward(ctx, y, g, u); });
    time("swiglu_backward", dims, 5 * bytes, 0, [&](Ctx& ctx) { swiglu_backward(ctx, dg, du, dy, g, u); });
    time("gelu", dims, 2 * bytes, 0, [&](Ctx& ctx) { gelu_forward(ctx, y, dy, GeluForm::tanh); });
    time("gelu_backward", dims, 3 * bytes, 0, [&](Ctx& ctx) { gelu_backward(ctx, dg, dy, u, GeluForm::tanh); });

    const int64_t d = o_.tiny ? 16 : 64, length = o_.tiny ? 70 : 1024;  // queries and keys, where they lie
    const Buffer cos = random({length, d / 2}, accumulator(dtype_)), sin = random({length, d / 2}, accumulator(dtype_));
    const Buffer position = ids({tokens()}, length);
    const View heads = columns(both.view(), 0, 2 * width() / d * d);
    const double turned = size() * static_cast<double>(tokens() * heads.width());
    time("rope", {tokens(), heads.width() / d, d, length}, 2 * turned, 0,
         [&](Ctx& ctx) { rope(ctx, heads, heads, cos, sin, position, {.head_width = d}); });
  }

  void embedding() {
    const Buffer table = random({vocab(), width()}), id = ids({tokens()}, vocab()), y = empty({tokens(), width()});
    const Buffer dy = random({tokens(), width()}), dtable = sums({vocab(), width()});
    const double bytes = size() * static_cast<double>(tokens() * width());
    const Dims dims = {tokens(), width(), vocab()};
    time("embedding", dims, 2 * bytes, 0, [&](Ctx& ctx) { embedding_forward(ctx, y, id, table, Grad::overwrite); });
    time("embedding_backward", dims, bytes + 4.0 * static_cast<double>(vocab() * width()), 0,
         [&](Ctx& ctx) { embedding_backward(ctx, dtable, dy, id, Grad::overwrite); });
  }

  void loss() {
    const Buffer x = random({tokens(), width()}), w = random({vocab(), width()}, dtype_, 0.02);
    const Buffer target = ids({tokens()}, vocab()), dx = empty({tokens(), width()}), dw = sums({vocab(), width()});
    const Buffer nll = sums({tokens()});
    time("linear_cross_entropy_with_gradient", {tokens(), width(), vocab()}, 0,
         6.0 * static_cast<double>(tokens()) * static_cast<double>(width() * vocab()),
         [&](Ctx& ctx) { linear_cross_entropy_with_gradient(ctx, nll, dx, dw, x, w, target, 1e-5, Grad::overwrite); });
  }

  void optimizer() {
    const int64_t n = o_.tiny ? 70003 : 124 << 20;
    const Buffer p = random({n}, DType::f32), g = random({n}, DType::f32), m(device_, {n}, DType::f32);
    const Buffer v(device_, {n}, DType::f32), norm(device_, {1}, DType::f32), clip(device_, {1}, DType::f32);
    const bool rounds = dtype_ == DType::bf16;
    const Buffer low = rounds ? empty({n}) : Buffer{};
    const auto elements = static_cast<double>(n);
    time("clip_factor", {n}, 4 * elements, 0, [&](Ctx& ctx) { clip_factor(ctx, norm, clip, g, 1); });
    time("adamw", {n}, (28 + (rounds ? 2 : 0)) * elements, 0,
         [&](Ctx& ctx) { adamw(ctx, p, low.view(), m, v, g, clip, {.lr = 1e-4, .weight_decay = 0.1, .step = 1}); });
  }

  void products() {
    const int64_t out[] = {3 * width(), width(), 2 * hidden()};
    for (int64_t n : out) product(width(), n);
    product(hidden(), width());
  }
  // y = x wᵀ, dx = dy w, dw = dyᵀ x. Shape: rows, in, out.
  void product(int64_t in, int64_t out) {
    const Buffer x = random({tokens(), in}), w = random({out, in}), y = empty({tokens(), out}),
                 dx = empty({tokens(), in});
    const Buffer dy = random({tokens(), out}), dw = sums({out, in});
    const double flop = 2.0 * static_cast<double>(tokens()) * static_cast<double>(in * out);
    const Dims dims = {tokens(), in, out};
    time("gemm", dims, 0, flop, [&](Ctx& ctx) { gemm_nt(ctx, y, x, w, {}, Grad::overwrite); });
    time("gemm_data_gradient", dims, 0, flop, [&](Ctx& ctx) { gemm_nn(ctx, dx, dy, w, Grad::overwrite); });
    time("gemm_weight_gradient", dims, 0, flop, [&](Ctx& ctx) { gemm_tn(ctx, dw, dy, x, Grad::overwrite); });
  }

  const Options& o_;
  Device device_;
  DType dtype_;
  uint32_t seed_ = 1;
  bool good_ = true;
};

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Times single ops");
  app.add_option("--device", o.device, "cpu, cuda, cuda:1")->capture_default_str();
  app.add_option("--dtype", o.dtypes, "f32, bf16, or both")->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--only", o.only, "ops whose names begin so");
  app.add_option("--seconds", o.seconds, "of one measurement")->capture_default_str();
  app.add_flag("--tiny", o.tiny, "small shapes, once each: to see that all works");
  CLI11_PARSE(app, argc, argv);
  bool good = true;
  try {
    const Device device = choose_device(o.device).device;
    for (const std::string& dtype : o.dtypes)
      good = Kernels(o, device, dtype == "bf16" ? DType::bf16 : DType::f32).all() && good;
  } catch (const UserError& error) {
    std::fprintf(stderr, "error: %s\n  %s\n", error.what(), error.advice.c_str());
    return static_cast<int>(error.code);
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace rw

int main(int argc, char** argv) { return rw::main(argc, argv); }
