// HTML that is well-formed XML too, so that any XML parser can check it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace rw::report {

// Text for an element or an attribute in double quotes. Bytes that are no UTF-8, and characters that XML does not
// allow, become U+FFFD; line ends become '\n'.
std::string escape(std::string_view text);

// <name>escaped text</name>; `attributes` as they stand: `class="x"`.
std::string element(std::string_view name, std::string_view text, std::string_view attributes = {});

struct Cell {
  std::string text;
  bool number = false;  // set to the right
  bool accent = false;  // something to look at
};

// A table that scrolls by itself where the page is narrow. Cells of the first column are headings of their rows.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<Cell>>& rows);

std::string section(std::string_view id, std::string_view title, const std::string& content);  // content: HTML
// Charts or maps with a note on how to read them, and what else there is to show; empty if there are no charts.
std::string charts_section(std::string_view id, std::string_view title, const std::string& charts,
                           std::string_view note, const std::string& after = {});
std::string figure(std::string_view title, std::string_view unit, const std::string& content);  // <figure>
std::string details(std::string_view summary, const std::string& content, bool open = false);

}  // namespace rw::report
