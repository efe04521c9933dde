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

// The sections of a pretraining.
inline constexpr auto kAllSections = {Section::model, Section::positions, Section::data,
                                      Section::train, Section::optimizer, Section::run};

// One option for each setting of the sections but those of `without`; what is given goes to `layer`.
void add_setting_options(CLI::App& app, ConfigLayer& layer, std::initializer_list<Section> sections,
                         std::initializer_list<std::string_view> without = {});

class SettingsOptions {
 public:
  // May be called only once. `without`: settings of these sections that the command gives itself, or must not have.
  void add(CLI::App& app, std::initializer_list<Section> sections,
           std::initializer_list<std::string_view> without = {});

  // --config files, environment and command line, lowest first.
  std::vector<ConfigLayer> layers() const;
  Resolved resolve() const;  // of all of them; throws the first problem

 private:
  std::vector<std::string> files_;
  ConfigLayer command_line_;
};

}  // namespace rw::cli
