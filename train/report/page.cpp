#include "train/report/page.hpp"

#include "train/report/html.hpp"
#include "train/report/style.hpp"

namespace rw::report {
namespace {

// No script can run and nothing can be fetched, whatever the texts of a run say.
constexpr std::string_view kPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

}  // namespace

std::string page(std::string_view title, std::string_view about, const std::string& content) {
  return "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
         "<meta charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"" +
         escape(kPolicy) +
         "\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
         "<link rel=\"icon\" href=\"data:,\"/>\n" +
         element("title", std::string(title) + " · ropewalk " + std::string(about)) + "\n<style>" +
         std::string(kStyle) + "</style>\n</head>\n<body>\n<main>\n" + element("h1", title) + "\n" + content +
         "</main>\n</body>\n</html>\n";
}

}  // namespace rw::report
