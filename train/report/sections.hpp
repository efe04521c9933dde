// The parts of a report, as HTML. Each is empty if there is nothing to show.
#pragma once
#include <span>
#include <string>

#include "train/report/record.hpp"
#include "train/report/sweep_file.hpp"

namespace rw::report {

std::string curves_section(std::span<const Record> runs);        // loss, learning rate, gradient norm, speed, memory
std::string positions_section(std::span<const Record> runs);     // loss by position
std::string wavelengths_section(std::span<const Record> runs);   // of rotary models, by pair
std::string sweeps_section(std::span<const SweepFile> files);    // loss and accuracy by length, loss by position
std::string passkeys_section(std::span<const SweepFile> files);  // keys found, by depth and length
std::string evaluations_section(std::span<const Record> runs);
std::string samples_section(std::span<const Record> runs);
std::string settings_section(std::span<const Record> runs);
std::string machine_section(std::span<const Record> runs);  // where and how it ran, and how to run it again

}  // namespace rw::report
