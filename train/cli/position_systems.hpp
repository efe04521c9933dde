// --system: positions that a trained model is tried with, one after the other.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "layers/transformer/config.hpp"

namespace rw::cli {

struct PositionSystem {
  std::string name;  // "rope=yarn factor=8", as it was typed
  ModelConfig config;
};

// The model's own, and those of the texts, for texts of `longest` tokens. UserError(Exit::usage), naming the text.
std::vector<PositionSystem> position_systems(const ModelConfig& own, const std::vector<std::string>& texts,
                                             int64_t longest);

// What a row of results begins with: system, positions, fingerprint; and its kind of text.
nlohmann::ordered_json row_of(const PositionSystem& system, const std::string& text);

// The parts of a text between any of the separators; none is empty.
std::vector<std::string> split(const std::string& text, const char* separators);

}  // namespace rw::cli
