#include "train/cli/device_options.hpp"

#include <CLI/CLI.hpp>

#include "core/base/user_error.hpp"
#include "core/device/choose.hpp"

namespace rw::cli {

void DeviceOptions::add(CLI::App& app) {
  app.add_option("--device", device_, "where it runs: cpu, cuda, cuda:1, or auto")->capture_default_str();
  app.add_option("--dtype", dtype_, "f32 or, on a GPU, bf16; by default what the checkpoint is of")
      ->check(CLI::IsMember({"f32", "bf16"}));
}

Device DeviceOptions::choose() const {
  const ChosenDevice chosen = choose_device(device_);
  if (!chosen.why_cpu.empty()) print_warning("--device auto takes the CPU: " + chosen.why_cpu);
  if (chosen.device.kind == Device::cpu && dtype_ == "bf16")
    throw UserError(Exit::usage, "--dtype bf16 is for a GPU", "--device cuda, or leave out --dtype");
  return chosen.device;
}

void DeviceOptions::move(LoadedModel& loaded, Device device, int64_t length) const {
  const DType own = loaded.model.embedding.value.dtype;
  if (!dtype_.empty() && own != DType::f32)
    throw UserError(Exit::usage, "--dtype " + dtype_ + ", and " + loaded.folder.string() + " is of " + name_of(own),
                    "leave out --dtype");
  loaded.move_to(device, dtype_ == "bf16" ? DType::bf16 : DType::f32, length);
}

}  // namespace rw::cli
