#include "train/study/results.hpp"

#include <algorithm>
#include <sstream>

#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "core/file/json.hpp"

namespace rw::study {
namespace {

constexpr uint64_t kLargestResults = uint64_t{1} << 26;

std::string to_line(const Result& r) {
  OrderedJson cells = OrderedJson::array();
  for (const Cell& c : r.cells)
    cells.push_back({{"text", name_of(c.column)}, {"length", c.length}, {"loss", c.loss}, {"accuracy", c.accuracy}});
  const OrderedJson json = {
      {"row", r.row},         {"seed", r.seed}, {"positions", r.positions}, {"fingerprint", r.fingerprint},
      {"trained", r.trained}, {"cells", cells}};
  return json.dump() + "\n";
}

Result parse_line(const std::string& line) {
  const Json json = Json::parse(line);
  Result r{.row = json.at("row").get<std::string>(),
           .positions = json.at("positions").get<std::string>(),
           .fingerprint = json.at("fingerprint").get<std::string>(),
           .seed = integer_of(json.at("seed")).value(),
           .trained = json.at("trained").get<double>(),
           .cells = {}};
  for (const Json& cell : json.at("cells"))
    r.cells.push_back({.column = cell.at("text") == name_of(Column::natural) ? Column::natural : Column::repeated,
                       .length = integer_of(cell.at("length")).value(),
                       .loss = cell.at("loss").get<double>(),
                       .accuracy = cell.at("accuracy").get<double>()});
  return r;
}

}  // namespace

ResultFile::ResultFile(std::filesystem::path file) : file_(std::move(file)) {
  std::error_code ignored;
  if (!std::filesystem::exists(file_, ignored)) return;
  std::istringstream lines(read_text(file_, kLargestResults));
  for (std::string line; std::getline(lines, line);) try {
      results_.push_back(parse_line(line));
    } catch (const std::exception&) {
      throw UserError(Exit::corrupt, file_.string() + " is damaged at line " + std::to_string(results_.size() + 1),
                      "remove the file: the rows are computed again, models are not trained again");
    }
}

bool ResultFile::has(std::string_view row, int64_t seed) const {
  return std::ranges::any_of(results_, [&](const Result& r) { return r.row == row && r.seed == seed; });
}

void ResultFile::add(const Result& result) {
  results_.push_back(result);
  std::string text;
  for (const Result& r : results_) text += to_line(r);
  write_text(file_, text);
}

std::pair<std::string, std::string> first_difference(std::string_view a, std::string_view b) {
  std::istringstream left{std::string(a)}, right{std::string(b)};
  for (std::string x, y;;) {
    const bool more_left = static_cast<bool>(std::getline(left, x)),
               more_right = static_cast<bool>(std::getline(right, y));
    if (!more_left) x.clear();
    if (!more_right) y.clear();
    if (x != y || (!more_left && !more_right)) return {x, y};
  }
}

}  // namespace rw::study
