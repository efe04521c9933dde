#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "layers/attention/attention_test.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

struct AttentionErrors : testing::Test {
  Bench bench{{"plain_f32", DType::f32, {}, true}};
  AttentionTensors t{{2, 2, 2, 3, 1, 4, 5, true}, DType::f32};  // q [2, 3, 16], k [2, 4, 8], v [2, 4, 10], o [2, 3, 20]
  const Tensor q_f64{{2, 3, 16}, DType::f64}, k_f64{{2, 4, 8}, DType::f64}, v_f64{{2, 4, 10}, DType::f64};
  const Tensor o_f64{{2, 3, 20}, DType::f64}, lse_f64{{2, 3, 4}, DType::f64}, q_i32{{2, 3, 16}, DType::i32};
  const Tensor far{{2, 3, 20}, {DType::f32, {Device::cuda, 0}}}, k_far{{2, 4, 8}, {DType::f32, {Device::cuda, 0}}};

  static View of_shape(View v, Shape shape) {
    v.shape = shape, v.row_stride = shape.width();
    return v;
  }
  std::vector<Wrong> wrong_inputs(size_t q) const {  // q, k, v are arguments q, q + 1, q + 2
    return {
        {q, of_shape(t.q, {6, 16}), "expected three dimensions, got q = f32 [6, 16], k = f32 [2, 4, 8]"},
        {q, of_shape(t.q, {2, 3, 15}), "expected q's width a multiple of head_width > 0, got head_width = 4"},
        {q + 1, of_shape(t.k, {2, 4, 7}), "expected k's width a multiple of head_width, got head_width = 4"},
        {q, of_shape(t.q, {2, 3, 12}), "expected as many or several times as many query heads as key heads"},
        {q + 2, of_shape(t.v, {2, 4, 9}), "expected v's width a multiple of the key heads, got v = f32 [2, 4, 9]"},
        {q + 1, of_shape(t.k, {1, 4, 8}), "expected one batch size and as many values as keys"},
        {q + 2, of_shape(t.v, {2, 3, 10}), "expected one batch size and as many values as keys"},
        {q, of_shape(t.q, {2, 0, 16}), "expected at least one query and no more than keys"},
        {q, of_shape(t.q, {2, 5, 16}), "expected at least one query and no more than keys, got q = f32 [2, 5, 16]"},
        {q, q_i32, "expected f64, f32 or bf16, got q = i32 [2, 3, 16]"},
        {q + 1, k_f64, "expected one dtype, got q = f32 [2, 3, 16], k = f64 [2, 4, 8], v = f32 [2, 4, 10]"},
        {q + 2, v_f64, "expected one dtype"},
        {q + 1, k_far, "expected all on the context's device, got q = f32 [2, 3, 16], k = f32 [2, 4, 8] on cuda"},
    };
  }
  std::vector<std::pair<AttentionOpt, const char*>> wrong_options() const {
    auto width = t.opt(), scale = t.opt(), shape = t.opt(), dtype = t.opt();
    width.head_width = 0;
    scale.scale = std::numeric_limits<double>::infinity();
    shape.first_key = of_shape(t.first_key, {2, 3});
    dtype.first_key = of_shape(t.lse, {2, 4});
    auto factor = t.opt(), one_far = t.opt(), far_shape = t.opt(), far_device = t.opt(), near = t.opt();
    auto window = t.opt(), sinks = t.opt();
    factor.factor = t.lse;
    one_far.q_far = t.q_far;
    far_shape.q_far = t.q_far, far_shape.k_far = t.v;
    far_device.q_far = t.q_far, far_device.k_far = k_far;
    near.near = window.window = sinks.sinks = -1;
    return {
        {factor, "expected the accumulator dtype of q, [B, Tq], dense, got factor = f32 [2, 3, 4], q = f32 [2, 3, 16]"},
        {one_far, "expected both branches' queries and keys, got q_far = f32 [2, 3, 16]"},
        {far_shape, "expected a far branch like the near one, got q_far = f32 [2, 3, 16], k_far = f32 [2, 4, 10]"},
        {far_device, "expected all on the context's device, got factor = "},
        {near, "expected near, window and sinks at least 0, got near = -1, window = 0, sinks = 0"},
        {window, "got near = 0, window = -1, sinks = 0"},
        {sinks, "got near = 0, window = 0, sinks = -1"},
        {width, "expected q's width a multiple of head_width > 0, got head_width = 0"},
        {scale, "expected a finite scale, got scale = inf"},
        {shape, "expected i32 [B, Tk], dense, got first_key = i32 [2, 3], k = f32 [2, 4, 8]"},
        {dtype, "expected i32 [B, Tk], dense, got first_key = f32 [2, 4]"}};
  }
  template <class F>
  static void check(const char* op, const F& error, std::vector<View> right, const std::vector<Wrong>& wrong) {
    EXPECT_EQ(error(right), "");
    for (const auto& [argument, instead, message] : wrong) {
      auto views = right;
      views[argument] = instead;
      EXPECT_THAT(error(views), AllOf(StartsWith(op), HasSubstr(message)));
    }
  }
};

