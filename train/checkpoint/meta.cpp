#include "train/checkpoint/meta.hpp"

#include <cmath>
#include <stdexcept>

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"

namespace rw {

namespace {

constexpr const char* kFormat = "ropewalk checkpoint";
constexpr int64_t kVersion = 1;

// JSON has no word for what is not finite.
Json to_json(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

int64_t integer(const Json& json, const char* key) {
  const auto value = integer_of(json.at(key));
  if (!value) throw std::invalid_argument(std::string(key) + " is not a whole number");
  return *value;
}

double number(const Json& json) {
  if (json.is_string()) return std::stod(json.get<std::string>());
  return json.get<double>();
}

std::optional<double> optional_number(const Json& json) {
  if (json.is_null()) return {};
  return number(json);
}

}  // namespace

std::string to_text(const CheckpointMeta& meta) {
  const auto optional = [](const std::optional<double>& value) { return value ? to_json(*value) : Json(); };
  Json state = Json::object();
  for (const auto& [name, value] : meta.state) state[name] = to_json(value);
  const Json json = {{"format", kFormat},
                     {"format_version", kVersion},
                     {"step", meta.step},
                     {"tokens", meta.tokens},
                     {"val_loss", optional(meta.val_loss)},
                     {"best_val", optional(meta.best_val)},
                     {"state", state},
                     {"model", meta.model},
                     {"settings", meta.settings},
                     {"tokenizer_hash", meta.tokenizer_hash},
                     {"rope_fingerprint", meta.rope_fingerprint},
                     {"ends", meta.ends},
                     {"command", meta.command},
                     {"version", meta.version},
                     {"parent", meta.parent}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

CheckpointMeta parse_meta(const std::string& name, std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format", Json()) != kFormat)
    throw UserError(Exit::data, name + " is not a checkpoint", "its /meta is of another kind of file");
  if (json.value("format_version", Json()) != kVersion)
    throw UserError(Exit::data, name + " is of checkpoint version " + json.value("format_version", Json()).dump(),
                    "this program knows version " + std::to_string(kVersion) + "\na newer one wrote it: use that");
  try {
    CheckpointMeta meta;
    meta.step = integer(json, "step");
    meta.tokens = integer(json, "tokens");
    meta.val_loss = optional_number(json.at("val_loss"));
    meta.best_val = optional_number(json.at("best_val"));
    for (const auto& [key, value] : json.at("state").items()) meta.state[key] = number(value);
    meta.model = json.at("model").get<std::string>();
    meta.settings = json.at("settings").get<std::string>();
    meta.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
    meta.rope_fingerprint = json.at("rope_fingerprint").get<std::string>();
    for (const Json& end : json.value("ends", Json::array())) {
      if (!integer_of(end)) throw std::invalid_argument("ends holds what is not a whole number");
      meta.ends.push_back(*integer_of(end));
    }
    meta.command = json.at("command").get<std::string>();
    meta.version = json.at("version").get<std::string>();
    meta.parent = json.at("parent").get<std::string>();
    return meta;
  } catch (const std::exception& error) {  // of the JSON library, or of stod
    throw UserError(Exit::corrupt, name + " is damaged", std::string("/meta: ") + error.what());
  }
}

}  // namespace rw
