#include "train/config/positions.hpp"

#include <algorithm>

namespace rw {
namespace {

bool takes_factor(RopeRule rule) {
  return rule != RopeRule::plain && rule != RopeRule::dynamic && rule != RopeRule::proportional;
}

const Assignment* last_of(std::span<const Assignment> changes, std::string_view name) {
  const Assignment* found = nullptr;
  for (const Assignment& change : changes)
    if (change.name == name) found = &change;
  return found;
}

UserError fixed(const std::string& what, const std::string& was, const std::string& advice) {
  return UserError(Exit::usage, what + ", and the model was trained with " + was, advice);
}

std::string value_of(const ModelConfig& model, std::string_view name) {
  Settings settings;
  settings.model = model;
  std::string out;
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (setting.name == name) out = field_text(setting.unit, field);
  });
  return out;
}

// What the weights were trained for.
void check_fixed(const ModelConfig& before, const ModelConfig& after) {
  for (const char* name : {"rope_layout", "rope_share"})
    if (value_of(before, name) != value_of(after, name))
      throw fixed(std::string(name) + " is " + value_of(after, name), value_of(before, name), "leave it out");
  const auto family = [](const ModelConfig& m) {
    const PositionKind kind = m.positions.kind;
    return m.rotary() && kind != PositionKind::hwfa ? PositionKind::rope : kind;
  };
  if (family(before) != family(after))
    throw fixed("positions is " + value_of(after, "positions"), value_of(before, "positions"),
                "such a change takes a new training: ropewalk pretrain");
  const bool trained_before = before.positions.log_n == LogN::trained,
             trained_after = after.positions.log_n == LogN::trained;
  if (trained_before != trained_after)
    throw fixed("log_n is " + value_of(after, "log_n"), value_of(before, "log_n"),
                trained_before ? "it needs it in use too; leave log_n out" : "after training there is  --log-n beyond");
}

}  // namespace

std::vector<Assignment> position_changes(std::span<const ConfigLayer> layers) {
  Settings scratch;
  std::vector<std::string_view> names;
  visit_settings(scratch, [&](const Setting& setting, const Field&) {
    if (setting.section == Section::positions) names.push_back(setting.name);
  });
  std::vector<Assignment> out;
  for (const ConfigLayer& layer : layers)
    std::ranges::copy_if(layer.values, std::back_inserter(out),
                         [&](const Assignment& value) { return std::ranges::find(names, value.name) != names.end(); });
  return out;
}

ModelConfig with_positions(const ModelConfig& model, std::span<const Assignment> changes, int64_t length) {
  if (changes.empty()) return model;
  Settings settings;
  ModelConfig& m = settings.model;
  m = model;
  m.trained_context = model.trained();
  if (last_of(changes, "rope")) m.rope = {.base = model.rope.base, .share = model.rope.share};
  if (last_of(changes, "positions"))
    m.positions = {.log_n = model.positions.log_n, .log_n_min = model.positions.log_n_min};
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (const Assignment* change = last_of(changes, setting.name)) set_field(setting.unit, field, change->text);
  });
  check_fixed(model, m);
  if (last_of(changes, "rope") && takes_factor(m.rope.rule) && !last_of(changes, "factor")) {
    m.rope.factor = static_cast<double>(length) / static_cast<double>(m.trained());
    if (m.rope.factor <= 1)
      throw UserError(Exit::usage,
                      "rope " + std::string(rope_rule_name(m.rope.rule)) + " has nothing to extend: context is " +
                          std::to_string(length) + ", and the model was trained up to " + std::to_string(m.trained()),
                      "give a longer --context, or the --factor itself");
  }
  if (m.rope.rule == RopeRule::plain && m.positions.kind == PositionKind::rope && m.positions.log_n == LogN::off)
    m.trained_context = 0;  // nothing extends from it
  m.positions = resolve_positions(m.positions, m.trained(), m.layers);
  const auto refuse = [](const std::string& problem) {
    if (!problem.empty()) throw UserError(Exit::usage, "the positions are refused: " + problem);
  };
  if (!m.rotary() && m.rope != RopeConfig{.base = m.rope.base})
    refuse("nothing is rotated by " + value_of(m, "positions"));
  if (m.rotary()) refuse(rope_problem(m.rope, m.head_width, m.trained()));
  refuse(position_problem(m.positions, m.trained(), m.layers));
  return m;
}

}  // namespace rw