TEST_F(AttentionErrors, ForwardNamesWhatIsWrong) {
  const std::vector<View> right = {t.o, t.lse, t.q, t.k, t.v};
  const auto error_with = [&](const std::vector<View>& v, const AttentionOpt& opt) {
    return error_of([&] { attention_forward(bench.ctx, v[0], v[1], v[2], v[3], v[4], opt); });
  };
  const auto error = [&](const std::vector<View>& v) { return error_with(v, t.opt()); };
  check("attention_forward: ", error, right, wrong_inputs(2));
  check("attention_forward: ", error, right,
        {
            {0, t.q, "expected o.shape == of_o && o.dtype == q.dtype, got o = f32 [2, 3, 16], q = f32 [2, 3, 16]"},
            {0, o_f64, "expected o.shape == of_o && o.dtype == q.dtype, got o = f64 [2, 3, 20]"},
            {1, t.q, "expected lse.shape == of_lse && lse.dtype == accumulator(q.dtype), got lse = f32 [2, 3, 16]"},
            {1, lse_f64, "expected lse.shape == of_lse"},
            {0, far, "expected on_device(ctx, o, lse), got o = f32 [2, 3, 20] on cuda"},
            {0, of_shape(t.q, {2, 3, 20}),
             "expected disjoint_from_all(o, q, k, v, opt.first_key, opt.factor, opt.q_far, opt.k_far)"},
            {1, of_shape(t.o, {2, 3, 4}), "expected disjoint_from_all(lse, o, q, k, v, opt.first_key, opt.factor"},
        });
  for (const auto& [opt, message] : wrong_options())
    EXPECT_THAT(error_with(right, opt), AllOf(StartsWith("attention_forward: "), HasSubstr(message)));
}

TEST_F(AttentionErrors, BackwardNamesWhatIsWrong) {
  const std::vector<View> right = {t.dq, t.dk, t.dv, t.do_, t.o, t.lse, t.q, t.k, t.v, {}, {}};
  attention_forward(bench.ctx, t.o, t.lse, t.q, t.k, t.v, t.opt());
  const auto error_with = [&](const std::vector<View>& v, const AttentionOpt& opt) {
    return error_of(
        [&] { attention_backward(bench.ctx, v[0], v[1], v[2], v[9], v[10], v[3], v[4], v[5], v[6], v[7], v[8], opt); });
  };
  const auto error = [&](const std::vector<View>& v) { return error_with(v, t.opt()); };
  check("attention_backward: ", error, right, wrong_inputs(6));
  check("attention_backward: ", error, right,
        {
            {0, t.o, "expected dq.shape == q.shape && dq.dtype == q.dtype, got dq = f32 [2, 3, 20]"},
            {0, q_f64, "expected dq.shape == q.shape && dq.dtype == q.dtype, got dq = f64 [2, 3, 16]"},
            {1, t.dv, "expected dk.shape == k.shape && dk.dtype == q.dtype, got dk = f32 [2, 4, 10]"},
            {1, k_f64, "expected dk.shape == k.shape && dk.dtype == q.dtype"},
            {2, t.dk, "expected dv.shape == v.shape && dv.dtype == q.dtype, got dv = f32 [2, 4, 8]"},
            {2, v_f64, "expected dv.shape == v.shape && dv.dtype == q.dtype"},
            {3, t.q, "expected do_.shape == of_o && do_.dtype == q.dtype, got do_ = f32 [2, 3, 16]"},
            {3, o_f64, "expected do_.shape == of_o"},
            {4, t.q, "expected o.shape == of_o && o.dtype == q.dtype, got o = f32 [2, 3, 16]"},
            {4, o_f64, "expected o.shape == of_o"},
            {5, t.q, "expected lse.shape == of_lse && lse.dtype == accumulator(q.dtype), got lse = f32 [2, 3, 16]"},
            {5, lse_f64, "expected lse.shape == of_lse"},
            {3, far, "expected on_device(ctx, dq, dk, dv, dq_far, dk_far, do_, o, lse)"},
            {0, t.q, "expected apart(dq), got"},
            {1, t.k, "expected apart(dk, dq), got"},
            {2, t.v, "expected apart(dv, dk, dq), got"},
            {9, t.dq_far, "expected dq_far.empty() == opt.q_far.empty() && dk_far.empty() == opt.k_far.empty()"},
        });
  for (const auto& [opt, message] : wrong_options())
    EXPECT_THAT(error_with(right, opt), AllOf(StartsWith("attention_backward: "), HasSubstr(message)));
}

