// A report on one run, or on several compared: one HTML file that needs nothing else, no script and no network.
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "train/report/record.hpp"

namespace rw::report {

std::string to_html(std::span<const Record> runs);  // at least one

void write_report(std::span<const Record> runs, const std::filesystem::path& file);  // UserError(Exit::write)

}  // namespace rw::report
