// What must hold between settings, whatever layer they come from.
#pragma once
#include "train/config/layers.hpp"

namespace rw {

// Every problem, each naming the settings, their values and origins. Data and vocabulary are not looked at.
std::vector<UserError> problems_of(const Resolved& resolved);

// Throws the first.
void validate(const Resolved& resolved);

}  // namespace rw