TEST_F(AttentionErrors, ThereIsNoTwinForBf16) {
  const AttentionTensors b({1, 1, 1, 3, 1, 4, 5}, DType::bf16);
  EXPECT_THAT(error_of([&] { attention_forward(bench.ctx, b.o, b.lse, b.q, b.k, b.v, b.opt()); }),
              StartsWith("attention_forward: has no CPU twin for bf16"));
  EXPECT_THAT(error_of([&] {
                attention_backward(bench.ctx, b.dq, b.dk, b.dv, {}, {}, b.do_, b.o, b.lse, b.q, b.k, b.v, b.opt());
              }),
              StartsWith("attention_backward: has no CPU twin for bf16"));
}

TEST(AttentionErrorsOnAGpu, NameWhatIsMissing) {
  const Device device{Device::cuda, 0};
  Arena saved = Arena::measuring("saved", device), scratch = Arena::measuring("scratch", device);
  Ctx ctx{.device = device, .saved = saved, .scratch = scratch};
  const auto errors = [&](const AttentionTensors& t) {
    return std::array{error_of([&] { attention_forward(ctx, t.o, t.lse, t.q, t.k, t.v, t.opt()); }), error_of([&] {
                        attention_backward(ctx, t.dq, t.dk, t.dv, {}, {}, t.do_, t.o, t.lse, t.q, t.k, t.v, t.opt());
                      })};
  };
  EXPECT_THAT(errors({{1, 1, 1, 3, 1, 4, 5}, {DType::f64, device}}),
              ElementsAre(StartsWith("attention_forward: has no CUDA twin"),
                          StartsWith("attention_backward: has no CUDA twin")));
  const auto wide = [](const char* got) {
    return HasSubstr(std::string("heads of at most 256 columns on a GPU, got ") + got);
  };
  EXPECT_THAT(errors({{1, 1, 1, 3, 1, 257, 5}, {DType::f32, device}}), Each(wide("d = 257, e = 5")));
  EXPECT_THAT(errors({{1, 1, 1, 3, 1, 4, 260}, {DType::f32, device}}), Each(wide("d = 4, e = 260")));
  EXPECT_THAT(errors({{1, 1, 1, 3, 1, 4, 260}, {DType::bf16, device}}), Each(wide("d = 4, e = 260")));
  const AttentionTensors b({1, 1, 1, 3, 1, 4, 5}, {DType::bf16, device});
  const Tensor factor({1, 3}, {DType::bf16, device});
  AttentionOpt opt = b.opt();
  opt.factor = factor;
  EXPECT_THAT(error_of([&] { attention_forward(ctx, b.o, b.lse, b.q, b.k, b.v, opt); }),
              HasSubstr("expected the accumulator dtype of q, [B, Tq], dense, got factor = bf16 [1, 3]"));
}

}  // namespace
}  // namespace rw::test
