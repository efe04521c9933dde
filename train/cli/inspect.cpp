#include <CLI/CLI.hpp>

#include "core/file/json.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/difference.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/checkpoint/parent.hpp"
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

OrderedJson to_json(const std::vector<CheckpointDifference::Text>& differences) {
  auto json = OrderedJson::array();
  for (const auto& d : differences) json.push_back({{"name", d.name}, {"a", d.a}, {"b", d.b}});
  return json;
}

std::string difference_json(const Checkpoint& a, const Checkpoint& b, const CheckpointDifference& d) {
  const auto number = [](double v) { return std::isfinite(v) ? OrderedJson(v) : OrderedJson(); };
  OrderedJson json = {
      {"a", a.folder().string()},  {"b", b.folder().string()},        {"meta", to_json(d.facts)},
      {"model", to_json(d.model)}, {"settings", to_json(d.settings)}, {"only_a", d.only_a},
      {"only_b", d.only_b},        {"shapes", to_json(d.shapes)},     {"dtypes", to_json(d.dtypes)},
      {"equal", d.equal},          {"relative", number(d.relative)},  {"tensors", OrderedJson::array()}};
  for (const TensorDifference& t : d.tensors)
    json["tensors"].push_back({{"name", t.name}, {"relative", number(t.relative)}, {"max", number(t.most)}});
  return json.dump() + "\n";
}

std::string difference_text(const Checkpoint& a, const Checkpoint& b, const CheckpointDifference& d) {
  std::string out = "a  " + a.folder().string() + "\nb  " + b.folder().string() + "\n";
  char line[512];
  const auto texts = [&](const char* title, const std::vector<CheckpointDifference::Text>& differences) {
    if (!differences.empty()) out += std::string("\n") + title + "\n";
    for (const auto& t : differences) {
      std::string name = t.name;
      name.resize(std::max<size_t>(name.size(), 16), ' ');
      const auto shown = [](const std::string& text) { return text.empty() ? std::string("\"\"") : text; };
      out += "  " + name + "  " + shown(t.a) + " -> " + shown(t.b) + "\n";
    }
  };
  texts("checkpoint", d.facts);
  texts("model", d.model);
  texts("settings", d.settings);
  texts("shapes", d.shapes);
  texts("types", d.dtypes);
  for (const auto& [title, names] : {std::pair{"only in a", &d.only_a}, {"only in b", &d.only_b}}) {
    if (!names->empty()) out += std::string("\n") + title + "\n";
    for (const std::string& name : *names) out += "  " + name + "\n";
  }
  if (!d.tensors.empty()) {
    std::snprintf(line, sizeof line, "\n%-52s %13s %13s\n", "tensor", "|a-b| / |a|", "max |a-b|");
    out += line;
  }
  for (const TensorDifference& t : d.tensors) {
    std::snprintf(line, sizeof line, "%-52s %13.4g %13.4g\n", t.name.c_str(), t.relative, t.most);
    out += line;
  }
  const size_t compared = d.tensors.size() + static_cast<size_t>(d.equal);
  std::snprintf(line, sizeof line, "\n%lld of %zu tensors are equal bit for bit; all together |a-b| / |a| = %.4g\n",
                static_cast<long long>(d.equal), compared, d.relative);
  return out + line;
}

struct Inspect {
  std::string path, other;
  bool tensors = false, settings = false;

  void add_options(CLI::App& app) {
    app.add_option("CHECKPOINT", path, "a run, its checkpoints, or one of them")->required();
    app.add_flag("--tensors", tensors, "every tensor, with mean, deviation and range");
    app.add_flag("--settings", settings, "the settings it was trained with, as TOML");
    app.add_option("--diff", other, "compare with this checkpoint or run: settings, and each tensor of the weights")
        ->type_name("CHECKPOINT")
        ->excludes("--tensors", "--settings");
  }

  Exit run(const Global& global) {
    std::vector<std::string> skipped;
    const Checkpoint checkpoint = Checkpoint::open(path, &skipped);
    if (!other.empty()) {
      const Checkpoint second = Checkpoint::open(other, &skipped);
      for (const std::string& why : skipped) print_warning("passed over " + why);
      const CheckpointDifference d = difference(checkpoint, second);
      print(global.json ? difference_json(checkpoint, second, d) : difference_text(checkpoint, second, d));
      return Exit::ok;
    }
    for (const std::string& why : skipped) print_warning("passed over " + why);
    const CheckpointMeta& meta = checkpoint.meta();
    const ModelConfig config = model_from_json(meta.model);
    if (global.json) {
      OrderedJson json = {{"checkpoint", checkpoint.folder().string()},
                          {"step", meta.step},
                          {"tokens", meta.tokens},
                          {"model", OrderedJson::parse(meta.model)},
                          {"parameters", parameter_count(config)},
                          {"optimizer_state", checkpoint.has_optimizer()},
                          {"tokenizer_hash", meta.tokenizer_hash},
                          {"command", meta.command},
                          {"version", meta.version}};
      if (const auto parent = parse_parent(meta.parent))
        json["parent"] = {{"folder", parent->folder}, {"step", parent->step}, {"manifest", parent->manifest}};
      else if (!meta.parent.empty())
        json["parent"] = meta.parent;
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
    text << "model       " << describe(config) << "\npositions   " << position_text(config) << " · fingerprint "
         << position_fingerprint(config) << "\nstate       "
         << (checkpoint.has_optimizer() ? "weights and optimizer moments" : "weights only") << "\ntokenizer   "
         << (meta.tokenizer_hash.empty() ? "none" : meta.tokenizer_hash) << "\nwritten by  ropewalk " << meta.version
         << ": " << meta.command << '\n';
    if (!meta.parent.empty()) text << "parent      " << meta.parent << '\n';
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
                               "ropewalk inspect runs/first\nropewalk inspect runs/first --tensors\n"
                               "ropewalk inspect runs/first --diff runs/second\n");
}

}  // namespace rw::cli
