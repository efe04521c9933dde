#include <algorithm>
#include <optional>

#include "core/file/json.hpp"
#include "layers/rotary/words.hpp"
#include "train/exchange/hf_positions.hpp"

namespace rw {
namespace {

constexpr std::pair<const char*, RopeRule> kRopeTypes[] = {{"default", RopeRule::plain},
                                                           {"linear", RopeRule::linear},
                                                           {"dynamic", RopeRule::dynamic},
                                                           {"yarn", RopeRule::yarn},
                                                           {"llama3", RopeRule::llama3},
                                                           {"longrope", RopeRule::longrope},
                                                           {"proportional", RopeRule::proportional}};

struct Rotation {
  RopeConfig rope;
  int64_t trained = 0;  // 0: M
  bool operator==(const Rotation&) const = default;
};

// What the file says outside of the dictionary.
struct Around {
  double base = 10000;
  std::optional<double> share;
  std::optional<int64_t> original;
  int64_t most = 0;  // M
};

std::optional<int64_t> optional_size(JsonKeys& keys, const std::string& key) {
  if (keys.is_null(key)) return keys.take(key), std::nullopt;
  return keys.size(key);
}

RopeRule take_type(JsonKeys& keys) {
  const std::string now = keys.text("rope_type"), old = keys.text("type");
  if (!now.empty() && !old.empty() && now != old)
    throw keys.bad("rope_type", "type is '" + old + "': transformers 4 reads the one, 5 the other");
  const std::string type = !now.empty() ? now : !old.empty() ? old : "default";
  const auto known = std::ranges::find(kRopeTypes, type, [](const auto& t) { return std::string_view(t.first); });
  if (known == std::end(kRopeTypes))
    throw keys.bad(now.empty() ? "type" : "rope_type",
                   "rope_type '" + type +
                       "' is not known: default, linear, dynamic, yarn, llama3, longrope and "
                       "proportional are");
  return known->second;
}

std::vector<double> take_numbers(JsonKeys& keys, const std::string& key) {
  const Json& json = keys.take(key);
  if (!json.is_array() || !std::ranges::all_of(json, [](const Json& v) { return v.is_number(); }))
    throw keys.bad(key, "a list of numbers is wanted");
  return json.get<std::vector<double>>();
}

// N of the types that name it.
int64_t take_original(JsonKeys& keys, const Around& around) {
  const auto inside = optional_size(keys, "original_max_position_embeddings");
  if (inside && around.original && inside != around.original)
    throw keys.bad("original_max_position_embeddings",
                   words("outside of the dictionary it is ", *around.original, ": one of the two is wrong"));
  return inside ? *inside : around.original.value_or(around.most);
}

Rotation take_rotation(JsonKeys& keys, const Around& around) {
  for (const char* layers : {"full_attention", "sliding_attention", "chunked_attention"})
    if (!keys.is_null(layers)) throw keys.bad(layers, "rotations for each type of layer are not known");
  Rotation out;
  RopeConfig& rope = out.rope;
  rope.rule = take_type(keys);
  rope.base = keys.number("rope_theta", around.base);
  const double share = keys.number("partial_rotary_factor", around.share.value_or(1));
  if (share != 1 && rope.rule != RopeRule::proportional)
    throw UserError(Exit::data, keys.name() + ": partial_rotary_factor is " + words(share),
                    "in this architecture transformers ignores it or fails, unless rope_type is 'proportional'");
  rope.share = share;
  const auto needs_factor = [&] {
    if (keys.is_null("factor")) throw keys.bad("factor", "this rope_type needs it");
    return keys.number("factor", 1);
  };
  const auto of_lengths = [&] { return static_cast<double>(around.most) / static_cast<double>(out.trained); };
  switch (rope.rule) {
    case RopeRule::linear:
      rope.factor = needs_factor();
      out.trained = around.original.value_or(0);
      break;
    case RopeRule::dynamic:
      rope.factor = needs_factor();
      break;
    case RopeRule::proportional:
      rope.factor = keys.number("factor", 1);
      break;
    case RopeRule::yarn:
      out.trained = take_original(keys, around);
      if (!keys.has("factor")) throw keys.bad("factor", "this rope_type needs it");
      rope.factor = keys.number("factor", of_lengths());
      rope.attention_factor = keys.number("attention_factor", 0);
      rope.beta_fast = keys.number("beta_fast", 0), rope.beta_slow = keys.number("beta_slow", 0);
      rope.mscale = keys.number("mscale", 0), rope.mscale_all_dim = keys.number("mscale_all_dim", 0);
      if (keys.has("truncate") && keys.is_null("truncate")) throw keys.bad("truncate", "true or false is wanted");
      rope.truncate = keys.flag("truncate", true);
      break;
    case RopeRule::llama3:
      out.trained = take_original(keys, around);
      rope.factor = needs_factor();
      for (const auto& [key, beta] :
           {std::pair{"low_freq_factor", &rope.beta_slow}, {"high_freq_factor", &rope.beta_fast}}) {
        if (keys.is_null(key)) throw keys.bad(key, "this rope_type needs it");
        *beta = keys.number(key, 1);
      }
      break;
    case RopeRule::longrope:
      out.trained = take_original(keys, around);
      rope.factor = keys.number("factor", std::max(1.0, of_lengths()));
      rope.attention_factor = keys.number("attention_factor", 0);
      rope.short_factor = take_numbers(keys, "short_factor"), rope.long_factor = take_numbers(keys, "long_factor");
      break;
    default:
      break;
  }
  keys.done("rope_type '" + std::string(rope.rule == RopeRule::plain ? "default" : rope_rule_name(rope.rule)) +
            "' has no such key\nif it changes nothing, take it out of the file");
  if (out.trained == around.most) out.trained = 0;
  return out;
}

void take_windows(JsonKeys& keys, const std::string& model_type, ModelConfig& m) {
  const bool qwen = model_type != "llama";
  if (!qwen) keys.must_be("use_sliding_window", false, "the architecture has no sliding windows");
  const bool wanted = keys.flag("use_sliding_window", false);
  const int64_t window = qwen && wanted ? optional_size(keys, "sliding_window").value_or(0) : 0;
  const Json &first = keys.take("max_window_layers"), &types = keys.take("layer_types");
  keys.harmless({"sliding_window"});
  int64_t windows = 0;
  if (!types.is_null()) {
    if (!types.is_array() || static_cast<int64_t>(types.size()) != m.layers)
      throw keys.bad("layer_types", words("a type for each of the ", m.layers, " layers is wanted"));
    for (const Json& type : types) {
      if (type != "full_attention" && type != "sliding_attention")
        throw keys.bad("layer_types", "full_attention and sliding_attention are known");
      windows += type == "sliding_attention";
    }
    if (windows > 0 && window == 0) throw keys.bad("layer_types", "without use_sliding_window no layer has a window");
  } else if (window > 0) {                                                       // the layers from max_window_layers on
    const int64_t from = first.is_null() ? 28 : integer_of(first).value_or(-1);  // 28: transformers' default
    if (from < 0) throw keys.bad("max_window_layers", "a whole number from 0 is wanted");
    windows = std::max<int64_t>(0, m.layers - from);
  }
  if (windows == 0) return;
  if (windows != m.layers)
    throw keys.bad(types.is_null() ? "max_window_layers" : "layer_types", "windows in some layers only are not known");
  m.positions = {.kind = PositionKind::window, .window = window};
}

}  // namespace

void take_hf_positions(JsonKeys& keys, const std::string& name, const std::string& model_type, ModelConfig& m) {
  Around around;
  around.base = keys.number("rope_theta", 10000);
  if (const double share = keys.number("partial_rotary_factor", 0); share > 0) around.share = share;
  around.original = optional_size(keys, "original_max_position_embeddings");
  around.most = m.context;
  std::string from = "rope_theta";
  std::optional<Rotation> rotation;
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const Json& json = keys.take(key);
    if (json.is_null() || (json.is_object() && json.empty())) continue;
    if (!json.is_object()) throw keys.bad(key, "an object or null is wanted");
    JsonKeys inside(name + ": " + key, json);
    const Rotation read = take_rotation(inside, around);
    if (rotation && read != *rotation)
      throw keys.bad(key, "rope_parameters asks for another rotation: take the one out that is wrong");
    rotation = read, from = key;
  }
  if (!rotation) {
    const Json none = Json::object();
    JsonKeys inside(name, none);
    rotation = take_rotation(inside, around);
  }
  m.rope = rotation->rope, m.trained_context = rotation->trained;
  if (const std::string problem = rope_problem(m.rope, m.head_width, m.trained()); !problem.empty())
    throw keys.bad(from, problem);
  take_windows(keys, model_type, m);
}

}  // namespace rw
