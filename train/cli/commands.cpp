#include "train/cli/command.hpp"

namespace rw::cli {

Command pretrain_command();
Command resume_command();
Command eval_command();
Command generate_command();
Command inspect_command();
Command estimate_command();
Command presets_command();
Command config_show_command();
Command config_check_command();
Command config_diff_command();

std::vector<Command> commands() {
  return {pretrain_command(), resume_command(),  eval_command(),        generate_command(),     inspect_command(),
          estimate_command(), presets_command(), config_show_command(), config_check_command(), config_diff_command()};
}

}  // namespace rw::cli
