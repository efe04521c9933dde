// Token ids and positions: an i32 tensor read in row order, whatever its shape and stride.
#pragma once
#include "core/ctx.hpp"

namespace rw {

class Indices {
 public:
  explicit Indices(CView v) : rows_(v.as<int32_t>()), width_(v.width()) {}
  constexpr int64_t operator[](int64_t i) const { return rows_[i / width_][i % width_]; }

 private:
  Rows<const int32_t> rows_;
  int64_t width_;
};

// Throws Error, naming the first of them, if an index is outside [0, count). In a dry run there is nothing to look at,
// and on a GPU looking would mean to wait for it: there the twins make NaN of a row whose index is outside.
inline void check_indices(const char* op, const char* name, const Ctx& ctx, CView index, int64_t count) {
  if (ctx.dry || ctx.device.kind != Device::cpu) return;
  const Indices at(index);
  for (int64_t i = 0; i < index.shape.elements(); ++i) {
    if (0 <= at[i] && at[i] < count) continue;
    std::ostringstream text;
    text << op << ": expected every " << name << " in [0, " << count << "), got " << name << '[' << i
         << "] = " << at[i];
    throw Error(text.str());
  }
}

}  // namespace rw
