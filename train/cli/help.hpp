#pragma once
#include <CLI/CLI.hpp>

namespace rw::cli {

// Help that starts with examples and groups options by section. The examples are the App's footer.
class Help : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

// "--lr NUMBER", and what it means.
std::string term_of(const CLI::Option& option);
std::string meaning_of(const CLI::Option& option);

// The manual page of the whole program, in roff: the same texts.
std::string manual(const CLI::App& app);

std::string command_path(const CLI::App& app);  // "ropewalk config show"

}  // namespace rw::cli
