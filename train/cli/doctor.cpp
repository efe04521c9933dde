#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "train/cli/command.hpp"
#include "train/doctor/checks.hpp"

namespace rw::cli {
namespace {

using doctor::Check;

constexpr const char* kStates[] = {"ok", "absent", "wrong"};

// state  name          text
//                      advice
std::string lines_of(const Check& check) {
  const auto padded = [](std::string text, size_t width) {
    text.resize(std::max(width, text.size()), ' ');
    return text;
  };
  constexpr size_t kState = 8, kName = 14;
  const std::string state = check.state == Check::State::absent ? "-" : kStates[static_cast<size_t>(check.state)];
  std::string out = padded(state, kState) + padded(check.name, kName) + check.text + "\n";
  std::istringstream advice(check.advice);
  for (std::string line; std::getline(advice, line);) out += std::string(kState + kName, ' ') + line + "\n";
  return out;
}

struct Doctor {
  std::string folder = ".";

  void add_options(CLI::App& app) { app.add_option("FOLDER", folder, "where runs would be")->capture_default_str(); }

  Exit run(const Global& global) {
    const std::vector<Check> checks = doctor::examine(folder);
    Exit exit = Exit::ok;
    std::string text;
    nlohmann::ordered_json json = {{"ok", true}, {"checks", nlohmann::ordered_json::array()}};
    for (const Check& check : checks) {
      if (exit == Exit::ok) exit = check.exit;
      text += lines_of(check);
      json["checks"].push_back({{"name", check.name},
                                {"state", kStates[static_cast<size_t>(check.state)]},
                                {"text", check.text},
                                {"advice", check.advice}});
    }
    json["ok"] = exit == Exit::ok;
    if (global.json)
      print(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    else
      print(text);
    return exit;
  }
};

}  // namespace

Command doctor_command() {
  return make_command<Doctor>("doctor", "look whether all is well with this machine and this build",
                              "ropewalk doctor\nropewalk doctor runs\n");
}

}  // namespace rw::cli
