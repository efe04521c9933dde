#include "train/checkpoint/model_json.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"
#include "train/settings.hpp"

namespace rw {
namespace {

// Calls f(name, value in `settings`) for what makes a model.
void visit_model(Settings& settings, const std::function<void(std::string, Field)>& f) {
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (setting.section == Section::model || setting.section == Section::positions) f(std::string(setting.name), field);
  });
}

// What every version has written. The defaults of all else are what an older version computed.
constexpr std::string_view kAlwaysThere[] = {"size",     "vocab",      "layers",    "width",          "heads",
                                             "kv_heads", "head_width", "hidden",    "context",        "tied",
                                             "norm",     "norm_eps",   "mlp",       "attention_bias", "mlp_bias",
                                             "qk_norm",  "positions",  "rope_base", "rope_layout",    "dropout"};

struct ToJson {
  OrderedJson operator()(const int64_t* v) const { return *v; }
  OrderedJson operator()(const double* v) const { return *v; }
  OrderedJson operator()(const bool* v) const { return *v; }
  OrderedJson operator()(const std::string* v) const { return *v; }
  OrderedJson operator()(const std::vector<double>* v) const { return *v; }
  OrderedJson operator()(const Choice& c) const { return std::string(c.names[c.get()]); }
};

struct FromJson {
  const Json& json;

  bool operator()(int64_t* v) const {
    const auto value = integer_of(json);
    if (value) *v = *value;
    return value.has_value();
  }
  bool operator()(double* v) const {
    if (json.is_number()) *v = json.get<double>();
    return json.is_number();
  }
  bool operator()(bool* v) const {
    if (json.is_boolean()) *v = json.get<bool>();
    return json.is_boolean();
  }
  bool operator()(std::string* v) const {
    if (json.is_string()) *v = json.get<std::string>();
    return json.is_string();
  }
  bool operator()(std::vector<double>* v) const {
    const bool right = json.is_array() && std::ranges::all_of(json, [](const Json& x) { return x.is_number(); });
    if (right) *v = json.get<std::vector<double>>();
    return right;
  }
  bool operator()(const Choice& c) const {
    const auto found = std::ranges::find(c.names, json.is_string() ? json.get<std::string>() : std::string());
    if (found != c.names.end()) c.set(static_cast<size_t>(found - c.names.begin()));
    return found != c.names.end();
  }
};

}  // namespace

std::string model_to_json(const ModelConfig& config) {
  Settings settings;
  settings.model = config;
  // Inverse Leaky is a way to train; in use the model is a plain one.
  if (config.positions.kind == PositionKind::inverse_leaky)
    settings.model.positions = {.log_n = config.positions.log_n, .log_n_min = config.positions.log_n_min};
  OrderedJson json;
  visit_model(settings, [&](const std::string& name, const Field& field) { json[name] = std::visit(ToJson(), field); });
  return json.dump();
}

ModelConfig model_from_json(std::string_view text) {
  const auto wrong = [](const std::string& why) {
    return UserError(Exit::data, "a model's configuration cannot be read", why);
  };
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) throw wrong("it is not a JSON object");
  Settings settings;
  visit_model(settings, [&](const std::string& name, const Field& field) {
    const auto found = json.find(name);
    if (found == json.end()) {
      if (std::ranges::find(kAlwaysThere, name) == std::end(kAlwaysThere)) return;
      throw wrong("'" + name + "' is missing");
    }
    if (!std::visit(FromJson{*found}, field)) throw wrong("'" + name + "' is " + found->dump());
    json.erase(found);
  });
  if (!json.empty()) throw wrong("'" + json.begin().key() + "' is not known to this version");
  return settings.model;
}

}  // namespace rw
