// One trial for both norms: an op, or a sabotaged one, on one backend and one case. What it finds is text, so that a
// test can ask whether a wrong op is found out. The op is a Kind:
//
//   layer              whether there are means, and a bias
//   forward, backward  the op, called with Views
//   Naive<T>           the formulas, one operation after the other, in the precision T, on Tensors; h is rounded as it
//                      is stored, before it is normed
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {

inline constexpr double kEps = 1e-5;
inline const Backend kPlainF64{"plain_f64", DType::f64, {}, true};
inline const Backend kPlainF32{"plain_f32", DType::f32, {}, true};

struct Case {
  int64_t rows, width, groups = 1, gap = 0;  // gap: elements between rows
  bool branch = false, dh = false, bias = false;
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << " rows, " << c.groups << " groups of " << c.width << ", gap " << c.gap
             << (c.branch ? ", branch" : "") << (c.dh ? ", dh" : "") << (c.bias ? ", bias" : "");
}

// {1, odd, tile - 1, tile, tile + 1, large}. The tiles: two parts at 16 rows, 256 parts at 2048; vectors of 4, 8 and
// 16, some of them at a time. A gap of 3 leaves rows unaligned, one of 16 does not. The rest goes round.
// In bf16 fewer: vectors of 8 for one lane, all of a warp, one more, and more than a block has; single elements; one
// team or 8 to a block.
inline std::vector<Case> cases(bool layer, DType dtype) {
  if (dtype == DType::bf16) {
    const int64_t groups = layer ? 1 : 3;
    return {
        {1, 1, groups, 0, true, true, layer}, {5, 8, groups, 0, false, true, layer},    {9, 256, 1, 0, true, true},
        {8, 248, 1, 8, false, false, layer},  {17, 264, groups, 16, true, true, layer}, {2, 4104, 1, 0, true, false},
        {17, 15, groups, 0, true, false},     {3, 40, groups, 3, true, true, layer},    {18, 33, 1, 0, false, true},
        {2063, 8, 1, 8, true, true, layer},
    };
  }
  std::vector<Case> all;
  size_t n = 0;
  const auto add = [&](int64_t rows, int64_t width, bool branch, bool dh) {
    all.push_back({rows, width, layer ? 1 : 1 + static_cast<int64_t>(n % 3), std::array{0, 3, 16}[n / 3 % 3], branch,
                   dh, layer && n / 9 % 2 == 0});
    ++n;
  };
  for (int64_t rows : {1, 5, 16, 17})
    for (int64_t width : {1, 5, 15, 16, 17, 31, 32, 33, 64, 129})
      for (bool branch : {false, true})
        for (bool dh : {false, true}) add(rows, width, branch, dh);
  for (bool both : {false, true})
    for (const auto& [rows, width] : {std::pair{2, 4104}, {1, 2049}, {2063, 4}, {18, 257}})
      add(rows, width, both, both);
  return all;
}

// What an op is called with. Arguments that the case does not have are empty.
struct Views {
  View x, branch, weight, bias, dy, dh;       // inputs
  View y, h, mean, rstd, dx, dweight, dbias;  // outputs
  View normed;                                // h, or x without a branch: what backward calls h
};

struct Tensors {
  Tensors(const Case& c_, bool layer, Where t)
      : c(c_),
        matrix{c.rows, c.groups * c.width},
        x(matrix, t, c.gap),
        branch(matrix, t, c.gap),
        weight({c.width}, t),
        bias({c.width}, t),
        dy(matrix, t, c.gap),
        dh(matrix, t, c.gap),
        y(matrix, t, c.gap),
        h(matrix, t, c.gap),
        mean({c.rows}, t.in_accumulator()),
        rstd(layer ? Shape{c.rows} : Shape{c.rows, c.groups}, t.in_accumulator()),
        dx(matrix, t, c.gap),
        dweight({c.width}, t.in_accumulator()),
        dbias({c.width}, t.in_accumulator()),
        stored(t.dtype) {
    unsigned seed = 0;
    for (Tensor* input : {&x, &branch, &weight, &bias, &dy, &dh}) input->fill(normal(input->size(), ++seed));
    auto shifted = x.values();  // a mean that is not the small difference of large sums
    for (double& v : shifted) v += 1;
    x.fill(shifted);
  }
  Views views() const {
    const auto if_ = [](bool there, View v) { return there ? v : View{}; };
    return {x,
            if_(c.branch, branch),
            weight,
            if_(c.bias, bias),
            dy,
            if_(c.dh, dh),
            y,
            if_(c.branch, h),
            mean,
            rstd,
            dx,
            dweight,
            if_(c.bias, dbias),
            normed()};
  }
  const Tensor& normed() const { return c.branch ? h : x; }
  template <class T>
  T as_stored(T v) const {
    return stored == DType::bf16 ? static_cast<float>(bf16(static_cast<float>(v))) : v;
  }

  Case c;
  Shape matrix;
  Tensor x, branch, weight, bias, dy, dh;       // inputs
  Tensor y, h, mean, rstd, dx, dweight, dbias;  // outputs
  DType stored;  // what h is rounded to; another than its own in a naive program's tensors
};

using OneOf = Tensor Tensors::*;
inline constexpr std::array<OneOf, 6> kInputs = {&Tensors::x,    &Tensors::branch, &Tensors::weight,
                                                 &Tensors::bias, &Tensors::dy,     &Tensors::dh};
inline constexpr std::array<OneOf, 7> kOutputs = {&Tensors::y,  &Tensors::h,       &Tensors::mean, &Tensors::rstd,
                                                  &Tensors::dx, &Tensors::dweight, &Tensors::dbias};

template <class Kind>
struct Op {
  std::function<void(Ctx&, const Views&)> forward = Kind::forward;
  std::function<void(Ctx&, const Views&, Grad)> backward = Kind::backward;
};

template <class Kind>
struct Trial {
  Trial(const Op<Kind>& op_, Bench& bench_, const Backend& backend_, const Case& c_)
      : op(op_), bench(bench_), backend(backend_), c(c_), t(c_, Kind::layer, backend_) {
    poison_scratch(bench.ctx);
  }

  Op<Kind> op;
  Bench& bench;
  Backend backend;
  Case c;
  Tensors t;
  std::string found;  // gets a line for everything that is wrong

  void expect(bool holds, const std::string& otherwise) {
    if (!holds) found += otherwise + '\n';
  }
  void forward() { op.forward(bench.ctx, t.views()); }
  void backward(Grad mode) { op.backward(bench.ctx, t.views(), mode); }

  // Backward is judged on the h and statistics that it got, not on those that it should have got.
  void parity() {
    const DType precision = accumulator(backend.dtype);
    Tensors naive(c, Kind::layer, precision), truth(c, Kind::layer, DType::f64);
    naive.stored = truth.stored = backend.dtype;
    const auto give = [&](OneOf one) {
      for (Tensors* other : {&naive, &truth}) (other->*one).fill((t.*one).values());
    };
    const auto compare = [&](const char* name, OneOf one, bool there = true) {
      if (there) found += parity_rounded_once(name, t.*one, naive.*one, truth.*one);
    };
    visit_dtype<double, float>(precision, [&]<class T>() {
      using Naive = typename Kind::template Naive<T>;
      using Truth = typename Kind::template Naive<double>;
      for (OneOf input : kInputs) give(input);
      forward(), Naive::forward(naive), Truth::forward(truth);
      compare("h", &Tensors::h, c.branch), compare("mean", &Tensors::mean, Kind::layer);
      compare("rstd", &Tensors::rstd), compare("y", &Tensors::y);

      for (OneOf one : {&Tensors::h, &Tensors::mean, &Tensors::rstd}) give(one);
      backward(Grad::overwrite), Naive::backward(naive), Truth::backward(truth);
      compare("dx", &Tensors::dx), compare("dweight", &Tensors::dweight), compare("dbias", &Tensors::dbias, c.bias);
    });
  }

  void grad_modes() {
    const auto dx = t.dx.bytes();
    for (OneOf one : {&Tensors::dweight, &Tensors::dbias}) {
      if (one == &Tensors::dbias && !c.bias) continue;
      const std::string name = one == &Tensors::dbias ? "dbias" : "dweight";
      const auto bits = (t.*one).bytes();
      auto once = (t.*one).values();
      backward(Grad::skip);
      expect((t.*one).bytes() == bits && t.dx.bytes() == dx, "skip: " + name + " or dx changed");
      backward(Grad::accumulate);
      for (double& v : once) v *= 2;
      const double limit = (backend.dtype == DType::f64 ? 1e-14 : 1e-5) * largest(once);
      expect(largest_difference((t.*one).values(), once) <= limit, "accumulate: " + name + " is not the sum");
      backward(Grad::overwrite);
      expect((t.*one).bytes() == bits && t.dx.bytes() == dx, "overwrite: " + name + " or dx has other bits");
    }
    Views v = t.views();
    v.dweight = v.dbias = {};
    op.backward(bench.ctx, v, Grad::skip);
    expect(t.dx.bytes() == dx, "skip: dx needs dweight");
  }

  // Every alias that the contract allows.
  void in_place() {
    const auto fresh = [&](OneOf output, OneOf input) {
      auto tensors = std::make_unique<Tensors>(c, Kind::layer, backend);
      Views v = tensors->views();
      for (OneOf one : {&Tensors::mean, &Tensors::rstd}) (tensors.get()->*one).fill((t.*one).values());
      if (output == &Tensors::h) v.h = v.x;
      if (output == &Tensors::y) v.y = v.x;
      if (output != &Tensors::dx) {
        op.forward(bench.ctx, v);
      } else {
        v.dx = tensors.get()->*input;
        v.normed = t.normed();
        op.backward(bench.ctx, v, Grad::overwrite);
        expect(tensors->dweight.bytes() == t.dweight.bytes(), "in place: dweight differs");
        if (c.bias) expect(tensors->dbias.bytes() == t.dbias.bytes(), "in place: dbias differs");
      }
      expect((tensors.get()->*input).bytes() == (t.*output).bytes(), "in place: the output differs");
      if (output == &Tensors::h) expect(tensors->y.bytes() == t.y.bytes(), "in place: y differs");
    };
    if (c.branch) fresh(&Tensors::h, &Tensors::x);
    if (!c.branch && !Kind::layer) fresh(&Tensors::y, &Tensors::x);
    fresh(&Tensors::dx, &Tensors::dy);
    if (c.dh) fresh(&Tensors::dx, &Tensors::dh);
  }

  void nothing_else_was_touched() {
    const Tensors before(c, Kind::layer, backend.dtype);
    for (OneOf input : kInputs) expect((t.*input).bytes() == (before.*input).bytes(), "an input changed");
    for (OneOf output : kOutputs) expect((t.*output).sentinels_intact(), "a sentinel was overwritten");
    expect(bench.ctx.scratch.mark() == 0 && bench.ctx.saved.mark() == 0, "an arena was not given back");
  }
};

template <class Kind>
std::string problems(const Op<Kind>& op, Bench& bench, const Backend& backend, const Case& c) {
  Trial<Kind> trial(op, bench, backend, c);
  trial.parity();
  trial.grad_modes();
  trial.in_place();
  trial.nothing_else_was_touched();
  return trial.found;
}

// The worst error of every gradient against central differences of Σ dy · y + Σ dh · h.
template <class Kind>
double gradient_error(const Op<Kind>& op, const Case& c) {
  Bench bench(kPlainF64);
  Trial<Kind> trial(op, bench, kPlainF64, c);
  Tensors& t = trial.t;
  const auto loss = [&] {
    trial.forward();
    return dot(t.dy.values(), t.y.values()) + (c.dh ? dot(t.dh.values(), t.normed().values()) : 0);
  };
  trial.forward();
  trial.backward(Grad::overwrite);
  double worst = std::max(gradient_error(t.x, t.dx, loss), gradient_error(t.weight, t.dweight, loss));
  if (c.branch) worst = std::max(worst, gradient_error(t.branch, t.dx, loss));
  if (c.bias) worst = std::max(worst, gradient_error(t.bias, t.dbias, loss));
  return worst;
}

// The fused op equals the pair, an add and then a norm, to the bit.
template <class Kind>
void expect_fused_equals_unfused(bool bias) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (int64_t width : {7, 40, 200}) {
      Trial<Kind> fused({}, bench, backend, {9, width, 1, 0, true, false, bias});
      Trial<Kind> norm({}, bench, backend, {9, width, 1, 0, false, false, bias});
      auto sum = fused.t.x.values();
      const auto added = fused.t.branch.values();
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += added[i];
      norm.t.x.fill(sum);
      fused.forward(), norm.forward();
      EXPECT_EQ(norm.t.x.bytes(), fused.t.h.bytes()) << backend << width;
      EXPECT_EQ(norm.t.rstd.bytes(), fused.t.rstd.bytes()) << backend << width;
      EXPECT_EQ(norm.t.y.bytes(), fused.t.y.bytes()) << backend << width;
    }
  }
}

