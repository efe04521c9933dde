#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/cli/command.hpp"
#include "train/loop/machine.hpp"

namespace rw::cli {
namespace {

struct Statistics {
  double mean = 0, std = 0, least = 0, most = 0;
};

Statistics statistics_of(CView v) {
  Statistics s;
  visit_dtype<double, float, bf16>(v.dtype, [&]<class T>() {
    const T* data = v.as<T>().data;
    const int64_t count = v.shape.elements();
    const auto at = [data](int64_t i) {
      if constexpr (std::is_same_v<T, bf16>)
        return static_cast<double>(static_cast<float>(data[i]));
      else
        return static_cast<double>(data[i]);
    };
    double sum = 0, squares = 0;
    s.least = s.most = at(0);
    for (int64_t i = 0; i < count; ++i) {
      const double x = at(i);
      sum += x, squares += x * x;
      s.least = std::min(s.least, x), s.most = std::max(s.most, x);
    }
    s.mean = sum / static_cast<double>(count);
    s.std = std::sqrt(std::max(0.0, squares / static_cast<double>(count) - s.mean * s.mean));
  });
  return s;
}

struct Inspect {
  std::string path;
  bool tensors = false, settings = false;

  void add_options(CLI::App& app) {
    app.add_option("CHECKPOINT", path, "a run, its checkpoints, or one of them")->required();
    app.add_flag("--tensors", tensors, "every tensor, with mean, deviation and range");
    app.add_flag("--settings", settings, "the settings it was trained with, as TOML");
  }

  Exit run(const Global& global) {
    std::vector<std::string> skipped;
    const Checkpoint checkpoint = Checkpoint::open(path, &skipped);
    for (const std::string& why : skipped) print_warning("passed over " + why);
    const CheckpointMeta& meta = checkpoint.meta();
    const ModelConfig config = model_from_json(meta.model);
    if (global.json) {
      nlohmann::ordered_json json = {{"checkpoint", checkpoint.folder().string()},
                                     {"step", meta.step},
                                     {"tokens", meta.tokens},
                                     {"model", nlohmann::ordered_json::parse(meta.model)},
                                     {"parameters", parameter_count(config)},
                                     {"optimizer_state", checkpoint.has_optimizer()},
                                     {"tokenizer_hash", meta.tokenizer_hash},
                                     {"command", meta.command},
                                     {"version", meta.version}};
      if (meta.val_loss) json["val_loss"] = *meta.val_loss;
      if (meta.best_val) json["best_val_loss"] = *meta.best_val;
      if (settings) json["settings"] = meta.settings;
      if (tensors)
        for (const Checkpoint::Tensor& t : checkpoint.tensors()) {
          const Statistics s = statistics_of(t.value);
          std::vector<int64_t> shape(t.value.shape.dim.begin(), t.value.shape.dim.begin() + t.value.shape.rank);
          json["tensors"].push_back({{"name", t.name},
                                     {"dtype", name_of(t.value.dtype)},
                                     {"shape", shape},
                                     {"mean", s.mean},
                                     {"std", s.std},
                                     {"min", s.least},
                                     {"max", s.most}});
        }
      print(json.dump() + "\n");
      return Exit::ok;
    }
    std::ostringstream text;
    text << "checkpoint  " << checkpoint.folder().string() << "\nstep        " << meta.step << ", " << meta.tokens
         << " tokens\n";
    if (meta.val_loss)
      text << "val loss    " << *meta.val_loss
           << (meta.best_val ? " (best " + std::to_string(*meta.best_val) + ")" : "") << '\n';
    text << "model       " << describe(config) << "\nstate       "
         << (checkpoint.has_optimizer() ? "weights and optimizer moments" : "weights only") << "\ntokenizer   "
         << (meta.tokenizer_hash.empty() ? "none" : meta.tokenizer_hash) << "\nwritten by  ropewalk " << meta.version
         << ": " << meta.command << '\n';
    if (settings) text << '\n' << meta.settings;
    if (tensors) {
      char line[256];
      std::snprintf(line, sizeof line, "\n%-52s %-6s %-16s %11s %11s %11s %11s\n", "tensor", "dtype", "shape", "mean",
                    "std", "min", "max");
      text << line;
      for (const Checkpoint::Tensor& t : checkpoint.tensors()) {
        const Statistics s = statistics_of(t.value);
        std::ostringstream shape;
        shape << t.value.shape;
        std::snprintf(line, sizeof line, "%-52s %-6s %-16s %11.4g %11.4g %11.4g %11.4g\n", t.name.c_str(),
                      name_of(t.value.dtype), shape.str().c_str(), s.mean, s.std, s.least, s.most);
        text << line;
      }
    }
    print(text.str());
    return Exit::ok;
  }
};

}  // namespace

Command inspect_command() {
  return make_command<Inspect>("inspect", "what is in a checkpoint",
                               "ropewalk inspect runs/first\nropewalk inspect runs/first --tensors\n");
}

}  // namespace rw::cli
