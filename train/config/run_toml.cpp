#include "train/config/run_toml.hpp"

#include <algorithm>

#include "core/base/check.hpp"

namespace rw {
namespace {

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr const char* kHex = "0123456789abcdef";
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_value(Unit unit, const Field& field) {
  const std::string text = field_text(unit, field);
  if (unit == Unit::flag) return text;
  const bool is_amount = std::holds_alternative<int64_t*>(field);
  if (is_amount && text.find_first_not_of("-0123456789") == std::string::npos) return text;
  if (std::holds_alternative<double*>(field) && unit != Unit::duration)
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  return toml_string(text);
}

// What stands behind the value of a line that to_toml wrote; empty if nothing does.
std::string_view comment_of(std::string_view line) {
  size_t at = line.find('=');
  if (at == line.npos) return {};
  at = std::min(line.find_first_not_of(' ', at + 1), line.size());
  if (at < line.size() && line[at] == '"')
    for (++at; at < line.size() && line[at] != '"'; ++at)
      if (line[at] == '\\') ++at;
  const size_t comment = line.find("# ", std::min(at, line.size()));
  return comment == line.npos ? std::string_view() : line.substr(comment + 2);
}

bool is_unset_length(const Setting& setting, const Field& field) {
  if (setting.name == "tokens" || setting.name == "steps") return *std::get<int64_t*>(field) == 0;
  return setting.name == "time" && *std::get<double*>(field) == 0;
}

}  // namespace

std::string to_toml(const Resolved& resolved, const TomlOptions& options) {
  Settings settings = resolved.settings;
  std::string out;
  const Section* open = nullptr;
  Section section{};
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (is_unset_length(setting, field)) return;
    const auto origin = resolved.origins.find(setting.name);
    const std::string_view from = origin == resolved.origins.end() ? std::string_view() : origin->second;
    if (!options.only_origin.empty() && from != options.only_origin) return;
    if (!open || section != setting.section) {
      out += (open ? "\n[" : "[") + std::string(section_name(setting.section)) + "]\n";
      section = setting.section;
      open = &section;
    }
    if (options.explain) {
      out += "# " + std::string(setting.help);
      const std::string form = value_form(setting.unit, field);
      if (std::holds_alternative<Choice>(field)) out += ": " + form;
      if (!setting.source.empty()) out += " (default: " + std::string(setting.source) + ")";
      out += '\n';
    }
    std::string line = std::string(setting.name) + " = " + toml_value(setting.unit, field);
    if (!from.empty()) {
      constexpr size_t kColumn = 28;
      line.resize(std::max(kColumn, line.size()), ' ');
      line += "  # " + std::string(from);
    }
    out += line + '\n';
  });
  return out;
}

ConfigLayer parse_run_toml(std::string_view text) {
  constexpr std::string_view kFile = "run.toml";
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  ConfigLayer layer = parse_toml(text, std::string(kFile));
  for (Assignment& value : layer.values) {
    const size_t line = std::stoul(value.origin.substr(kFile.size() + 1));  // run.toml:14
    if (const std::string_view from = comment_of(lines.at(line - 1)); !from.empty()) value.origin = from;
  }
  return layer;
}

std::vector<SettingDifference> settings_difference(const Settings& before, const Settings& after) {
  Settings a = before, b = after;
  std::vector<SettingDifference> out;
  std::vector<std::string> texts;
  visit_settings(a, [&](const Setting& s, const Field& field) { texts.push_back(field_text(s.unit, field)); });
  size_t i = 0;
  visit_settings(b, [&](const Setting& s, const Field& field) {
    const std::string& was = texts.at(i++);
    const std::string is = field_text(s.unit, field);
    if (was != is) out.push_back({std::string(s.name), was, is, s.may_change_on_resume});
  });
  return out;
}

void check_resume(const Settings& saved, const Resolved& now) {
  std::string names, advice;
  for (const SettingDifference& d : settings_difference(saved, now.settings)) {
    if (d.may_change_on_resume) continue;
    names += (names.empty() ? "" : ", ") + d.name;
    const auto origin = now.origins.find(d.name);
    advice += d.name + ": " + d.before + " -> " + d.after +
              (origin == now.origins.end() ? "" : " (" + origin->second + ")") + "\n";
  }
  if (names.empty()) return;
  throw UserError(Exit::usage, names + " may not change when a run is resumed",
                  advice + "it would not be the same run; start a new one with these settings, or leave them out");
}

}  // namespace rw
