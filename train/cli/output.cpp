#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <sstream>

#include "core/file/file.hpp"
#include "train/cli/command.hpp"
#include "train/config/units.hpp"

namespace rw::cli {

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<size_t>(written));
    else if (errno == EPIPE)
      throw ClosedPipe{};
    else if (errno != EINTR)
      throw write_error("standard output", errno);
  }
}

void print_error(const UserError& error) {
  std::string text = "error: " + std::string(error.what()) + "\n";
  std::istringstream lines(error.advice);
  for (std::string line; std::getline(lines, line);) text += "       " + line + "\n";
  std::fputs(text.c_str(), stderr);
}

void print_warning(std::string_view text) { std::fputs(("warning: " + std::string(text) + "\n").c_str(), stderr); }

CLI::Option* add_number(CLI::App& app, const std::string& option, int64_t& value, Unit unit, const std::string& help) {
  const auto read = [&value, unit, option](const std::string& text) {
    try {
      value = parse_integer(text, unit);
    } catch (const UserError& error) {
      throw UserError(error.code, option + ": " + error.what(), error.advice);
    }
  };
  return app.add_option_function<std::string>(option, read, help)
      ->type_name(value_form(unit, &value))
      ->default_str(integer_text(value, unit));
}

CLI::Option* add_number(CLI::App& app, const std::string& option, double& value, Unit unit, const std::string& help) {
  const auto read = [&value, unit, option](const std::string& text) {
    try {
      value = parse_number(text, unit);
    } catch (const UserError& error) {
      throw UserError(error.code, option + ": " + error.what(), error.advice);
    }
  };
  return app.add_option_function<std::string>(option, read, help)
      ->type_name(value_form(unit, &value))
      ->default_str(number_text(value, unit));
}

}  // namespace rw::cli
