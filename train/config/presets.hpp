// --size: presets, each of which fixes the model's shape and the recipe. The vocabulary comes from the data.
#pragma once
#include <span>
#include <string_view>

#include "train/settings.hpp"

namespace rw {

struct Preset {
  std::string_view name;
  int64_t layers, width, heads, kv_heads, head_width, hidden, context;
  double rope_base;
  int64_t batch;
  double lr;
  int64_t tokens;
  int64_t usual_vocab;  // with which the name says the number of parameters; the data has the say
};

std::span<const Preset> presets();

// Throws UserError(Exit::usage) if there is none of this name.
const Preset& find_preset(std::string_view name);

// The one whose number of parameters has the least ratio to this.
const Preset& nearest_preset(int64_t parameters);

// Sets what the settings with `from_size` are, and the size.
void apply_preset(const Preset& preset, Settings& settings);

}  // namespace rw
