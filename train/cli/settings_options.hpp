// The options of a command that takes settings: one for each setting of the sections, --config FILE, and the
// environment.
#pragma once
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "train/cli/command.hpp"
#include "train/config/layers.hpp"

namespace rw::cli {

class SettingsOptions {
 public:
  // May be called only once. `without`: settings of these sections that the command gives itself, or must not have.
  void add(CLI::App& app, std::initializer_list<Section> sections,
           std::initializer_list<std::string_view> without = {});

  // Preset, --config files, environment and command line. `under`: files below all of these, as a run's run.toml.
  // Throws the first problem; with `problems`, collects all.
  Resolved resolve(const std::vector<std::filesystem::path>& under = {},
                   std::vector<UserError>* problems = nullptr) const;

 private:
  std::vector<std::string> files_;
  ConfigLayer command_line_;
};

}  // namespace rw::cli