template <class Kind>
void expect_every_element_has_an_effect() {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({3, 33, 1, 1, true, true, Kind::layer}, Kind::layer, backend);
    const auto run = [&] {
      Kind::forward(bench.ctx, t.views()), Kind::backward(bench.ctx, t.views(), Grad::overwrite);
    };
    std::vector<const Tensor*> outputs;
    for (OneOf one : kOutputs) outputs.push_back(&(t.*one));
    for (OneOf one : kInputs) {
      if (one == &Tensors::bias && !Kind::layer) continue;
      EXPECT_THAT(without_effect(t.*one, outputs, run), testing::IsEmpty()) << backend;
    }
  }
}

// Each tensor lies, while all others are aligned, one element away from where vectors may lie.
template <class Kind>
void expect_any_tensor_may_be_unaligned() {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Trial<Kind> trial({}, bench, backend, {5, 64, 1, 0, true, true, Kind::layer});
    Tensors& t = trial.t;
    trial.forward(), trial.backward(Grad::overwrite);
    std::vector<std::vector<double>> expected;
    for (OneOf output : kOutputs) expected.push_back((t.*output).values());
    const auto copy = [](View to, CView from) {
      for (int64_t r = 0; r < to.rows(); ++r)
        std::memcpy(rows(to, r, 1).data, rows(from, r, 1).data, static_cast<size_t>(to.width()) * size_of(to.dtype));
    };
    for (View Views::*one : {&Views::x, &Views::branch, &Views::weight, &Views::bias, &Views::dy, &Views::dh, &Views::y,
                             &Views::h, &Views::dx}) {
      Views v = t.views();
      const View there = v.*one;
      if (there.empty()) continue;
      for (OneOf output : kOutputs) (t.*output).fill(std::vector<double>((t.*output).size(), std::nan("")));
      const Tensor wide({there.rows(), there.width() + 8}, backend);
      const View slice = columns(wide.view(), 1, there.width());
      copy(slice, there);
      v.*one = {slice.data, there.shape, there.dtype, there.device, slice.row_stride};
      v.normed = v.h;
      Kind::forward(bench.ctx, v), Kind::backward(bench.ctx, v, Grad::overwrite);
      copy(there, slice);
      for (size_t i = 0; i < kOutputs.size(); ++i) {
        const Tensor& output = t.*kOutputs[i];
        if (std::isnan(expected[i][0])) continue;  // not one of this kind's
        const double unit = output.view().dtype == DType::bf16 ? 0x1p-7 * largest(expected[i]) : 0;
        EXPECT_LT(largest_difference(output.values(), expected[i]), 1e-5 + unit) << backend;
      }
    }
  }
}

