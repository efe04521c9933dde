#include "core/memory/mirror.hpp"

#include <cstring>

#include "core/device/copy.hpp"
#include "core/device/cuda.hpp"

namespace rw {

void Mirror::Release::operator()(std::byte* memory) const { cuda::release_pinned(memory); }

View Mirror::host() const {
  View view = on_device_;
  if (view.device.kind == Device::cpu) return view;
  const size_t bytes = static_cast<size_t>(view.shape.elements()) * size_of(view.dtype);
  if (!pinned_) {
    pinned_.reset(cuda::allocate_pinned(bytes));
    if (!pinned_)
      throw UserError(Exit::memory, "cannot allocate " + std::to_string(bytes >> 20) + " MiB of pinned memory",
                      "the machine has not enough free memory beside that of the device");
    std::memset(pinned_.get(), 0, bytes);
  }
  view.data = pinned_.get(), view.device = {};
  return view;
}

void Mirror::upload(const Ctx& ctx) const {
  if (device().device.kind == Device::cuda) copy(ctx, device(), host());
}

void Mirror::download(const Ctx& ctx) const {
  if (device().device.kind == Device::cuda) copy(ctx, host(), device());
}

}  // namespace rw
