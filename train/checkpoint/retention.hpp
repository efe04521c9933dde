// The folder of checkpoints: names, what is the newest, what goes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rw {

std::string step_name(int64_t step);                                  // "step-000123"
std::optional<int64_t> step_of(const std::filesystem::path& folder);  // of a folder with such a name

// Steps of the checkpoints in the folder, newest first. Throws UserError(Exit::data) if it cannot be listed.
std::vector<int64_t> list_steps(const std::filesystem::path& checkpoints);

// The name that `latest` or `best` holds; empty if there is no such file, or it holds something else.
std::string read_pointer(const std::filesystem::path& file);

// Removes what save_checkpoint promises after it has saved `step`; returns what could not be removed, and why.
std::vector<std::string> prune(const std::filesystem::path& checkpoints, int64_t step, int64_t keep);

}  // namespace rw
