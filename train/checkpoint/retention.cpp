#include "train/checkpoint/retention.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "step-";

std::vector<fs::path> list(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    out.push_back(it->path());
  if (error) throw UserError(Exit::data, "cannot read " + folder.string(), error.message());
  return out;
}

}  // namespace

std::string step_name(int64_t step) {
  std::string digits = std::to_string(step);
  digits.insert(0, 6 - std::min<size_t>(6, digits.size()), '0');
  return std::string(kPrefix) + digits;
}

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return {};
  int64_t step = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  if (name != step_name(step)) return {};
  return step;
}

std::vector<int64_t> list_steps(const fs::path& checkpoints) {
  std::vector<int64_t> steps;
  for (const fs::path& path : list(checkpoints))
    if (const auto step = step_of(path)) steps.push_back(*step);
  std::ranges::sort(steps, std::greater<>());
  return steps;
}

std::string read_pointer(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  std::string name = read_text(file, 4096);
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  return step_of(name) && name == fs::path(name).filename() ? name : std::string();
}

std::vector<std::string> prune(const fs::path& checkpoints, int64_t step, int64_t keep) {
  std::vector<std::string> warnings;
  const auto attempt = [&](auto&& action) {
    try {
      action();
    } catch (const UserError& error) {
      warnings.push_back(std::string(error.what()) + ": " + error.advice.substr(0, error.advice.find('\n')));
    }
  };
  attempt([&] {
    for (const fs::path& path : list(checkpoints))
      if (is_abandoned(path)) {
        std::error_code error;
        fs::remove_all(path, error);
        if (error) warnings.push_back("cannot remove " + path.string() + ": " + error.message());
      }
    const std::string best = read_pointer(checkpoints / "best");
    if (!best.empty() && *step_of(best) > step) {
      std::error_code error;
      fs::remove(checkpoints / "best", error);
      if (error) throw write_error(checkpoints / "best", error.value());
    }
    int64_t kept = 0;
    for (int64_t s : list_steps(checkpoints)) {
      if (s == step || (s < step && (++kept < keep || step_name(s) == best))) continue;
      attempt([&] { remove_folder(checkpoints / step_name(s)); });
    }
  });
  return warnings;
}

}  // namespace rw
