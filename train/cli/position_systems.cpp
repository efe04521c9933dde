#include "train/cli/position_systems.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "layers/transformer/position_text.hpp"
#include "train/config/positions.hpp"

namespace rw::cli {
namespace {

// "rope=yarn factor=8 positions=rerope"
PositionSystem parse_system(const std::string& text, const ModelConfig& model, int64_t longest) {
  ConfigLayer layer;
  const std::string where = "--system '" + text + "'";
  for (const std::string& word : split(text, " ,")) {
    const size_t equals = word.find('=');
    if (equals == word.npos)
      throw UserError(Exit::usage, where + ": '" + word + "' is not of the form NAME=VALUE",
                      "such as  --system 'rope=yarn factor=8'");
    std::string name = word.substr(0, equals);
    std::ranges::replace(name, '-', '_');
    bool known = false;
    Settings scratch;
    visit_settings(scratch,
                   [&](const Setting& s, const Field&) { known |= s.section == Section::positions && s.name == name; });
    if (!known)
      throw UserError(Exit::usage, where + ": there is no option " + name + " of positions",
                      "its names are those of the options:  ropewalk eval --help");
    layer.assign(name, word.substr(equals + 1), where + ": " + name, "command line");
  }
  if (!layer.problems.empty()) throw layer.problems.front();
  try {
    return {text, with_positions(model, layer.values, longest)};
  } catch (const UserError& error) {
    throw UserError(error.code, where + ": " + error.what(), error.advice);
  }
}

}  // namespace

std::vector<PositionSystem> position_systems(const ModelConfig& own, const std::vector<std::string>& texts,
                                             int64_t longest) {
  std::vector<PositionSystem> all = {{"the model's own", own}};
  for (const std::string& text : texts) all.push_back(parse_system(text, own, longest));
  return all;
}

nlohmann::ordered_json row_of(const PositionSystem& system, const std::string& text) {
  return {{"system", system.name},
          {"positions", position_text(system.config)},
          {"fingerprint", position_fingerprint(system.config)},
          {"text", text}};
}

std::vector<std::string> split(const std::string& text, const char* separators) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace rw::cli
