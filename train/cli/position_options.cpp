#include "train/cli/position_options.hpp"

#include <CLI/CLI.hpp>

#include "train/cli/settings_options.hpp"

namespace rw::cli {

void PositionOptions::add(CLI::App& app) {
  add_setting_options(app, layer_, {Section::positions}, {"rope_layout", "rope_share", "trained_context"});
  for (CLI::Option* option : app.get_options())
    if (option->get_group() == "[positions]")
      option->default_str("the model's")->group("[positions], for this use only");
}

const std::vector<Assignment>& PositionOptions::changes() const {
  if (!layer_.problems.empty()) throw layer_.problems.front();
  return layer_.values;
}

}  // namespace rw::cli
