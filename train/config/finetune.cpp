#include "train/config/finetune.hpp"

#include <algorithm>

#include "train/config/positions.hpp"
#include "train/config/presets.hpp"
#include "train/config/run_toml.hpp"

namespace rw {
namespace {

constexpr double kLrShare = 0.1;  // of the preset's
constexpr int64_t kSequences = 32, kEpochs = 2;
constexpr const char* kFromCheckpoint = "checkpoint";
constexpr std::string_view kMayDiffer[] = {"dropout", "context"};

// What makes the model, as a layer.
ConfigLayer layer_of(const ModelConfig& model) {
  Settings settings;
  settings.model = model;
  settings.size = nearest_preset(parameter_count(model)).name;
  ConfigLayer layer;
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (setting.section == Section::model || setting.section == Section::positions)
      layer.values.push_back(
          {std::string(setting.name), field_text(setting.unit, field),
           setting.name == "size" ? "finetune default: the preset nearest to the model" : kFromCheckpoint});
  });
  return layer;
}

void check_model(const ModelConfig& parent, const Resolved& resolved) {
  Settings before = resolved.settings;
  before.model = parent;
  for (const SettingDifference& d : settings_difference(before, resolved.settings)) {
    if (std::ranges::find(kMayDiffer, d.name) != std::end(kMayDiffer)) continue;
    throw UserError(
        Exit::usage,
        d.name + " is " + d.after + " (" + resolved.origins.at(d.name) + "), the checkpoint's model has " + d.before,
        "a fine-tuning keeps the model; leave " + d.name + " out, or train a new model: ropewalk pretrain");
  }
}

// The last value that a layer gives, or `otherwise`.
int64_t context_of(std::span<const ConfigLayer> layers, int64_t otherwise) {
  Settings settings;
  settings.model.context = otherwise;
  visit_settings(settings, [&](const Setting& setting, const Field& field) {
    if (setting.name != "context") return;
    for (const ConfigLayer& layer : layers)
      for (const Assignment& value : layer.values)
        if (value.name == setting.name) set_field(setting.unit, field, value.text);
  });
  return settings.model.context;
}

void check_context(const ModelConfig& parent, const ModelConfig& extended, const Resolved& resolved,
                   bool untrained_positions) {
  const int64_t context = resolved.settings.model.context;
  if (context <= parent.context) return;
  const std::string what = "context is " + std::to_string(context) + " (" + resolved.origins.at("context") +
                           "), the model ",
                    trained = std::to_string(parent.context);
  if (parent.learned_positions())
    throw UserError(Exit::usage, what + "has learned positions up to " + trained,
                    "it has no more; give --context " + trained + " or less");
  if (!untrained_positions && extended == parent)
    throw UserError(Exit::usage, what + "was trained up to " + trained,
                    "positions beyond are new to it; extend them, as by  --rope yarn,  give --context " + trained +
                        " or less, or take them as they are:  --allow-untrained-positions");
}

}  // namespace

FinetuneSettings resolve_finetune(const ModelConfig& parent, std::span<const ConfigLayer> layers,
                                  bool untrained_positions) {
  for (const ConfigLayer& layer : layers)
    for (const Assignment& value : layer.values)
      if (value.name == "size")
        throw UserError(Exit::usage, "size is " + value.text + " (" + value.origin + "), and cannot be chosen",
                        "the model of a fine-tuning is the checkpoint's; leave size out");
  for (const ConfigLayer& layer : layers)
    if (!layer.problems.empty()) throw layer.problems.front();
  const std::vector<Assignment> changes = position_changes(layers);
  const ModelConfig extended = with_positions(parent, changes, context_of(layers, parent.context));
  std::vector<ConfigLayer> all = {layer_of(extended)};
  all.insert(all.end(), layers.begin(), layers.end());
  FinetuneSettings out{resolve(all), extended};
  check_model(extended, out.resolved);
  check_context(parent, extended, out.resolved, untrained_positions);

  Settings& s = out.resolved.settings;
  Origins& origins = out.resolved.origins;
  const auto from_preset = [&](const char* name) { return origins.at(name).starts_with("preset "); };
  const Preset& preset = find_preset(s.size);
  if (from_preset("lr")) {
    s.optimizer.lr = kLrShare * preset.lr;
    origins["lr"] = "finetune default: a tenth of preset " + s.size;
  }
  if (from_preset("batch") && s.model.context > 0) {
    const int64_t most = std::max<int64_t>(1, preset.batch / s.model.context);
    const int64_t sequences = std::min(kSequences, most);
    s.train.batch = sequences * s.model.context;
    origins["batch"] = "finetune default: " + std::to_string(sequences) + " sequences";
  }
  out.model.dropout = s.model.dropout;
  out.model.context = std::max(parent.context, s.model.context);
  return out;
}

void set_finetune_length(Resolved& settings, uint64_t data_tokens) {
  if (!settings.origins.at("tokens").starts_with("preset ")) return;
  settings.settings.train.tokens = kEpochs * static_cast<int64_t>(data_tokens);
  settings.origins["tokens"] = "finetune default: " + std::to_string(kEpochs) + " epochs";
}

}  // namespace rw
