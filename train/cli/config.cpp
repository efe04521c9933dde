#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "train/cli/settings_options.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/validate.hpp"

namespace rw::cli {
namespace {

struct ConfigShow {
  SettingsOptions settings;
  bool explain = false;

  void add_options(CLI::App& app) {
    app.add_flag("--explain", explain, "what each setting means, and where its default is from");
    settings.add(app, kAllSections);
  }

  Exit run(const Global& global) {
    const Resolved resolved = settings.resolve();
    if (global.json) {
      nlohmann::ordered_json json;
      Settings copy = resolved.settings;
      visit_settings(copy, [&](const Setting& setting, const Field& field) {
        auto& entry = json[std::string(section_name(setting.section))][std::string(setting.name)];
        if (const auto* i = std::get_if<int64_t*>(&field))
          entry["value"] = **i;
        else if (const auto* x = std::get_if<double*>(&field))
          entry["value"] = **x;
        else if (const auto* b = std::get_if<bool*>(&field))
          entry["value"] = **b;
        else
          entry["value"] = field_text(setting.unit, field);
        entry["origin"] = resolved.origins.at(std::string(setting.name));
      });
      print(json.dump() + "\n");
    } else {
      print(to_toml(resolved, {.explain = explain}));
    }
    validate(resolved);
    return Exit::ok;
  }
};

struct ConfigCheck {
  std::vector<std::string> files;

  void add_options(CLI::App& app) { app.add_option("FILE", files, "TOML files, each looked at by itself")->required(); }

  Exit run(const Global& global) {
    Exit exit = Exit::ok;
    for (const std::string& file : files) {
      const ConfigLayer layer = read_toml(file);
      std::vector<UserError> problems;
      const Resolved resolved = resolve(std::vector{layer}, &problems);
      for (const UserError& problem : problems_of(resolved)) problems.push_back(problem);
      if (!problems.empty()) exit = Exit::usage;
      if (global.json) {
        nlohmann::ordered_json json = {{"file", file}, {"problems", nlohmann::ordered_json::array()}};
        for (const UserError& problem : problems)
          json["problems"].push_back({{"what", problem.what()}, {"advice", problem.advice}});
        print(json.dump() + "\n");
      } else if (problems.empty()) {
        print(file + ": no problem\n");
      } else {
        for (const UserError& problem : problems) print_error(problem);
      }
    }
    return exit;
  }
};

struct Diff {
  std::string first, second;

  void add_options(CLI::App& app) {
    app.add_option("A", first, "TOML file or run folder")->required();
    app.add_option("B", second, "TOML file or run folder")->required();
  }

  static Settings settings_of(const std::filesystem::path& path) {
    const ConfigLayer layer = read_toml(std::filesystem::is_directory(path) ? path / "run.toml" : path);
    return resolve(std::vector{layer}).settings;
  }

  Exit run(const Global& global) {
    const auto differences = settings_difference(settings_of(first), settings_of(second));
    if (global.json) {
      nlohmann::ordered_json json = nlohmann::ordered_json::array();
      for (const SettingDifference& d : differences)
        json.push_back({{"name", d.name}, {"a", d.before}, {"b", d.after}});
      print(json.dump() + "\n");
    } else {
      std::string out = differences.empty() ? "no difference\n" : "";
      for (const SettingDifference& d : differences) {
        std::string name = d.name;
        name.resize(std::max<size_t>(name.size(), 16), ' ');
        const auto shown = [](const std::string& text) { return text.empty() ? std::string("\"\"") : text; };
        out += name + "  " + shown(d.before) + " -> " + shown(d.after) + "\n";
      }
      print(out);
    }
    return Exit::ok;
  }
};

}  // namespace

Command config_show_command() {
  return make_command<ConfigShow>(
      "config show", "the settings that a command would run with, and where each is from",
      "ropewalk config show --size 15m --lr 1e-3\nropewalk config show --config my.toml --explain\n");
}

Command config_check_command() {
  return make_command<ConfigCheck>("config check", "list all problems of configuration files",
                                   "ropewalk config check my.toml\n");
}

Command config_diff_command() {
  return make_command<Diff>("config diff", "settings that differ between two files or runs",
                            "ropewalk config diff runs/a runs/b\nropewalk config diff my.toml runs/a\n");
}

}  // namespace rw::cli
