#include "core/device/vocabulary.cuh"
#include "layers/rotary/log_n_factor.hpp"

namespace rw {
namespace {

// One thread for each element.
__global__ void log_n_factor_kernel(Rows<float> factor, Rows<const int32_t> position, int64_t elements, int64_t width,
                                    int64_t least, double log_n) {
  for (int64_t i = first_of_grid(); i < elements; i += step_of_grid()) {
    const int64_t r = i / width, c = i % width, n = int64_t{position[r][c]} + 1;
    factor[r][c] = static_cast<float>(log(static_cast<double>(n > least ? n : least)) / log_n);
  }
}

}  // namespace

void cuda::log_n_factor(Ctx& ctx, View factor, CView position, int64_t least, int64_t trained) {
  const int64_t elements = factor.shape.elements();
  launch<log_n_factor_kernel>(ctx, grid_over(elements), dim3(kGridThreads), 0, factor.as<float>(),
                              position.as<int32_t>(), elements, factor.width(), least,
                              std::log(static_cast<double>(trained)));
}

}  // namespace rw
