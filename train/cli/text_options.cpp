#include "train/cli/text_options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>

namespace rw::cli {

namespace {

constexpr const char* kBlank = "blank";

}  // namespace

void TextOptions::add(CLI::App& app) {
  app.add_option("TEXT", files, "text files, or JSON lines (.jsonl); may be packed (.gz, .zst)")->required();
  app.add_option("--document-separator", separator,
                 std::string("the line between two documents of a text file, for instance %; ") + kBlank +
                     ": empty lines; else a file is one document")
      ->type_name("LINE");
  app.add_option(
         "--text-key", text_key,
         "key of the text in JSON lines; else text, content, or prompt and completion (loss on the latter only)")
      ->type_name("KEY");
}

DocumentOptions TextOptions::documents() const {
  return {!separator.empty(), separator == kBlank ? "" : separator, text_key};
}

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3; text.insert(at -= 3, 1, ',')) {
  }
  return text;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string byte_text(uint64_t bytes) {
  const char* units[] = {"bytes", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " bytes";
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return fixed(value, 1) + " " + units[unit];
}

std::string read_standard_input() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

}  // namespace rw::cli
