// The one place that picks a twin. An op's .cpp says, after its checks,
//   dispatch<cpu::f, fast::f, cuda::f>(__func__, ctx, x.dtype, y, x, ...);
// with `no_twin` where the op has none. `cpu` twins are plain, for f64 and f32; `fast` twins are for f32 on the CPU
// (Highway or oneDNN); `cuda` twins for a GPU, in f32 and bf16: declared [[gnu::weak]], so that a build without
// them links, and finds a null here. A missing twin is an error, never a fallback; only between the two CPU twins there
// is a choice, and ctx.plain makes it.
//
// Where tensors are bf16, activations, their gradients and weights, all else that an op takes is of the accumulator
// dtype, f32: statistics of rows, losses, partial sums, gradients of parameters, rotary tables, factors of queries.
// Arithmetic is in f32; what is stored is rounded to nearest, once.
#pragma once
#include "core/base/isa.hpp"
#include "core/ctx.hpp"

namespace rw {

inline constexpr std::nullptr_t no_twin = nullptr;

template <auto cpu, auto fast = no_twin, auto cuda = no_twin, class... Args>
void dispatch(const char* op, Ctx& ctx, DType dtype, Args... args) {
  if (ctx.dry) return;
  if (ctx.device.kind == Device::cuda) {
    if constexpr (!std::is_null_pointer_v<decltype(cuda)>) {
      if (cuda != nullptr) {
        if (dtype == DType::f64) throw Error(std::string(op) + ": has no CUDA twin for f64");
        return cuda(ctx, args...);
      }
    }
    throw Error(std::string(op) + ": has no CUDA twin in this build");
  }
  if (dtype == DType::bf16) throw Error(std::string(op) + ": has no CPU twin for bf16");
  if constexpr (!std::is_null_pointer_v<decltype(fast)>) {
    if (dtype == DType::f32 && !ctx.plain) {
      limit_isa_once();
      return fast(ctx, args...);
    }
  }
  cpu(ctx, args...);
}

// The type of a twin: that of the op, and the scratch views that the op's .cpp took for it.
template <class Op, class... Scratch>
struct TwinOf;
template <class... Args, class... Scratch>
struct TwinOf<void(Args...), Scratch...> {
  using type = void(Args..., Scratch...);
};
template <class Op, class... Scratch>
using Twin = typename TwinOf<Op, Scratch...>::type;

}  // namespace rw
