// A stream and the two arenas of a Ctx, sized by a dry run of what will be computed in them.
#pragma once
#include <functional>
#include <span>

#include "core/ctx.hpp"

namespace rw {

struct ArenaSizes {
  size_t saved = 0, scratch = 0;  // bytes
};

// The largest that any of `work` needs; each is run dry.
inline ArenaSizes measure(Device device, std::span<const std::function<void(Ctx&)>> work) {
  Arena saved = Arena::measuring("saved", device), scratch = Arena::measuring("scratch", device);
  Ctx ctx{.device = device, .saved = saved, .scratch = scratch, .dry = true};
  for (const auto& f : work) f(ctx);
  return {saved.peak(), scratch.peak()};
}

class Workspace {
 public:
  Workspace(Device device, ArenaSizes sizes)
      : stream_(device),
        saved_("saved", device, sizes.saved),
        scratch_("scratch", device, sizes.scratch),
        ctx{.device = device, .saved = saved_, .scratch = scratch_, .stream = stream_.get()} {}

 private:
  OwnStream stream_;
  Arena saved_, scratch_;

 public:
  Ctx ctx;
};

}  // namespace rw
