// A model's configuration as JSON: the [model] settings by their names. Kept in checkpoints.
#pragma once
#include <string>
#include <string_view>

#include "layers/transformer/config.hpp"

namespace rw {

std::string model_to_json(const ModelConfig&);
// Every key must be there and none besides. Throws UserError(Exit::data) that names what is wrong.
ModelConfig model_from_json(std::string_view text);

}  // namespace rw
