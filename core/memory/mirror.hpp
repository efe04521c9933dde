// A tensor that the host fills or reads, and that ops take: on the CPU one buffer, on a device two, of which the host's
// is made when it is first asked for, in memory that copies need not wait for.
#pragma once
#include <memory>

#include "core/ctx.hpp"

namespace rw {

class Mirror {
 public:
  Mirror() = default;
  Mirror(Device device, Shape shape, DType dtype) : on_device_(device, shape, dtype) {}

  View device() const { return on_device_; }
  View host() const;

  // Put on the context's stream; on the CPU neither does anything. The host's half has to be left alone until the
  // stream was waited for.
  void upload(const Ctx&) const;
  void download(const Ctx&) const;

 private:
  struct Release {
    void operator()(std::byte*) const;
  };
  Buffer on_device_;
  mutable std::unique_ptr<std::byte, Release> pinned_;
};

}  // namespace rw