template <class Kind>
void expect_same_bits_for_every_number_of_threads(const Case& c) {
  const int before = threads();
  for (bool plain : {true, false}) {
    const Backend backend{"f32", DType::f32, {}, plain};
    Bench bench(backend);
    std::vector<std::vector<std::vector<std::byte>>> bits;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      Trial<Kind> trial({}, bench, backend, c);
      trial.forward();
      trial.backward(Grad::overwrite);
      bits.emplace_back();
      for (OneOf output : kOutputs) bits.back().push_back((trial.t.*output).bytes());
    }
    EXPECT_THAT(bits, testing::Each(bits[0]));
  }
  set_threads(before);
}

// Ops that are wrong in one way.

template <class Kind, class F>
Op<Kind> forward_then(F mischief) {
  return {.forward = [=](Ctx& ctx, const Views& v) {
    Kind::forward(ctx, v);
    mischief(v);
  }};
}

template <class Kind, class F>
Op<Kind> backward_then(F mischief) {
  return {.backward = [=](Ctx& ctx, const Views& v, Grad mode) {
    Kind::backward(ctx, v, mode);
    mischief(v);
  }};
}

template <class Kind>
Op<Kind> backward_as(Grad asked, Grad done) {
  return {.backward = [=](Ctx& ctx, const Views& v, Grad mode) {
    if (!v.dweight.empty()) Kind::backward(ctx, v, mode == asked ? done : mode);
  }};
}

