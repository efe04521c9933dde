// What the machine has, and how sizes are printed.
#pragma once
#include <string>

#include "train/loop/engine.hpp"

namespace rw {

double monotonic_seconds();    // of a clock that never goes back
std::string processor_name();  // "unknown" if the system does not say
double total_memory();         // bytes; infinity if the system does not say
// Bytes that can be taken, of the machine without swapping; infinity if the system does not say.
double available_memory(Device = {});
double resident_memory();  // bytes of this process; NaN if the system does not say

// Throws UserError(Exit::memory) unless `bytes` are available, of the machine or a device; `advice` says how to need
// less.
void check_memory(size_t bytes, const std::string& advice, Device = {});

std::string bytes_text(double bytes);                               // "1.5 GB", "23 MB": powers of 1000
std::string memory_line(const MemoryPlan& plan, double available);  // one line, by category
std::string memory_table(const MemoryPlan& plan);                   // a line for each category
std::string memory_json(const MemoryPlan& plan);                    // an object, bytes by category
std::string describe(const ModelConfig& config);  // "6 layers × 256, 8 heads / 4 kv × 32, ..., 5.8 M parameters"

// Useful FLOP of one step: 6 for each parameter that multiplies activations and each token, and 6 · L · T · H · d for
// each token in causal attention.
double step_flop(const ModelConfig& config, int64_t tokens, int64_t length);

}  // namespace rw
