// Settings as commented TOML, for run.toml, `config show` and `presets`, and the difference of two.
#pragma once
#include "train/config/layers.hpp"

namespace rw {

struct TomlOptions {
  bool explain = false;               // above each value what it means and where its default is from
  std::string_view only_origin = {};  // leave out what is from elsewhere
};

// Reads back (parse_toml, resolve) to the same settings, bit for bit. Behind each value stands its origin.
std::string to_toml(const Resolved& resolved, const TomlOptions& options = {});

// As parse_toml, of a run.toml: each value has the origin that stands behind it.
ConfigLayer parse_run_toml(std::string_view text);

struct SettingDifference {
  std::string name, before, after;
  bool may_change_on_resume;
};
std::vector<SettingDifference> settings_difference(const Settings& before, const Settings& after);

// Throws UserError(Exit::usage) that names every difference that would make another run of it: all but how long the run
// is, how often it logs, evaluates and saves, and where.
void check_resume(const Settings& saved, const Resolved& now);

}  // namespace rw
