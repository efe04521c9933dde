#include "core/math/gemm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "core/math/gemm_layout.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

enum class Form { nt, nn, tn };
constexpr std::array kForms = {Form::nt, Form::nn, Form::tn};
constexpr const char* kNames[] = {"gemm_nt", "gemm_nn", "gemm_tn"};
const char* name_of(Form form) { return kNames[static_cast<size_t>(form)]; }

struct Case {
  Form form;
  int64_t m, n, k, gap;
  bool bias = false, wide = false;  // wide: c is of the accumulator dtype
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << name_of(c.form) << ' ' << c.m << 'x' << c.n << 'x' << c.k << " gap " << c.gap << (c.bias ? " bias" : "")
             << (c.wide ? " wide" : "");
}

struct Tensors {
  Tensors(const Case& of, Where t)
      : a(of.form == Form::tn ? Shape{of.k, of.m} : Shape{of.m, of.k}, t, of.gap),
        b(of.form == Form::nt ? Shape{of.n, of.k} : Shape{of.k, of.n}, t, 2 * of.gap),
        bias({of.n}, t),
        c({of.m, of.n}, of.wide ? t.in_accumulator() : t, 3 * of.gap) {
    a.fill(normal(a.size(), 1)), b.fill(normal(b.size(), 2)), bias.fill(normal(bias.size(), 3));
  }
  Tensor a, b, bias, c;
};

template <class T>
void naive(const Tensors& t, const Case& c, Grad store) {
  const auto a = t.a.as<T>(), b = t.b.as<T>(), out = t.c.as<T>();
  for (int64_t i = 0; i < c.m; ++i)
    for (int64_t j = 0; j < c.n; ++j) {
      T sum = c.bias ? t.bias.as<T>().data[j] : T(0);
      for (int64_t p = 0; p < c.k; ++p)
        sum += (c.form == Form::tn ? a[p][i] : a[i][p]) * (c.form == Form::nt ? b[j][p] : b[p][j]);
      out[i][j] = store == Grad::accumulate ? out[i][j] + sum : sum;
    }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
using Op = std::function<void(Ctx&, const Case&, View c, CView a, CView b, CView bias, Grad)>;

void product(Ctx& ctx, const Case& form, View c, CView a, CView b, CView bias, Grad store) {
  if (form.form == Form::nt) gemm_nt(ctx, c, a, b, bias, store);
  if (form.form == Form::nn) gemm_nn(ctx, c, a, b, store);
  if (form.form == Form::tn) gemm_tn(ctx, c, a, b, store);
}

// One case on one backend. The answer has a line for everything that is wrong.
std::string problems(const Op& op, const Backend& backend, const Case& c) {
  Arena saved("saved", backend.device, 0), scratch("scratch", backend.device, 0);  // small: many cases
  Ctx ctx{.device = backend.device, .saved = saved, .scratch = scratch, .plain = backend.plain};
  std::string found;
  const Tensors fresh(c, backend);
  Tensors t(c, backend), reference(c, accumulator(backend.dtype)), truth(c, DType::f64);
  for (Tensors* one : {&reference, &truth})
    for (auto input : {&Tensors::a, &Tensors::b, &Tensors::bias}) (one->*input).fill((t.*input).values());
  for (Grad store : {Grad::overwrite, Grad::accumulate}) {
    if (store == Grad::accumulate && c.bias) break;
    op(ctx, c, t.c, t.a, t.b, c.bias ? CView(t.bias) : CView{}, store);
    visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(reference, c, store); });
    naive<double>(truth, c, store);
    found += parity_rounded_once(store == Grad::overwrite ? "overwrite" : "accumulate", t.c, reference.c, truth.c);
    reference.c.fill(t.c.values()), truth.c.fill(t.c.values());  // what accumulate begins with
  }
  const auto first = t.c.bytes();
  for (int i = 0; i < 2; ++i) op(ctx, c, t.c, t.a, t.b, c.bias ? CView(t.bias) : CView{}, Grad::overwrite);
  const auto second = t.c.bytes();
  op(ctx, c, t.c, t.a, t.b, c.bias ? CView(t.bias) : CView{}, Grad::overwrite);
  if (t.c.bytes() != second) found += "other bits the second time\n";
  if (!t.c.sentinels_intact()) found += "a sentinel was overwritten\n";
  for (auto input : {&Tensors::a, &Tensors::b, &Tensors::bias})
    if ((t.*input).bytes() != (fresh.*input).bytes()) found += "an input changed\n";
  return found;
}

