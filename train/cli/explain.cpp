#include "train/cli/explain.hpp"

#include <algorithm>

#include "train/cli/help.hpp"
#include "train/config/suggest.hpp"

namespace rw::cli {
namespace {

constexpr const char* kSwitchAdvice = "a switch is written --NAME or --no-NAME, without a value";

// "pretrain: ", and nothing for the program itself.
std::string prefix(const CLI::App& app) {
  const std::string path = command_path(app);
  const size_t space = path.find(' ');
  return space == std::string::npos ? "" : path.substr(space + 1) + ": ";
}

UserError error_of(const CLI::App& app, const std::string& what, std::string advice) {
  if (!advice.empty()) advice += '\n';
  return {Exit::usage, prefix(app) + what, advice + command_path(app) + " --help lists all options"};
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    out.push_back(command->get_name());
  return out;
}

UserError unexpected(const CLI::App& app, const std::string& word) {
  if (word.starts_with("-") && word != "-") {
    const std::string name = word.substr(0, word.find('='));
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& known : option->get_lnames()) names.push_back("--" + known);
      for (const std::string& denied : option->get_fnames()) names.push_back("--" + denied);
    }
    return error_of(app, "unknown option '" + name + "'",
                    did_you_mean(name, std::vector<std::string_view>(names.begin(), names.end())));
  }
  const auto commands = command_names(app);
  if (!commands.empty()) {
    const std::string advice = did_you_mean(word, std::vector<std::string_view>(commands.begin(), commands.end()));
    return {Exit::usage, prefix(app) + "unknown command '" + word + "'",
            (advice.empty() ? "" : advice + "\n") + command_path(app) + " --help lists all commands"};
  }
  constexpr std::string_view kSwitches[] = {"on", "off", "true", "false", "yes", "no"};
  const bool is_switch = std::ranges::find(kSwitches, word) != std::end(kSwitches);
  return error_of(app, "unexpected argument '" + word + "'", is_switch ? kSwitchAdvice : "");
}

}  // namespace

const CLI::App& deepest(const CLI::App& app) {
  const auto given = app.get_subcommands();
  return given.empty() ? app : deepest(*given.front());
}

UserError no_command(const CLI::App& app) {
  std::string advice = "commands of " + command_path(app) + ":\n";
  size_t longest = 0;
  for (const std::string& name : command_names(app)) longest = std::max(longest, name.size());
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::string name = command->get_name();
    name.resize(longest + 2, ' ');
    advice += "  " + name + command->get_description() + "\n";
  }
  return {Exit::usage, prefix(app) + "no command given", advice + command_path(app) + " --help shows examples"};
}

UserError explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = deepest(app);
  for (const CLI::App* level = &command; level; level = level->get_parent())
    if (const auto extra = level->remaining(); !extra.empty()) return unexpected(*level, extra.front());

  const std::string kind = error.get_name(), text = error.what();
  const std::string option = text.substr(0, text.find_first_of(": "));
  if (kind == "RequiredError") {
    if (!command_names(command).empty()) return no_command(command);
    const std::string missing = text.substr(0, text.find(" is required"));
    return error_of(command, (missing.starts_with("-") ? "option " : "argument ") + missing + " is missing", "");
  }
  if (kind == "ArgumentMismatch") {
    if (text.find("flag override") != std::string::npos)
      return error_of(command, "the switch --" + option + " takes no value", kSwitchAdvice);
    if (text.find("missing") != std::string::npos)
      return error_of(command, option + " needs a value", "one that starts with '-' is written " + option + "=-1");
    if (text.find("received") != std::string::npos) return error_of(command, option + " is given more than once", "");
    return error_of(command, text, "");
  }
  if (kind == "ConversionError" || kind == "ValidationError") return error_of(command, "bad value: " + text, "");
  return error_of(command, text, "");
}

}  // namespace rw::cli
