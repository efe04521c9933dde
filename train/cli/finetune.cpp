#include <CLI/CLI.hpp>

#include "train/cli/settings_options.hpp"
#include "train/cli/training_result.hpp"
#include "train/loop/machine.hpp"

namespace rw::cli {
namespace {

struct Finetune {
  std::string from;
  bool untrained_positions = false, dry_run = false;
  SettingsOptions settings;

  void add_options(CLI::App& app) {
    app.add_option("--from", from, "a run, its checkpoints, one of them, or what `ropewalk import` made")->required();
    app.add_flag("--allow-untrained-positions", untrained_positions,
                 "--context may be longer than what the model was trained on, with nothing changed");
    app.add_flag("--dry-run", dry_run, "check everything, print the memory that the run would take, and stop");
    settings.add(app,
                 {Section::model, Section::positions, Section::data, Section::train, Section::optimizer, Section::run},
                 {"size"});
    Settings defaults;
    visit_settings(defaults, [&](const Setting& setting, const Field&) {
      if ((setting.section == Section::model || setting.section == Section::positions) && setting.name != "size")
        app.get_option(option_name(setting.name))->default_str("the checkpoint's");
    });
    app.get_option("--tokens")->default_str("2 epochs of the data");
    app.get_option("--batch")->default_str("32 sequences, or the preset's if that is less");
    app.get_option("--lr")->default_str("a tenth of the preset's that is nearest in size");
  }

  Exit run(const Global& global) {
    const FinetuneOptions finetune{
        .from = from, .layers = settings.layers(), .untrained_positions = untrained_positions};
    if (dry_run) {
      const MemoryPlan plan = Trainer::dry_run(finetune);
      print((global.json ? memory_json(plan) : memory_table(plan)) + "\n");
      return Exit::ok;
    }
    const TrainingResult result =
        Trainer::finetune(finetune, {.arguments = global.arguments, .json = global.json, .quiet = global.quiet});
    return print_result(result, rw::resolve(finetune.layers).settings.run.out, global);
  }
};

}  // namespace

Command finetune_command() {
  return make_command<Finetune>(
      "finetune", "train a model further: from a checkpoint, with fresh optimizer state",
      "ropewalk finetune --from runs/first --data pairs --out runs/tuned\n"
      "ropewalk finetune --from imported --data data --steps 200 --lr 1e-4 --context 256 --out runs/tuned\n"
      "ropewalk finetune --from runs/first --data data --context 2k --rope yarn --out runs/longer\n"
      "ropewalk finetune --from runs/first --data data --freeze 'model.embed_tokens.*,model.layers.0.*' --out "
      "runs/tuned\n");
}

}  // namespace rw::cli
