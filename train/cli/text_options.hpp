// What the commands that read text have in common.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "data/corpus/documents.hpp"
#include "train/cli/command.hpp"

namespace rw::cli {

struct TextOptions {
  std::vector<std::string> files;
  std::string separator, text_key;

  void add(CLI::App& app);
  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
  DocumentOptions documents() const;
};

std::string grouped(uint64_t number);   // "1,234,567"
std::string byte_text(uint64_t bytes);  // "4.0 MB", in powers of ten
std::string fixed(double value, int digits);
std::string read_standard_input();

}  // namespace rw::cli
