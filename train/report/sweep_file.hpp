// What `ropewalk eval --context-sweep ... --json` printed, with or without --passkey, read again.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "train/report/curve.hpp"

namespace rw::report {

// One system on one kind of text; nats per token, and shares of tokens foretold. NaN where the loss was not finite.
struct SweepRow {
  std::string system = {}, positions = {}, fingerprint = {};
  std::string text = {};                        // "natural" or "repeated"
  std::vector<Point> loss = {}, accuracy = {};  // by length
  std::vector<Point> part_loss = {};            // above the middle of each part of the longest texts
  double longest = 0;
};

struct PasskeyRow {
  std::string system = {}, positions = {}, fingerprint = {};
  std::string form = {};  // "text" or "ids"
  int64_t trials = 0;
  std::vector<double> lengths = {}, depths = {};
  std::vector<std::vector<double>> accuracy = {}, loss = {};  // by depth and length
};

struct SweepFile {
  std::string name = {};
  std::vector<SweepRow> sweeps = {};
  std::vector<PasskeyRow> passkeys = {};
};

// Throws UserError(Exit::data) that names the file and what is wrong in it: not JSON, no rows, a row of another shape.
SweepFile parse_sweep_file(const std::string& name, std::string_view text);
SweepFile read_sweep_file(const std::filesystem::path& file);

}  // namespace rw::report
