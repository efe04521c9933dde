// The commands of the program `ropewalk`. A command is a plain struct in a file of its own:
//
//   struct Presets {
//     std::string name;
//     void add_options(CLI::App& app) { app.add_option("NAME", name, "..."); }
//     Exit run(const Global& global) { print(...); return Exit::ok; }
//   };
//   Command presets_command() { return make_command<Presets>("presets", "summary", "ropewalk presets 5m\n"); }
//
// and a line in commands.cpp. Results go to stdout by print(); progress and logs to stderr.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/user_error.hpp"
#include "train/settings.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace rw::cli {

// Options of every command.
struct Global {
  bool json = false;                   // results as JSON, progress as JSON Lines
  bool quiet = false;                  // warnings and errors only
  std::vector<std::string> arguments;  // the command line, as given; the first one is the program
};

struct Command {
  std::string name;      // "presets"; with two words, "config show", the second one of a group
  std::string summary;   // what it does, a few words
  std::string examples;  // command lines; the help starts with them
  std::function<void(CLI::App&)> add_options;
  std::function<Exit(const Global&)> run;
};

template <class C>
Command make_command(std::string name, std::string summary, std::string examples) {
  const auto command = std::make_shared<C>();
  return {std::move(name), std::move(summary), std::move(examples),
          [command](CLI::App& app) { command->add_options(app); },
          [command](const Global& global) { return command->run(global); }};
}

std::vector<Command> commands();  // all, in the order of the help

// An option whose value has a unit. A bad value is a UserError that names the option.
CLI::Option* add_number(CLI::App& app, const std::string& option, int64_t& value, Unit unit, const std::string& help);
CLI::Option* add_number(CLI::App& app, const std::string& option, double& value, Unit unit, const std::string& help);

// To stdout, at once. Throws UserError(Exit::write), or ClosedPipe if the reader has gone.
void print(std::string_view text);
struct ClosedPipe {};

// error: WHAT
//        ADVICE          on stderr
void print_error(const UserError& error);
void print_warning(std::string_view text);  // "warning: TEXT" on stderr

std::string version_text();
std::string version_json();

// The whole program: parses, runs, prints errors, returns the exit code.
int run_program(int argc, const char* const* argv);

}  // namespace rw::cli