template <class Kind>
void expect_sabotage_is_found(const Case& c) {
  Bench bench(kPlainF32);
  const auto found = [&](const Op<Kind>& op) { return problems(op, bench, kPlainF32, c); };
  const auto data = [](View v) { return v.as<float>().data; };
  using testing::HasSubstr;
  EXPECT_EQ(found({}), "");
  EXPECT_THAT(found(forward_then<Kind>([&](const Views& v) { data(v.y)[16] = std::nanf(""); })),
              HasSubstr("y: error nan"));
  EXPECT_THAT(found(forward_then<Kind>([&](const Views& v) { data(v.y)[3] += 1e-5f; })), HasSubstr("y: error"));
  EXPECT_THAT(found(forward_then<Kind>([&](const Views& v) { data(v.y)[v.y.width()] = 0; })), HasSubstr("a sentinel"));
  EXPECT_THAT(found(forward_then<Kind>([&](const Views& v) { data(v.x)[0] += same(v.h, v.x) ? 0.0f : 1.0f; })),
              HasSubstr("an input changed"));
  EXPECT_THAT(found(forward_then<Kind>([&](const Views& v) { data(v.y)[0] += same(v.h, v.x) ? 1.0f : 0.0f; })),
              HasSubstr("in place: y differs"));
  EXPECT_THAT(found(backward_then<Kind>([&](const Views& v) { data(v.dx)[0] += same(v.dx, v.dy) ? 1.0f : 0.0f; })),
              HasSubstr("in place: the output differs"));
  EXPECT_THAT(found(backward_as<Kind>(Grad::skip, Grad::accumulate)), HasSubstr("skip: dweight or dx changed"));
  EXPECT_THAT(found(backward_as<Kind>(Grad::accumulate, Grad::overwrite)), HasSubstr("accumulate: dweight is not"));
  EXPECT_THAT(found(backward_as<Kind>(Grad::overwrite, Grad::accumulate)), HasSubstr("dweight: error nan"));

  for (const Backend& backend : backends()) {
    if (backend.dtype != DType::bf16) continue;
    Bench in_bf16(backend);
    const auto found_in_bf16 = [&](const Op<Kind>& op) { return problems(op, in_bf16, backend, c); };
    const auto next = [](View v) { ++v.as<bf16>().data[3].bits; };
    EXPECT_THAT(found_in_bf16(forward_then<Kind>([&](const Views& v) { next(v.y); })), HasSubstr("y: error"));
    EXPECT_THAT(found_in_bf16(forward_then<Kind>([&](const Views& v) { next(v.h); })), HasSubstr("h: error"));
    EXPECT_THAT(found_in_bf16(backward_then<Kind>([&](const Views& v) { next(v.dx); })), HasSubstr("dx: error"));
  }
}

// What error tests put in the place of arguments [3, 8].
struct WrongTensors {
  const Tensor narrow{{3, 7}, DType::f32}, empty{{0, 8}, DType::f32}, far{{3, 8}, {DType::f32, {Device::cuda, 0}}};
  const Tensor f64{{3, 8}, DType::f64}, column_f64{{8}, DType::f64}, row_f64{{3}, DType::f64};
  const Tensor column_far{{8}, {DType::f32, {Device::cuda, 0}}};

  static View shifted(View v) {  // overlaps the tensor, but is not the same
    v.data += size_of(v.dtype);
    return v;
  }
  static View inside(View v, Shape shape) {  // overlaps its first row
    return {v.data, shape, v.dtype, v.device, shape.width()};
  }
};

// Calls `error` with one argument after the other replaced.
template <class F>
void expect_messages(const std::string& op, const std::vector<View>& right, const std::vector<Wrong>& wrong, F error) {
  EXPECT_EQ(error(right), "");
  for (const auto& [argument, instead, message] : wrong) {
    auto views = right;
    views[argument] = instead;
    EXPECT_THAT(error(views), testing::StartsWith(op + ": expected " + message)) << argument;
  }
}

}  // namespace rw::test
