#include "train/config/layers.hpp"

#include <algorithm>
#include <optional>

#include "data/corpus/utf8.hpp"
#include "layers/rotary/base_bound.hpp"
#include "train/config/presets.hpp"
#include "train/config/suggest.hpp"

namespace rw {
namespace {

constexpr std::string_view kLengths[] = {"tokens", "steps", "time"};

// Variables of the same prefix that are not settings: the instruction set, and what the tests use.
constexpr std::string_view kNotSettings[] = {"ROPEWALK_ISA", "ROPEWALK_BINARY", "ROPEWALK_SOURCE"};
constexpr std::string_view kTestPrefix = "ROPEWALK_TEST_";

bool is_length(std::string_view name) { return std::ranges::find(kLengths, name) != std::end(kLengths); }

void set(Settings& settings, std::string_view name, std::string_view text) {
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (setting.name == name) set_field(setting.unit, field, text);
  });
}

// The one length that a layer gives. Two are a problem.
std::optional<Assignment> length_of(const ConfigLayer& layer, std::vector<UserError>& problems) {
  std::optional<Assignment> found;
  for (const Assignment& value : layer.values) {
    if (!is_length(value.name) || value.text.find_first_of("123456789") == std::string::npos) continue;
    if (found && found->name != value.name)
      problems.emplace_back(Exit::usage,
                            found->name + " (" + found->origin + ") and " + value.name + " (" + value.origin +
                                ") both say how long the run is",
                            "give one of tokens, steps and time");
    found = value;
  }
  return found;
}

}  // namespace

void ConfigLayer::assign(std::string_view name, std::string_view text, std::string where, std::string origin) {
  static Settings scratch;  // only to see whether it can be read
  try {
    if (valid_utf8_prefix(text) != text.size())  // TOML and JSON could not hold it
      throw UserError(Exit::usage, "the value is not UTF-8");
    set(scratch, name, text);
    if (name == "size") find_preset(text);
  } catch (const UserError& error) {
    problems.emplace_back(error.code, where + ": " + error.what(), error.advice);
    return;
  }
  values.push_back({std::string(name), std::string(text), std::move(origin)});
}

ConfigLayer read_environment(const char* const* variables) {
  Settings settings;
  std::vector<std::pair<std::string, std::string>> known;  // variable, setting
  std::vector<std::string_view> names;
  visit_settings(settings, [&](const Setting& setting, const Field&) {
    known.emplace_back(environment_name(setting.name), setting.name);
  });
  for (const auto& [variable, setting] : known) names.push_back(variable);

  ConfigLayer out;
  for (; *variables; ++variables) {
    const std::string_view entry = *variables;
    const std::string_view name = entry.substr(0, entry.find('='));
    if (!name.starts_with("ROPEWALK_") || name.starts_with(kTestPrefix) || name.size() == entry.size()) continue;
    if (std::ranges::find(kNotSettings, name) != std::end(kNotSettings)) continue;
    const auto at = std::ranges::find(known, name, [](const auto& pair) { return std::string_view(pair.first); });
    if (at == known.end()) {
      const std::string advice = did_you_mean(name, names);
      out.problems.emplace_back(Exit::usage, "unknown setting " + std::string(name) + " in the environment",
                                (advice.empty() ? "" : advice + "\n") + "remove it:  unset " + std::string(name));
    } else {
      out.assign(at->second, entry.substr(name.size() + 1), at->first + " in the environment",
                 "environment " + at->first);
    }
  }
  return out;
}

Resolved resolve(std::span<const ConfigLayer> layers, std::vector<UserError>* problems) {
  std::vector<UserError> found;
  Resolved out;
  std::string size = out.settings.size;
  for (const ConfigLayer& layer : layers) {
    found.insert(found.end(), layer.problems.begin(), layer.problems.end());
    for (const Assignment& value : layer.values)
      if (value.name == "size") size = value.text;
  }
  apply_preset(find_preset(size), out.settings);
  visit_settings(out.settings, [&](const Setting& setting, const Field&) {
    out.origins[std::string(setting.name)] = setting.from_size ? "preset " + size : "default";
  });

  for (const ConfigLayer& layer : layers) {
    const auto length = length_of(layer, found);
    if (length)
      for (const std::string_view name : kLengths) {
        set(out.settings, name, name == "time" ? "0s" : "0");
        out.origins[std::string(name)] = length->origin;
      }
    for (const Assignment& value : layer.values) {
      if (length && is_length(value.name) && value.name != length->name) continue;
      set(out.settings, value.name, value.text);
      out.origins[value.name] = value.origin;
    }
  }

  const auto from_preset = [&](std::string_view name) { return out.origins.find(name)->second.starts_with("preset "); };
  ModelConfig& model = out.settings.model;
  const bool fits = from_preset("context") && from_preset("head_width");
  const bool sound = model.context > 0 && model.head_width > 0 && model.head_width % 2 == 0;  // else validate says so
  if (!fits && sound && from_preset("rope_base") && model.rotary()) {
    model.rope.base = rope_base_bound(model.context, model.head_width);
    out.origins["rope_base"] = "for this context and head_width";
  }
  if (model.context > 0 && model.layers > 0 && model.trained_context >= 0) {
    const std::string of = "of positions " + std::string(position_kind_name(model.positions.kind));
    std::map<std::string, std::string> before;
    visit_settings(out.settings,
                   [&](const Setting& s, const Field& f) { before[std::string(s.name)] = field_text(s.unit, f); });
    model.positions = resolve_positions(model.positions, model.trained(), model.layers);
    visit_settings(out.settings, [&](const Setting& s, const Field& f) {
      const std::string name(s.name);
      if (s.section == Section::positions && before[name] != field_text(s.unit, f)) out.origins[name] = of;
    });
  }

  if (problems) {
    problems->insert(problems->end(), found.begin(), found.end());
  } else if (!found.empty()) {
    const UserError& first = found.front();
    if (found.size() == 1) throw first;
    throw UserError(first.code, first.what(),
                    first.advice + (first.advice.empty() ? "(the first" : "\n(the first") + " of " +
                        std::to_string(found.size()) +
                        " problems; ropewalk config check FILE lists all those of a file)");
  }
  return out;
}

}  // namespace rw
