#pragma once
#include "core/device/stream.hpp"
#include "core/memory/arena.hpp"

namespace rw {

// What every op is told besides its tensors.
struct Ctx {
  Device device;
  Arena& saved;    // from a forward to its backward
  Arena& scratch;  // within one op, or one backward
  Stream stream{};
  bool dry = false;    // check, take from the arenas, compute nothing
  bool plain = false;  // on the CPU: plain twins instead of fast ones, to find out whose fault it is
};

// What backward does with a parameter's gradient. Activation gradients are always overwritten.
enum class Grad { skip, overwrite, accumulate };

// A parameter. Its shape is that of one tensor, which may be the concatenation along the first dimension of several
// tensors that files know by their own names (query, key and value projections, multiplied as one).
struct Param {
  struct Part {
    std::string name;
    int64_t rows;  // of the first dimension
  };

  std::vector<Part> parts;
  Shape shape;
  bool decay = true;    // weight decay applies
  double init_std = 0;  // standard deviation of the initial normal; with 0, `init_fill` everywhere
  double init_fill = 0;
  View value{}, grad{};  // grad has the accumulator type of value; both are empty until storage is bound

  const std::string& name() const { return parts.front().name; }
};

// What all layers have in common. forward and backward differ in their tensors, so the compiler checks their calls.
template <class L>
concept Layer = requires(L layer, void (*f)(Param&)) {
  typename L::Saved;
  layer.each(f);
};

template <class... V>
bool on_device(const Ctx& ctx, const V&... views) {  // empty views are everywhere
  return ((views.empty() || views.device == ctx.device) && ...);
}

}  // namespace rw
