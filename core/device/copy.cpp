#include "core/device/copy.hpp"

#include <cstring>

#include "core/device/cuda.hpp"

namespace rw {

void copy(const Ctx& ctx, View to, CView from) {
  RW_CHECK(to.rows() == from.rows() && to.width() == from.width() && to.dtype == from.dtype, to, from);
  for (const Device device : {to.device, from.device})
    RW_CHECK(device.kind == Device::cpu || device == ctx.device, to, from);
  if (to.rows() == 0) return;
  RW_CHECK(disjoint(to, from), to, from);
  if (ctx.dry) return;
  const size_t element = size_of(to.dtype);
  const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements) * element; };
  const cuda::CopyRows request{.to = to.data,
                               .from = from.data,
                               .to_stride = bytes(to.row_stride),
                               .from_stride = bytes(from.row_stride),
                               .width = bytes(to.width()),
                               .rows = static_cast<size_t>(to.rows())};
  if (to.device.kind == Device::cuda || from.device.kind == Device::cuda) {
    cuda::copy(ctx.device.index, ctx.stream.native, request);
    return;
  }
  for (size_t r = 0; r < request.rows; ++r)
    std::memcpy(to.data + r * request.to_stride, from.data + r * request.from_stride, request.width);
}

void fill_zero(const Ctx& ctx, View v) {
  RW_CHECK(v.device == ctx.device && (v.rows() <= 1 || v.row_stride == v.width()), v);
  if (ctx.dry) return;
  const size_t bytes = static_cast<size_t>(v.shape.elements()) * size_of(v.dtype);
  if (ctx.device.kind == Device::cuda)
    cuda::fill_zero(ctx.device.index, ctx.stream.native, v.data, bytes);
  else
    std::memset(v.data, 0, bytes);
}

void synchronize(const Ctx& ctx) {
  if (!ctx.dry && ctx.device.kind == Device::cuda) cuda::synchronize(ctx.device.index, ctx.stream.native);
}

}  // namespace rw
