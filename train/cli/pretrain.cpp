#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "layers/transformer/position_text.hpp"
#include "train/cli/settings_options.hpp"
#include "train/cli/text_options.hpp"
#include "train/cli/training_result.hpp"
#include "train/config/validate.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/trainer.hpp"

namespace rw::cli {
namespace {

struct Pretrain {
  SettingsOptions settings;
  bool dry_run = false;

  void add_options(CLI::App& app) {
    app.add_flag("--dry-run", dry_run, "check everything, print the memory that the run would take, and stop");
    settings.add(app, kAllSections);
  }

  Exit run(const Global& global) {
    Resolved resolved = settings.resolve();
    if (dry_run) {
      const MemoryPlan plan = Trainer::dry_run(resolved);
      print(global.json ? memory_json(plan) + "\n" : memory_table(plan) + "\n");
      return Exit::ok;
    }
    const std::string out = resolved.settings.run.out;
    return print_result(Trainer::pretrain(std::move(resolved),
                                          {.arguments = global.arguments, .json = global.json, .quiet = global.quiet}),
                        out, global);
  }
};

struct Resume {
  std::string run_folder;
  SettingsOptions settings;

  void add_options(CLI::App& app) {
    app.add_option("RUN", run_folder, "the run's folder")->required();
    settings.add(app, kAllSections, {"out", "overwrite", "size"});
  }

  Exit run(const Global& global) {
    return print_result(Trainer::resume(run_folder, settings.layers(),
                                        {.arguments = global.arguments, .json = global.json, .quiet = global.quiet}),
                        run_folder, global);
  }
};

struct Estimate {
  static constexpr int64_t kVocab = 4096;  // where neither --data nor --vocab says it
  SettingsOptions settings;

  void add_options(CLI::App& app) { settings.add(app, kAllSections); }

  Exit run(const Global& global) {
    Resolved resolved = settings.resolve();
    validate(resolved);
    Settings& s = resolved.settings;
    if (!s.data.data.empty())
      TrainingData::open(s);
    else if (s.model.vocab == 0)
      s.model.vocab = kVocab;
    const EngineOptions options = engine_options(s);
    const MemoryPlan plan = Engine::plan(s.model, options);
    const int64_t tokens = options.sequences * options.length;
    const double flop = step_flop(s.model, tokens, options.length);
    if (global.json) {
      nlohmann::ordered_json json = nlohmann::ordered_json::parse(memory_json(plan));
      json["parameters"] = parameter_count(s.model);
      json["flop_per_step"] = flop;
      json["checkpoint_bytes"] = plan.weights + plan.moments;
      print(json.dump() + "\n");
      return Exit::ok;
    }
    print("model        " + describe(s.model) + "\npositions    " + position_text(s.model) + "\n" + memory_table(plan) +
          "\ncheckpoint   " + bytes_text(static_cast<double>(plan.weights + plan.moments)) + "\nwork         " +
          fixed(flop / 1e9, 1) + " GFLOP a step of " + std::to_string(tokens) + " tokens\n");
    return Exit::ok;
  }
};

}  // namespace

Command pretrain_command() {
  return make_command<Pretrain>("pretrain", "train a new model",
                                "ropewalk pretrain --data data --size 5m --tokens 20M --out runs/first\n"
                                "ropewalk pretrain --config my.toml --lr 1e-3 --out runs/second\n"
                                "ropewalk pretrain --data data --size 50m --dry-run\n");
}
Command resume_command() {
  return make_command<Resume>("resume", "go on with a run that was stopped, or longer",
                              "ropewalk resume runs/first\nropewalk resume runs/first --tokens 40M\n");
}
Command estimate_command() {
  return make_command<Estimate>(
      "estimate", "memory and work of a training run, before it begins",
      "ropewalk estimate --size 125m\nropewalk estimate --size 15m --recompute block --micro-batch 2\n");
}

}  // namespace rw::cli
