#include "layers/rotary/log_n_factor.hpp"

#include "core/tensor/indices.hpp"

namespace rw {

void log_n_factor(Ctx& ctx, View factor, CView position, int64_t least, int64_t trained) {
  RW_CHECK(factor.shape == position.shape && factor.shape.elements() > 0, factor, position);
  RW_CHECK(position.dtype == DType::i32 && (factor.dtype == DType::f64 || factor.dtype == DType::f32), factor,
           position);
  RW_CHECK(on_device(ctx, factor, position) && disjoint(factor, position), factor, position);
  RW_CHECK(least >= 1 && trained >= 2, least, trained);
  check_indices(__func__, "position", ctx, position, int64_t{1} << 31);
  dispatch<cpu::log_n_factor, no_twin, cuda::log_n_factor>(__func__, ctx, factor.dtype, factor, position, least,
                                                           trained);
}

}  // namespace rw
