#include "train/report/sweep_file.hpp"

#include <cmath>
#include <limits>

#include "core/file/file.hpp"
#include "core/file/json.hpp"

namespace rw::report {
namespace {

constexpr uint64_t kLargestSweep = uint64_t{16} << 20;  // bytes
constexpr double kMost = 0x1p40;                        // tokens, nats: larger ones are no lengths and no losses

// A row of the array. Each of its functions throws the UserError that names row and key.
struct Row {
  const std::string& file;
  size_t index;
  const Json& json;

  UserError bad(const std::string& key, const std::string& why) const {
    return UserError(Exit::data, file + ": " + key + " of row " + std::to_string(index + 1) + " " + why,
                     "give what  ropewalk eval RUN --data DATA --context-sweep 512,1k,2k --json  printed");
  }
  const Json& at(const Json& object, const std::string& key) const {
    if (!object.is_object() || !object.contains(key)) throw bad(key, "is missing");
    return object[key];
  }
  std::string text(const std::string& key) const {
    const Json& value = at(json, key);
    if (!value.is_string()) throw bad(key, "is no text");
    return value.get<std::string>();
  }
  double number(const Json& value, const std::string& key) const {
    if (!value.is_number()) throw bad(key, "holds what is no number");
    const auto out = value.get<double>();
    if (!(std::abs(out) <= kMost)) throw bad(key, "holds a number that is too large");
    return out;
  }
  double at_least(const Json& value, const std::string& key, double least) const {
    const double out = number(value, key);
    if (out < least) throw bad(key, "holds a number below " + std::to_string(static_cast<int>(least)));
    return out;
  }
  double share(const Json& value, const std::string& key) const {
    const double out = at_least(value, key, 0);
    if (out > 1) throw bad(key, "holds a share above 1");
    return out;
  }
  double loss(const Json& value, const std::string& key) const {  // null: not finite
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : number(value, key);
  }
  const Json& list(const std::string& key) const {
    const Json& value = at(json, key);
    if (!value.is_array() || value.empty()) throw bad(key, "is no list");
    return value;
  }

  template <class F>
  std::vector<std::vector<double>> matrix(const std::string& key, size_t rows, size_t columns, F&& f) const {
    const Json& value = list(key);
    std::vector<std::vector<double>> out;
    for (const Json& line : value) {
      if (!line.is_array() || line.size() != columns || value.size() != rows)
        throw bad(key, "is not as large as depths and lengths say");
      out.emplace_back();
      for (const Json& cell : line) out.back().push_back(f(cell));
    }
    return out;
  }
};

SweepRow sweep_of(const Row& row) {
  SweepRow out{.system = row.text("system"),
               .positions = row.text("positions"),
               .fingerprint = row.text("fingerprint"),
               .text = row.text("text")};
  for (const Json& cell : row.list("lengths")) {
    const double length = row.at_least(row.at(cell, "length"), "length", 1);
    out.loss.push_back({length, row.loss(row.at(cell, "loss"), "loss")});
    out.accuracy.push_back({length, row.share(row.at(cell, "accuracy"), "accuracy")});
    out.longest = std::max(out.longest, length);
  }
  for (const Json& part : row.list("by_position")) {
    const double first = row.at_least(row.at(part, "first"), "first", 0);
    const double count = row.at_least(row.at(part, "count"), "count", 1);
    out.part_loss.push_back({first + (count - 1) / 2, row.loss(row.at(part, "loss"), "loss")});
  }
  const auto ascend = [](const std::vector<Point>& points) { return std::ranges::is_sorted(points, {}, &Point::x); };
  if (!ascend(out.loss)) throw row.bad("lengths", "do not ascend");
  if (!ascend(out.part_loss)) throw row.bad("by_position", "does not ascend");
  return out;
}

PasskeyRow passkey_of(const Row& row) {
  PasskeyRow out{.system = row.text("system"),
                 .positions = row.text("positions"),
                 .fingerprint = row.text("fingerprint"),
                 .form = row.text("form"),
                 .trials = integer_of(row.at(row.json, "trials")).value_or(0)};
  if (out.trials < 1) throw row.bad("trials", "is no whole number from 1");
  for (const Json& length : row.list("lengths")) out.lengths.push_back(row.at_least(length, "lengths", 1));
  for (const Json& depth : row.list("depths")) out.depths.push_back(row.share(depth, "depths"));
  const auto share = [&](const Json& cell) { return row.share(cell, "accuracy"); };
  const auto loss = [&](const Json& cell) { return row.loss(cell, "loss"); };
  out.accuracy = row.matrix("accuracy", out.depths.size(), out.lengths.size(), share);
  out.loss = row.matrix("loss", out.depths.size(), out.lengths.size(), loss);
  return out;
}

}  // namespace

SweepFile parse_sweep_file(const std::string& name, std::string_view text) {
  const Json json = parse_json(name, text);
  if (!json.is_array() || json.empty())
    throw UserError(Exit::data, name + " holds no rows of a sweep",
                    "give what  ropewalk eval RUN --data DATA --context-sweep 512,1k,2k --json  printed");
  SweepFile out{.name = name};
  for (size_t i = 0; i < json.size(); ++i) {
    const Row row{name, i, json[i]};
    const std::string kind = row.text("text");
    if (kind == "passkey")
      out.passkeys.push_back(passkey_of(row));
    else if (kind == "natural" || kind == "repeated")
      out.sweeps.push_back(sweep_of(row));
    else
      throw row.bad("text", "is neither natural, repeated nor passkey");
  }
  return out;
}

SweepFile read_sweep_file(const std::filesystem::path& file) {
  return parse_sweep_file(file.string(), read_text(file, kLargestSweep));
}

}  // namespace rw::report