TEST(Gemm, HasNoProblems) {
  constexpr int64_t kSizes[] = {1, 2, 15, 16, 17, 33, 129};
  for (const Backend& backend : backends_without_bf16()) {
    if (backend.instruction_set && backend.instruction_set != (hwy::SupportedTargets() & -hwy::SupportedTargets()))
      continue;  // oneDNN has its own choice of instructions
    for (int64_t m : kSizes)
      for (int64_t n : kSizes)
        for (int64_t k : kSizes)
          for (Form form : kForms) {
            const int64_t gap = (m + n + k) % 2 * 3;
            if ((backend.plain || backend.device.kind == Device::cuda) && m * n * k > 17 * 33 * 129) continue;
            EXPECT_EQ(problems(product, backend, {form, m, n, k, gap, form == Form::nt && (m + k) % 2 == 0}), "")
                << backend << ' ' << Case{form, m, n, k, gap};
          }
  }
}

TEST(Gemm, HasNoProblemsInBf16) {
  for (const Backend& backend : backends()) {
    if (backend.dtype != DType::bf16) continue;
    for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1}, {1, 5, 33}, {16, 2, 7}, {17, 33, 129}})
      for (Form form : kForms)
        for (const auto& [bias, wide] : {std::pair{false, false}, {false, true}, {form == Form::nt, false}}) {
          const Case c{form, m, n, k, m % 2 * 3, bias, wide};
          EXPECT_EQ(problems(product, backend, c), "") << c;
        }
  }
}

TEST(Gemm, LongSums) {  // where oneDNN splits k between threads
  const Backend fast{"fast", DType::f32, {}};
  for (Form form : kForms) EXPECT_EQ(problems(product, fast, {form, 8, 24, 5000, 0}), "") << name_of(form);
}

TEST(Gemm, LeadingDimensionsAreRows) {  // [2, 3, k] is a matrix [6, k]
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor a({2, 3, 5}, backend), b({4, 5}, backend), c({2, 3, 4}, backend), d({6, 4}, backend);
    a.fill(normal(a.size(), 1)), b.fill(normal(b.size(), 2));
    gemm_nt(bench.ctx, c, a, b, {}, Grad::overwrite);
    gemm_nt(bench.ctx, d, reshape(a.view(), {6, 5}), b, {}, Grad::overwrite);
    EXPECT_EQ(c.values(), d.values()) << backend;
  }
}

TEST(Gemm, PlainHasTheSameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (DType dtype : {DType::f64, DType::f32})
    for (Form form : kForms) {
      const Case c{form, 33, 17, 65, 3};
      const auto run = [&](int team) {
        set_threads(team);
        Bench bench({"plain", dtype, {}, true});
        const Tensors t(c, dtype);
        product(bench.ctx, c, t.c, t.a, t.b, {}, Grad::overwrite);
        return t.c.bytes();
      };
      EXPECT_TRUE(run(1) == run(2) && run(1) == run(3)) << c;
    }
  set_threads(before);
}

TEST(Gemm, FastWithSeveralThreads) {  // a product cut by oneDNN, and one for each thread
  const int before = threads();
  for (int team : {2, 3}) {
    set_threads(team);
    for (Form form : kForms)
      for (int64_t m : {70, 771})
        EXPECT_EQ(problems(product, {"fast", DType::f32, {}}, {form, m, 37, 300, 3, form == Form::nt && m == 771}), "")
            << name_of(form) << ' ' << m << ' ' << team;
  }
  set_threads(before);
}

