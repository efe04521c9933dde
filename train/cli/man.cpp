#include <sstream>

#include "train/cli/command.hpp"
#include "train/cli/help.hpp"

namespace rw::cli {
namespace {

// Text as roff takes it literally.
std::string literal(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

void add_examples(std::string& out, const CLI::App& app) {
  if (app.get_footer().empty()) return;
  out += ".PP\n.EX\n";
  std::istringstream lines(app.get_footer());
  for (std::string line; std::getline(lines, line);) out += literal(line) + "\n";
  out += ".EE\n";
}

void add_options(std::string& out, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options())
    out += ".TP\n\\fB" + literal(term_of(*option)) + "\\fR\n" + literal(meaning_of(*option)) + "\n";
}

void add_commands(std::string& out, const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_subcommands([](const CLI::App*) { return true; }).empty()) {
      add_commands(out, *command);
      continue;
    }
    out += ".SS \"" + literal(command_path(*command)) + "\"\n" + literal(command->get_description()) + ".\n";
    add_examples(out, *command);
    add_options(out, *command);
  }
}

}  // namespace

std::string manual(const CLI::App& app) {
  std::string out = ".TH ROPEWALK 1 \"\" \"ropewalk " RW_VERSION "\" \"User Commands\"\n.SH NAME\nropewalk \\- " +
                    literal(app.get_description()) +
                    "\n.SH SYNOPSIS\n\\fBropewalk\\fR \\fICOMMAND\\fR [options]\n.SH EXAMPLES\n";
  add_examples(out, app);
  out += ".SH OPTIONS\n";
  add_options(out, app);
  out += ".SH COMMANDS\n";
  add_commands(out, app);
  out +=
      ".SH ENVIRONMENT\nEach setting of a run can be given as ROPEWALK_NAME: \\fBropewalk config show\\fR lists them.\n"
      ".TP\n\\fBROPEWALK_ISA\\fR\navx2 keeps the program from using AVX\\-512.\n"
      ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] :
       {std::pair(Exit::ok, "success"), std::pair(Exit::usage, "options or configuration are wrong"),
        std::pair(Exit::data, "input data or their format are wrong"), std::pair(Exit::memory, "not enough memory"),
        std::pair(Exit::non_finite, "the loss or a gradient is not finite"),
        std::pair(Exit::write, "something cannot be written"), std::pair(Exit::corrupt, "a damaged file"),
        std::pair(Exit::check, "what was to be checked does not hold"),
        std::pair(Exit::internal, "a fault of the program"),
        std::pair(Exit::interrupted, "stopped by a signal or a STOP file; everything is saved")})
    out += ".TP\n" + std::to_string(static_cast<int>(code)) + "\n" + meaning + "\n";
  return out;
}

}  // namespace rw::cli
