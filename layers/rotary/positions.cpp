#include "layers/rotary/positions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/math/real.hpp"
#include "layers/rotary/words.hpp"

namespace rw {
namespace {

using Kind = PositionKind;

constexpr std::string_view kKindNames[] = {"rope",        "learned", "none",   "rerope",    "leaky", "inverse_leaky",
                                           "self_extend", "window",  "lambda", "streaming", "hwfa",  "hwfa2"};

template <class... Kinds>
bool is(Kind kind, Kinds... one_of) {
  return ((kind == one_of) || ...);
}

int64_t sinks_of(const PositionConfig& config) { return std::max<int64_t>(config.sinks, 0); }

int64_t default_window(const PositionConfig& config, int64_t trained, int64_t layers) {
  switch (config.kind) {
    case Kind::rerope:
      return trained / 2;
    case Kind::leaky:
    case Kind::inverse_leaky:
    case Kind::self_extend:
      return trained / 4;
    case Kind::window:
    case Kind::lambda:
      return trained;
    case Kind::streaming:
      return trained - sinks_of(config);
    case Kind::hwfa:  // the largest with (w - 1)(layers - 1) + 1 ≤ 3N/4
      return 1 + (3 * trained - 4) / (4 * std::max<int64_t>(layers - 1, 1));
    case Kind::hwfa2:
      return 3 * trained / std::max<int64_t>(layers, 1);
    default:
      return 0;
  }
}

bool has_window(Kind kind) { return !is(kind, Kind::rope, Kind::learned, Kind::none); }

bool is_full(const PositionConfig& config, int64_t layer, int64_t layers) {  // of hwfa and hwfa2
  if (config.kind == Kind::hwfa) return layer == layers - 1;
  for (int64_t k = 1; k <= config.full_layers; ++k)
    if (layer == k * layers / (config.full_layers + 1)) return true;
  return false;
}

// What the far branch is in this phase, and from which distance on; `rope` if there is none.
struct Far {
  Kind kind = Kind::rope;
  int64_t from = 0;
};
Far far_branch(const PositionConfig& config, Phase phase) {
  switch (config.kind) {
    case Kind::rerope:
    case Kind::leaky:
    case Kind::self_extend:
      return {config.kind, config.window};
    case Kind::inverse_leaky:
      return phase == Phase::training ? Far{Kind::leaky, config.window} : Far{};
    case Kind::lambda:
    case Kind::streaming:
      return sinks_of(config) > 0 ? Far{config.kind, config.window} : Far{};
    case Kind::hwfa2:
      return phase == Phase::inference && config.full_window > 0 ? Far{Kind::rerope, config.full_window} : Far{};
    default:
      return {};
  }
}

// The first field that is given and that the kind does not use.
std::string without_use(const PositionConfig& config) {
  const Kind kind = config.kind;
  const struct {
    const char* name;
    bool given, used;
  } fields[] = {
      {"window", config.window != 0, has_window(kind)},
      {"far_step", config.far_step != 0, is(kind, Kind::leaky, Kind::inverse_leaky)},
      {"group", config.group != 0, kind == Kind::self_extend},
      {"sinks", config.sinks != 0, is(kind, Kind::lambda, Kind::streaming)},
      {"reach", config.reach != 0, kind == Kind::lambda},
      {"full_layers", config.full_layers != 0, kind == Kind::hwfa2},
      {"full_window", config.full_window != 0, kind == Kind::hwfa2},
      {"log_n_min", config.log_n_min != 1, config.log_n == LogN::trained},
  };
  for (const auto& field : fields)
    if (field.given && !field.used) return field.name;
  return "";
}

}  // namespace

std::string_view position_kind_name(PositionKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

PositionConfig resolve_positions(const PositionConfig& config, int64_t trained, int64_t layers) {
  PositionConfig out = config;
  const auto fill = [](auto& field, auto value) {
    if (field == 0) field = value;
  };
  if (out.kind == Kind::lambda) fill(out.sinks, 10);
  if (out.kind == Kind::streaming) fill(out.sinks, 4);
  if (has_window(out.kind)) fill(out.window, std::max<int64_t>(default_window(out, trained, layers), 1));
  if (out.kind == Kind::leaky) fill(out.far_step, 1.0 / 16);
  if (out.kind == Kind::inverse_leaky) fill(out.far_step, 16.0);
  if (out.kind == Kind::self_extend) fill(out.group, 8);
  if (out.kind == Kind::lambda) fill(out.reach, out.window);
  if (out.kind == Kind::hwfa2) fill(out.full_layers, 2);
  if (out.kind == Kind::hwfa && out.log_n == LogN::off) out.log_n = LogN::trained;
  return out;
}

std::string position_problem(const PositionConfig& config, int64_t trained, int64_t layers) {
  for (const auto& [what, value] : {std::pair("window", config.window),
                                    {"group", config.group},
                                    {"sinks", config.sinks},
                                    {"reach", config.reach},
                                    {"full window", config.full_window}})
    if (value > std::numeric_limits<int32_t>::max())
      return words("the ", what, " is ", value, ", and must be at most ", std::numeric_limits<int32_t>::max());
  const Kind kind = config.kind;
  const std::string_view name = position_kind_name(kind);
  if (const std::string field = without_use(config); !field.empty()) return words(name, " has no use for ", field);
  if (kind == Kind::hwfa && layers < 2)
    return words("hwfa needs 2 layers or more, one of them without a window, not ", layers);
  const int64_t least = kind == Kind::hwfa ? 2 : 1;
  if (has_window(kind) && config.window < least)
    return words("the window of ", name, " is ", config.window, ", and must be at least ", least);
  if (kind == Kind::leaky && !(config.far_step >= 0 && config.far_step < 1))
    return words("the far step of leaky is ", config.far_step, ", and must be at least 0 and below 1",
                 config.far_step > 1 ? ": a step above 1 is for training, --positions inverse_leaky" : "");
  if (kind == Kind::inverse_leaky && !(config.far_step >= 1 && std::isfinite(config.far_step)))
    return words("the far step of inverse_leaky is ", config.far_step,
                 ", and must be at least 1: a step below 1 is the forward use, --positions leaky");
  if (kind == Kind::self_extend && config.group < 1)
    return words("the group of self_extend is ", config.group, ", and must be at least 1");
  if (config.sinks < -1) return words("there are ", config.sinks, " sinks; -1 stands for none");
  if (kind == Kind::lambda && config.reach < 1)
    return words("the reach of lambda is ", config.reach, ", and must be at least 1");
  if (kind == Kind::hwfa2 && (config.full_layers < 1 || config.full_layers > layers))
    return words("hwfa2 has ", config.full_layers, " full layers of ", layers, ", and needs from 1 to all");
  if (config.full_window < 0) return words("the full window of hwfa2 is ", config.full_window, "; 0 stands for none");
  if (config.log_n != LogN::off && trained < 2)
    return words("log n needs a trained length of at least 2, not ", trained);
  if (config.log_n_min < 1) return words("log_n_min is ", config.log_n_min, ", and must be at least 1");
  return "";
}

std::vector<std::string> position_warnings(const PositionConfig& config, int64_t trained, int64_t layers,
                                           int64_t length) {
  std::vector<std::string> out;
  const auto warn = [&](const auto&... part) { out.push_back(words(part...)); };
  const Kind kind = config.kind;
  const std::string_view name = position_kind_name(kind);
  const int64_t w = config.window, last = length - 1;
  if (is(kind, Kind::rerope, Kind::leaky, Kind::self_extend) && w >= trained)
    warn("the window of ", name, ", ", w, ", is not below the trained length ", trained,
         ": distances up to the window were never trained");
  if (kind == Kind::inverse_leaky && w >= trained)
    warn("the window of inverse_leaky, ", w, ", is not below the trained length ", trained,
         ": no pair is far, so this trains plain rope");
  if (is(kind, Kind::leaky, Kind::self_extend) && w < trained && last >= w) {
    const double reach = effective_distance(config, Phase::inference, last, 0);
    if (reach >= real(trained))
      warn("a text of ", length, " reaches the distance ", reach, ", and only those below ", trained,
           " were trained: ", kind == Kind::leaky ? "a smaller far step" : "a larger group", " would do");
  }
  if (kind == Kind::inverse_leaky && w < trained && length > trained) {
    const double reach = effective_distance(config, Phase::training, trained - 1, 0);
    if (real(last) > reach)
      warn("a text of ", length, " has distances up to ", last, ", and inverse_leaky trains up to ", reach,
           ": a larger far step would do");
  }
  if (kind == Kind::lambda && std::max(w, config.reach) > trained)
    warn("lambda's window ", w, " and reach ", config.reach, " go beyond the trained length ", trained);
  if (kind == Kind::streaming && w > trained - sinks_of(config))
    warn("streaming keeps ", w, " keys and ", sinks_of(config), " sinks, more than the trained length ", trained);
  if (kind == Kind::hwfa2 && config.full_window >= trained)
    warn("the full window of hwfa2, ", config.full_window, ", is not below the trained length ", trained,
         ": distances up to the window were never trained");
  if (kind == Kind::hwfa) {
    const int64_t reach = (w - 1) * (layers - 1) + 1;
    if (4 * reach > 3 * trained)
      warn("the windows of hwfa together reach ", reach, " tokens, ", real(reach) / real(trained),
           " of the trained length, and the source recommends at most 3/4: a smaller window would do");
  }
  return out;
}

LayerPositions layer_positions(const PositionConfig& config, int64_t layer, int64_t layers, Phase phase) {
  RW_CHECK(layer >= 0 && layer < layers, layer, layers);
  LayerPositions out;
  out.rotated = is_rotary(config.kind);
  out.scaled = config.log_n != LogN::off;
  const Far far = far_branch(config, phase);
  if (far.kind != Kind::rope) out.near = far.from;
  switch (config.kind) {
    case Kind::window:
      out.window = config.window;
      break;
    case Kind::lambda:
    case Kind::streaming:
      out.window = config.window;
      out.sinks = sinks_of(config);
      break;
    case Kind::hwfa:
    case Kind::hwfa2:
      if (!is_full(config, layer, layers)) return {.window = config.window};
      out.rotated = config.kind == Kind::hwfa2;
      break;
    default:
      break;
  }
  return out;
}

double far_query(const PositionConfig& config, Phase phase, int64_t i) {
  const Far far = far_branch(config, phase);
  switch (far.kind) {
    case Kind::rerope:
      return real(far.from);
    case Kind::leaky:
      return real(far.from) + config.far_step * real(i - far.from);
    case Kind::self_extend:
      return real(i / config.group + far.from - far.from / config.group);
    case Kind::lambda:
      return real(std::min(config.reach, i));
    case Kind::streaming:
      return real(std::min(i, config.sinks + far.from - 1));
    default:
      return real(i);
  }
}

double far_key(const PositionConfig& config, Phase phase, int64_t j) {
  switch (far_branch(config, phase).kind) {
    case Kind::rerope:
    case Kind::lambda:
      return 0;
    case Kind::leaky:
      return config.far_step * real(j);
    case Kind::self_extend:
      return real(j / config.group);
    default:
      return real(j);
  }
}

double effective_distance(const PositionConfig& config, Phase phase, int64_t i, int64_t j) {
  const Far far = far_branch(config, phase);
  if (far.kind == Kind::rope || i - j < far.from) return real(i - j);
  return far_query(config, phase, i) - far_key(config, phase, j);
}

int64_t least_in_log_n(const PositionConfig& config, int64_t trained) {
  return config.log_n == LogN::beyond ? trained : std::max<int64_t>(config.log_n_min, 1);
}

double query_factor(const PositionConfig& config, int64_t trained, int64_t i) {
  if (config.log_n == LogN::off) return 1;
  return std::log(real(std::max(i + 1, least_in_log_n(config, trained)))) / std::log(real(trained));
}

}  // namespace rw
