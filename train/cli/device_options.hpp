// Where a model that is not trained runs, and in which type.
#pragma once
#include <string>

#include "train/checkpoint/load_model.hpp"
#include "train/cli/command.hpp"

namespace rw::cli {

class DeviceOptions {
 public:
  void add(CLI::App& app);
  // The device, with a warning where auto takes the CPU. UserError(Exit::usage) if it cannot be had.
  Device choose() const;
  bool given() const { return device_ != "cpu" || !dtype_.empty(); }
  // LoadedModel::move_to. UserError(Exit::usage) if the model is not of the type that is asked for.
  void move(LoadedModel&, Device, int64_t length) const;

 private:
  std::string device_ = "cpu", dtype_;
};

}  // namespace rw::cli
