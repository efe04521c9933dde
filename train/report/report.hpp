// A report on one run, or on several compared: one HTML file that needs nothing else, no script and no network.
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "train/report/record.hpp"
#include "train/report/sweep_file.hpp"

namespace rw::report {

std::string to_html(std::span<const Record> runs, std::span<const SweepFile> sweeps = {});  // at least one run

void write_report(std::span<const Record> runs, const std::filesystem::path& file,
                  std::span<const SweepFile> sweeps = {});  // UserError(Exit::write)

}  // namespace rw::report
