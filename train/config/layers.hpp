// Where settings come from, one layer over the other:
//   defaults < preset (size) < files, in order < environment < command line
// Every value remembers where it is from. A name that is not known is an error in every layer.
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/user_error.hpp"
#include "train/settings.hpp"

namespace rw {

struct Assignment {
  std::string name;    // of a setting
  std::string text;    // reads without error
  std::string origin;  // "my.toml:14", "environment ROPEWALK_LR", "command line"
};

// All that one file, the environment or a command line says, and all that is wrong with it.
struct ConfigLayer {
  std::vector<Assignment> values;
  std::vector<UserError> problems;

  // Adds a value, or the problem with it. `where`: how an error names it, as "--lr" or "lr in my.toml:14".
  void assign(std::string_view name, std::string_view text, std::string where, std::string origin);
};

ConfigLayer parse_toml(std::string_view text, const std::string& file);  // strict; `file` is for messages
ConfigLayer read_toml(const std::filesystem::path& file);                // and UserError(Exit::usage): unreadable
ConfigLayer read_environment(const char* const* variables);              // "NAME=value", ended by a null

using Origins = std::map<std::string, std::string, std::less<>>;  // by setting: "default", "preset 5m", ...

struct Resolved {
  Settings settings;
  Origins origins;
};

// Puts the layers, lowest first, over defaults and preset. One of tokens, steps and time takes the place of another of
// a lower layer. If context or head_width are not the preset's, rope_base is made for them (rope_base_bound), unless
// a layer gives it. Problems go to `problems`; without it the first one is thrown.
Resolved resolve(std::span<const ConfigLayer> layers, std::vector<UserError>* problems = nullptr);

}  // namespace rw