// What gemm_layout.hpp tells a column-major library, done by one. As there, bias has an element for each row of `out`.
void column_major(Ctx&, const Case& form, View c, CView a, CView b, CView bias, Grad store) {
  const BlasProduct p = blas_product(c, a, form.form == Form::tn, b, form.form == Form::nt);
  const auto element = [](auto* data, const BlasMatrix& matrix, int64_t row, int64_t column) -> auto& {
    EXPECT_TRUE(0 <= row && row < matrix.rows && 0 <= column && column < matrix.columns);
    return data[row + column * matrix.stride];
  };
  visit_dtype<double, float>(c.dtype, [&]<class T>() {
    const T *first = b.as<T>().data, *second = a.as<T>().data;
    for (int64_t column = 0; column < p.out.columns; ++column)
      for (int64_t row = 0; row < p.out.rows; ++row) {
        T& out = element(c.as<T>().data, p.out, row, column);
        T sum = bias.empty() ? T(0) : bias.as<T>().data[row];
        for (int64_t k = 0; k < (p.transpose_first ? p.first.rows : p.first.columns); ++k)
          sum += (p.transpose_first ? element(first, p.first, k, row) : element(first, p.first, row, k)) *
                 (p.transpose_second ? element(second, p.second, column, k) : element(second, p.second, k, column));
        out = store == Grad::accumulate ? out + sum : sum;
      }
  });
}

TEST(Gemm, LayoutForColumnMajorLibraries) {
  const Backend plain{"plain_f64", DType::f64, {}, true};
  for (Form form : kForms)
    for (const auto& [m, n, k] :
         {std::array<int64_t, 3>{5, 7, 9}, {9, 5, 7}, {7, 9, 5}, {1, 4, 3}, {4, 1, 3}, {4, 3, 1}})
      for (int64_t gap : {0, 2})
        for (bool bias : {false, form == Form::nt}) {
          const Case c{form, m, n, k, gap, bias};
          EXPECT_EQ(problems(column_major, plain, c), "") << c;
        }
}

// The tests are tested: each of these ops is wrong in one way and must be found out.
TEST(GemmSabotage, IsFoundOut) {
  const Backend plain{"plain_f32", DType::f32, {}, true};
  const auto then = [](auto mischief) -> Op {
    return [=](Ctx& ctx, const Case& form, View c, CView a, CView b, CView bias, Grad store) {
      product(ctx, form, c, a, b, bias, store);
      mischief(c.as<float>(), const_cast<float*>(a.as<float>().data));
    };
  };
  const auto as = [](Grad asked, Grad done) -> Op {
    return [=](Ctx& ctx, const Case& form, View c, CView a, CView b, CView bias, Grad store) {
      product(ctx, form, c, a, b, bias, store == asked ? done : store);
    };
  };
  const Op without_bias = [](Ctx& ctx, const Case& form, View c, CView a, CView b, CView, Grad store) {
    product(ctx, form, c, a, b, {}, store);
  };
  for (Form form : kForms) {
    const Case c{form, 5, 7, 9, 2};
    EXPECT_EQ(problems(product, plain, c), "");
    EXPECT_THAT(problems(then([](Rows<float> out, float*) { out[4][6] += 1e-4f; }), plain, c),
                HasSubstr("overwrite: error"));
    EXPECT_THAT(problems(then([](Rows<float> out, float*) { out[1][7] = 0; }), plain, c), HasSubstr("a sentinel"));
    EXPECT_THAT(problems(then([](Rows<float>, float* a) { a[0] += 1; }), plain, c), HasSubstr("an input changed"));
    EXPECT_THAT(problems(as(Grad::overwrite, Grad::accumulate), plain, c), HasSubstr("overwrite: error nan"));
    EXPECT_THAT(problems(as(Grad::accumulate, Grad::overwrite), plain, c), HasSubstr("accumulate: error"));
  }
  EXPECT_THAT(problems(without_bias, plain, {Form::nt, 5, 7, 9, 2, true}), HasSubstr("overwrite: error"));
}

