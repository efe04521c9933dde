// σ and Φ in vectors, for the fast twins of this folder. Included once for each instruction set, like
// core/math/simd-inl.hpp. A NaN may come out as a number: callers multiply by the argument, which brings it back.
#if defined(RW_LAYERS_MLP_ACTIVATION_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef RW_LAYERS_MLP_ACTIVATION_INL_HPP
#undef RW_LAYERS_MLP_ACTIVATION_INL_HPP
#else
#define RW_LAYERS_MLP_ACTIVATION_INL_HPP
#endif
#include <hwy/contrib/math/math-inl.h>

#include "core/math/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace rw::HWY_NAMESPACE {

inline constexpr float kExpLimit = 87;  // e^±87 is a normal number

// σ(z) = 1 / (1 + e^-z), and rest = 1 - σ(z) without cancellation.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> z, hn::Vec<D>& rest) {
  const auto one = hn::Set(d, 1.0f);
  const auto e = hn::Exp(d, hn::Neg(hn::Clamp(z, hn::Set(d, -kExpLimit), hn::Set(d, kExpLimit))));
  const auto sigma = hn::Div(one, hn::Add(one, e));
  rest = hn::Mul(e, sigma);
  return sigma;
}

// Φ(x), the standard normal distribution, and bell = e^(-x²/2). With a = |x| and t = 1 / (1 + 0.27 a),
//   Φ(-a) = bell · t · P(t),
// where P, of degree 8, interpolates Φ(-a) e^(a²/2) / t at the Chebyshev nodes of a = 0 .. 13.3 (where bell ends);
// its relative error is below 3e-8. So small Φ keep their relative precision.
template <class D>
HWY_INLINE hn::Vec<D> normal_cdf(D d, hn::Vec<D> x, hn::Vec<D>& bell) {
  constexpr float kP[] = {1.0772074997e-1f,  1.0754118838e-1f, 1.0182118862e-1f,  7.2020983343e-2f, 1.0785011627e-1f,
                          -6.9171506833e-2f, 1.6967931808e-1f, -1.2639722089e-1f, 2.8935147048e-2f};
  const auto one = hn::Set(d, 1.0f);
  const auto half_square = hn::Mul(hn::Mul(x, x), hn::Set(d, 0.5f));
  bell = hn::Exp(d, hn::Neg(hn::Min(half_square, hn::Set(d, kExpLimit))));
  const auto t = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, 0.27f), one));
  auto p = hn::Set(d, kP[8]);
  for (int i = 7; i >= 0; --i) p = hn::MulAdd(p, t, hn::Set(d, kP[i]));
  const auto tail = hn::Mul(bell, hn::Mul(t, p));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

}  // namespace rw::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
