#include "train/cli/help.hpp"

#include <algorithm>
#include <sstream>

namespace rw::cli {
namespace {

constexpr size_t kWidth = 110, kColumn = 34;

// A term and what it means, which is wrapped and starts at the column.
void add_row(std::string& out, const std::string& term, const std::string& meaning) {
  std::string line = "  " + term;
  if (line.size() + 2 > kColumn) {
    out += line + '\n';
    line.clear();
  }
  line.resize(kColumn, ' ');
  std::istringstream words(meaning);
  bool fresh = true;
  for (std::string word; words >> word; fresh = false) {
    if (!fresh && line.size() + 1 + word.size() > kWidth) {
      out += line + '\n';
      line.assign(kColumn, ' ');
      fresh = true;
    }
    line += (fresh ? "" : " ") + word;
  }
  out += line + '\n';
}

}  // namespace

std::string term_of(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  std::string out;
  for (const std::string& name : option.get_snames()) out += "-" + name + ", ";
  const bool can_be_denied = !option.get_fnames().empty();
  const auto& names = option.get_lnames();
  if (!names.empty()) out += (can_be_denied ? "--[no-]" : "--") + names.front();
  if (option.get_items_expected_max() > 0 && !option.get_type_name().empty()) out += " " + option.get_type_name();
  return out;
}

std::string meaning_of(const CLI::Option& option) {
  std::string out = option.get_description();
  if (option.get_required()) out += " (required)";
  if (!option.get_default_str().empty()) out += " [" + option.get_default_str() + "]";
  return out;
}

std::string command_path(const CLI::App& app) {
  return app.get_parent() ? command_path(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

std::string Help::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  const std::string path = command_path(*app);
  std::string out = path + ": " + app->get_description() + "\n";
  if (!app->get_footer().empty()) {
    out += "\nExamples\n";
    std::istringstream lines(app->get_footer());
    for (std::string line; std::getline(lines, line);) out += "  " + line + "\n";
  }

  const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
  const auto options = app->get_options();
  out += "\nUsage\n  " + path + (commands.empty() ? "" : " COMMAND") + " [options]";
  for (const CLI::Option* option : options)
    if (option->get_positional()) {
      const std::string name = option->get_name(true);
      out += option->get_required() ? " " + name : " [" + name + "]";
    }
  out += '\n';

  if (!commands.empty()) {
    out += "\nCommands\n";
    for (const CLI::App* command : commands) add_row(out, command->get_name(), command->get_description());
    out += "  " + path + " COMMAND --help says more\n";
  }
  std::vector<std::string> groups;
  for (const CLI::Option* option : options)
    if (std::ranges::find(groups, option->get_group()) == groups.end()) groups.push_back(option->get_group());
  for (const std::string& group : groups) {
    out += "\n" + group + "\n";
    for (const CLI::Option* option : options)
      if (option->get_group() == group) add_row(out, term_of(*option), meaning_of(*option));
  }
  return out;
}

}  // namespace rw::cli
