// CLI11's errors in our own form: what and which command, then a suggestion and where the help is.
#pragma once
#include <CLI/CLI.hpp>

#include "core/base/user_error.hpp"

namespace rw::cli {

const CLI::App& deepest(const CLI::App& app);  // the command that was given

UserError explain(const CLI::App& app, const CLI::ParseError& error);
UserError no_command(const CLI::App& app);  // with a list of them

}  // namespace rw::cli
