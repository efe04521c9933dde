#pragma once
#include <cmath>

#include "optim/adamw.hpp"

namespace rw {

// What an element's update needs of the options, each rounded once to f32.
struct AdamWNumbers {
  float beta1, beta2, rest1, rest2;  // rest: 1 - β
  float keep;                        // 1 - lr · weight_decay
  float lr;                          // lr / (1 - β1^t)
  float inverse_root;                // 1 / √(1 - β2^t)
  float eps;
};

inline AdamWNumbers adamw_numbers(const AdamWOpt& opt) {
  const auto step = static_cast<double>(opt.step);
  const auto single = [](double value) { return static_cast<float>(value); };
  return {.beta1 = single(opt.beta1),
          .beta2 = single(opt.beta2),
          .rest1 = single(1 - opt.beta1),
          .rest2 = single(1 - opt.beta2),
          .keep = single(1 - opt.lr * opt.weight_decay),
          .lr = single(opt.lr / (1 - std::pow(opt.beta1, step))),
          .inverse_root = single(1 / std::sqrt(1 - std::pow(opt.beta2, step))),
          .eps = single(opt.eps)};
}

}  // namespace rw
