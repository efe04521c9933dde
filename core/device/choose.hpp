// Where to run, as users say it: "cpu"; "cuda", the first CUDA device; "cuda:1"; "auto", cuda if there is one that can
// be used, else the CPU.
#pragma once
#include <string>

#include "core/tensor/view.hpp"

namespace rw {

bool is_device_name(const std::string& name);

struct ChosenDevice {
  Device device;
  std::string why_cpu;  // with "auto", where it is the CPU
};
// UserError(Exit::usage) if there is no such device, or it cannot be used.
ChosenDevice choose_device(const std::string& name);

std::string device_name(Device);  // "cpu", "cuda:0"
std::string describe(Device);     // of a CUDA device: "cuda:0, NVIDIA H200, 139 GiB"

}  // namespace rw
