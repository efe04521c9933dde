#include "train/cli/settings_options.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace rw::cli {

void add_setting_options(CLI::App& app, ConfigLayer& layer, std::initializer_list<Section> sections,
                         std::initializer_list<std::string_view> without) {
  Settings defaults;
  visit_settings(defaults, [&](const Setting& setting, const Field& field) {
    if (std::ranges::find(sections, setting.section) == sections.end()) return;
    if (std::ranges::find(without, setting.name) != without.end()) return;
    const std::string name(setting.name), option = option_name(name);
    const auto assign = [&layer, name, option](const std::string& text) {
      layer.assign(name, text, option, "command line");
    };
    CLI::Option* added = nullptr;
    if (setting.unit == Unit::flag) {
      added = app.add_flag_function(
          option + ",!--no-" + option.substr(2), [assign](int64_t count) { assign(count > 0 ? "true" : "false"); },
          std::string(setting.help));
      added->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    } else {
      added = app.add_option_function<std::string>(option, assign, std::string(setting.help));
      added->type_name(value_form(setting.unit, field));
    }
    added->group("[" + std::string(section_name(setting.section)) + "]");
    const std::string text = field_text(setting.unit, field);
    added->default_str(setting.from_size            ? "from --size"
                       : setting.unit == Unit::flag ? (text == "true" ? "on" : "off")
                                                    : text);
  });
}

void SettingsOptions::add(CLI::App& app, std::initializer_list<Section> sections,
                          std::initializer_list<std::string_view> without) {
  app.add_option("--config", files_, "TOML file of settings; of several, later ones win")
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_setting_options(app, command_line_, sections, without);
}

std::vector<ConfigLayer> SettingsOptions::layers() const {
  std::vector<ConfigLayer> layers;
  for (const std::string& file : files_) layers.push_back(read_toml(file));
  layers.push_back(read_environment(environ));
  layers.push_back(command_line_);
  return layers;
}

Resolved SettingsOptions::resolve() const { return rw::resolve(layers()); }

}  // namespace rw::cli
