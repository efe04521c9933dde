// A model with other positions than it was trained with.
#pragma once
#include <span>

#include "train/config/layers.hpp"

namespace rw {

// What `changes` say of positions (other settings are passed over), put over those of `model`, for texts of `length`:
//   - a new `rope` forgets what belongs to the old rule, a new `positions` what belongs to the old kind;
//   - trained_context stays what it was: all rules and maps extend from it;
//   - a rule that takes a factor and is given none gets length / trained_context (dynamic: 1);
//   - what is left open is filled in (resolve_positions).
// Throws UserError(Exit::usage): a change that a trained model cannot make (rope_layout, rope_share, learned or no
// positions instead of rotary ones or the other way round, log_n trained); a factor with nothing to extend; what
// rope_problem and position_problem find.
ModelConfig with_positions(const ModelConfig& model, std::span<const Assignment> changes, int64_t length);

// Those of the layers' values that are settings of positions.
std::vector<Assignment> position_changes(std::span<const ConfigLayer> layers);

}  // namespace rw
