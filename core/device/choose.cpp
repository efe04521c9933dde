#include "core/device/choose.hpp"

#include <charconv>
#include <optional>

#include "core/base/user_error.hpp"
#include "core/device/cuda.hpp"

namespace rw {
namespace {

constexpr int kLeastMajor = 8;  // of the compute capability: bf16 in matrix products, copies past the registers

// The index in "cuda" or "cuda:N".
std::optional<int> cuda_index(const std::string& name) {
  if (name == "cuda") return 0;
  constexpr std::string_view kBefore = "cuda:";
  if (!name.starts_with(kBefore)) return {};
  int index = 0;
  const char* const end = name.data() + name.size();
  const auto [last, error] = std::from_chars(name.data() + kBefore.size(), end, index);
  if (error != std::errc() || last != end || index < 0) return {};
  return index;
}

// Why no CUDA device can be used at all, and what to do; empty texts if one can.
struct Obstacle {
  std::string what, advice;
};
Obstacle obstacle() {
  if (!cuda::device_count)
    return {"this build has no CUDA",
            "build where cmake finds CUDA 12 or newer, as its output says; or use --device cpu"};
  if (const std::string problem = cuda::problem(); !problem.empty())
    return {"there is no CUDA device that can be used: " + problem,
            "nvidia-smi shows driver and devices; or use --device cpu"};
  return {};
}

// The same for one device.
Obstacle obstacle(int index) {
  if (Obstacle general = obstacle(); !general.what.empty()) return general;
  const int count = cuda::device_count();
  if (index >= count)
    return {"there is no cuda:" + std::to_string(index),
            "there are " + std::to_string(count) + ", cuda:0 to cuda:" + std::to_string(count - 1)};
  const cuda::DeviceInfo info = cuda::device_info(index);
  if (info.major < kLeastMajor)
    return {"cuda:" + std::to_string(index) + ", " + info.name + ", is too old",
            "its compute capability is " + std::to_string(info.major) + "." + std::to_string(info.minor) + ", and " +
                std::to_string(kLeastMajor) + ".0 is the least that kernels are built for"};
  return {};
}

}  // namespace

bool is_device_name(const std::string& name) { return name == "cpu" || name == "auto" || cuda_index(name).has_value(); }

ChosenDevice choose_device(const std::string& name) {
  if (name == "cpu") return {};
  if (name != "auto" && !cuda_index(name))
    throw UserError(Exit::usage, "unknown device '" + name + "'", "there are cpu, cuda, cuda:1 and so on, and auto");
  const int index = cuda_index(name).value_or(0);
  const Obstacle found = obstacle(index);
  if (found.what.empty()) return {.device = {Device::cuda, index}, .why_cpu = {}};
  if (name == "auto") return {.device = {}, .why_cpu = found.what};
  throw UserError(Exit::usage, "--device " + name + ": " + found.what, found.advice);
}

std::string device_name(Device device) {
  return device.kind == Device::cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

std::string describe(Device device) {
  if (device.kind == Device::cpu) return device_name(device);
  const cuda::DeviceInfo info = cuda::device_info(device.index);
  return device_name(device) + ", " + info.name + ", " + std::to_string(info.memory >> 30) + " GiB";
}

}  // namespace rw