TEST(Gemm, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensor narrow({3, 6}, DType::f32), f64({3, 8}, DType::f64), empty({0, 8}, DType::f32), bias({3}, DType::f32);
  for (Form form : kForms) {
    const Case square{form, 8, 8, 8, 0};
    const Tensors t(square, DType::f32);
    const auto error = [&](View c, View a, View b, Grad store) {
      return error_of([&] { product(bench.ctx, square, c, a, b, {}, store); });
    };
    EXPECT_EQ(error(t.c, t.a, t.b, Grad::overwrite), "");
    const std::string start =
        std::string(name_of(form)) + ": expected matching shapes, dtypes and devices, and c apart, got c = ";
    EXPECT_EQ(error(t.c, t.a, t.b, Grad::skip), start + "f32 [8, 8], a = f32 [8, 8], b = f32 [8, 8]");
    EXPECT_EQ(error(narrow, t.a, t.b, Grad::overwrite), start + "f32 [3, 6], a = f32 [8, 8], b = f32 [8, 8]");
    EXPECT_EQ(error(t.c, narrow, t.b, Grad::overwrite), start + "f32 [8, 8], a = f32 [3, 6], b = f32 [8, 8]");
    EXPECT_EQ(error(t.c, t.a, narrow, Grad::overwrite), start + "f32 [8, 8], a = f32 [8, 8], b = f32 [3, 6]");
    EXPECT_THAT(error(t.c, f64, t.b, Grad::overwrite), HasSubstr("a = f64 [3, 8]"));
    EXPECT_THAT(error(empty, empty, t.b, Grad::overwrite), HasSubstr("a = f32 [0, 8]"));
    EXPECT_THAT(error(t.a, t.a, t.b, Grad::overwrite), HasSubstr("and c apart"));
  }
  const Tensors t({Form::nt, 8, 8, 8, 0}, DType::f32);
  EXPECT_THAT(error_of([&] { gemm_nt(bench.ctx, t.c, t.a, t.b, bias, Grad::overwrite); }),
              HasSubstr("gemm_nt: expected bias.shape == Shape{c.width()}"));
  EXPECT_THAT(error_of([&] { gemm_nt(bench.ctx, t.c, t.a, t.b, t.bias, Grad::accumulate); }),
              HasSubstr("gemm_nt: expected store == Grad::overwrite"));
  const Tensors t_bf16({Form::nt, 8, 8, 8, 0}, DType::bf16);
  const auto error = [&](View c, View a, View b, CView with) {
    return error_of([&] { gemm_nt(bench.ctx, c, a, b, with, Grad::overwrite); });
  };
  for (const Tensor* c : {&t_bf16.c, &t.c})
    EXPECT_EQ(error(*c, t_bf16.a, t_bf16.b, {}), "gemm_nt: has no CPU twin for bf16");
  EXPECT_THAT(error(t_bf16.c, t_bf16.a, t.b, {}), HasSubstr("a = bf16 [8, 8], b = f32 [8, 8]"));
  EXPECT_THAT(error(t_bf16.c, t.a, t.b, {}), HasSubstr("got c = bf16 [8, 8], a = f32 [8, 8]"));
  for (const auto& [c, with] : {std::pair{&t_bf16.c, &t.bias}, {&t.c, &t.bias}, {&t.c, &t_bf16.bias}})
    EXPECT_THAT(error(*c, t_bf16.a, t_bf16.b, *with),
                HasSubstr("bias.dtype == a.dtype && c.dtype == a.dtype, got bias = "));
}

}  // namespace
}  // namespace rw::test
