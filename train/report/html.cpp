#include "train/report/html.hpp"

#include "data/corpus/utf8.hpp"

namespace rw::report {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Control characters, and U+FFFE and U+FFFF.
bool is_forbidden(std::string_view character) {
  if (character.size() == 1) {
    const char c = character[0];
    return (c >= 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
  }
  if (character.size() == 2) return character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0;
  return character == "\xef\xbf\xbe" || character == "\xef\xbf\xbf";
}

// A line may end after the folders of a path; "</" begins the end of an element.
std::string with_breaks(std::string_view markup) {
  std::string out;
  for (size_t i = 0; i < markup.size(); ++i) {
    out += markup[i];
    if (i > 0 && markup[i] == '/' && markup[i - 1] != '<') out += "<wbr/>";
  }
  return out;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const int length = utf8_length(text);
    const std::string_view c = text.substr(0, length > 0 ? static_cast<size_t>(length) : 1);
    text.remove_prefix(c.size());
    if (c == "&")
      out += "&amp;";
    else if (c == "<")
      out += "&lt;";
    else if (c == ">")
      out += "&gt;";
    else if (c == "\"")
      out += "&quot;";
    else if (c == "'")
      out += "&#39;";
    else if (c == "\r")
      out += text.starts_with('\n') ? "" : "\n";
    else if (length <= 0 || is_forbidden(c))
      out += kReplacement;
    else
      out += c;
  }
  return out;
}

std::string element(std::string_view name, std::string_view text, std::string_view attributes) {
  std::string out = "<";
  out += name;
  if (!attributes.empty()) out.append(" ").append(attributes);
  return out.append(">").append(escape(text)).append("</").append(name).append(">");
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<Cell>>& rows) {
  std::string out = "<div class=\"scroll\"><table>";
  if (!head.empty()) {
    out += "<thead><tr>";
    for (size_t i = 0; i < head.size(); ++i) {
      const bool number = !rows.empty() && i < rows[0].size() && rows[0][i].number;
      out += element("th", head[i], number ? "scope=\"col\" class=\"number\"" : "scope=\"col\"");
    }
    out += "</tr></thead>";
  }
  out += "<tbody>";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      std::string attributes = i == 0 ? "scope=\"row\" " : "";
      if (cell.number || cell.accent)
        attributes += std::string("class=\"") + (cell.number ? "number " : "") + (cell.accent ? "accent" : "") + '"';
      out += i == 0 ? element("th", cell.text, attributes) : with_breaks(element("td", cell.text, attributes));
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string section(std::string_view id, std::string_view title, const std::string& content) {
  return "<section id=\"" + std::string(id) + "\">\n" + element("h2", title) + "\n" + content + "</section>\n";
}

std::string charts_section(std::string_view id, std::string_view title, const std::string& charts,
                           std::string_view note, const std::string& after) {
  if (charts.empty()) return {};
  return section(
      id, title,
      "<div class=\"charts\">\n" + charts + "</div>\n" + element("p", note, "class=\"quiet\"") + "\n" + after);
}

std::string figure(std::string_view title, std::string_view unit, const std::string& content) {
  std::string out = "<figure>\n<figcaption>" + escape(title);
  if (!unit.empty()) out.append(" ").append(element("span", unit));
  return out + "</figcaption>\n" + content + "</figure>\n";
}

std::string details(std::string_view summary, const std::string& content, bool open) {
  return std::string(open ? "<details open=\"open\">" : "<details>") + element("summary", summary) + "\n" + content +
         "</details>\n";
}

}  // namespace rw::report
