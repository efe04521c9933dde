#include "train/cli/command.hpp"

namespace rw::cli {

Command presets_command();
Command config_show_command();
Command config_check_command();
Command config_diff_command();

std::vector<Command> commands() {
  return {presets_command(), config_show_command(), config_check_command(), config_diff_command()};
}

}  // namespace rw::cli
