#include "train/config/presets.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "train/cli/command.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/units.hpp"

namespace rw::cli {
namespace {

struct Presets {
  std::string name;
  int64_t vocab = 0;

  void add_options(CLI::App& app) {
    app.add_option("NAME", name, "print this one, as a TOML file to change and give to --config");
    add_number(app, "--vocab", vocab, Unit::count,
               "count parameters with so many tokens; 0: what is usual for the size");
  }

  Exit run(const Global& global) {
    if (vocab < 0) throw UserError(Exit::usage, "--vocab is negative", "it is the number of tokens of the tokenizer");
    if (name.empty())
      list(global.json);
    else
      show(global.json);
    return Exit::ok;
  }

 private:
  int64_t vocab_of(const Preset& preset) const { return vocab ? vocab : preset.usual_vocab; }

  int64_t parameters(const Preset& preset) const {
    Settings settings;
    apply_preset(preset, settings);
    settings.model.vocab = vocab_of(preset);
    return parameter_count(settings.model);
  }

  nlohmann::ordered_json json(const Preset& p) const {
    return {{"name", p.name},     {"vocab", vocab_of(p)}, {"parameters", parameters(p)}, {"layers", p.layers},
            {"width", p.width},   {"heads", p.heads},     {"kv_heads", p.kv_heads},      {"head_width", p.head_width},
            {"hidden", p.hidden}, {"context", p.context}, {"rope_base", p.rope_base},    {"batch", p.batch},
            {"lr", p.lr},         {"tokens", p.tokens}};
  }

  void list(bool as_json) const {
    if (as_json) {
      nlohmann::ordered_json all = nlohmann::ordered_json::array();
      for (const Preset& preset : presets()) all.push_back(json(preset));
      return print(all.dump() + "\n");
    }
    std::string out = "size   parameters  with vocab  layers  width  heads/kv  context  batch      lr  tokens\n";
    for (const Preset& p : presets()) {
      char line[160];
      std::snprintf(line, sizeof line, "%-5s  %9.1fM  %10s  %6s  %5s  %5s/%-2s  %7s  %5s  %6s  %6s\n", p.name.data(),
                    static_cast<double>(parameters(p)) / 1e6, std::to_string(vocab_of(p)).c_str(),
                    std::to_string(p.layers).c_str(), std::to_string(p.width).c_str(), std::to_string(p.heads).c_str(),
                    std::to_string(p.kv_heads).c_str(), std::to_string(p.context).c_str(),
                    integer_text(p.batch, Unit::length).c_str(), number_text(p.lr, Unit::number).c_str(),
                    integer_text(p.tokens, Unit::count).c_str());
      out += line;
    }
    print(out + "next: ropewalk presets 5m > my.toml   |   ropewalk pretrain --size 5m --data DATA --out RUN\n");
  }

  void show(bool as_json) const {
    const Preset& preset = find_preset(name);
    if (as_json) return print(json(preset).dump() + "\n");
    ConfigLayer layer;
    layer.assign("size", name, "NAME", "preset " + name);
    print(to_toml(resolve(std::vector{layer}), {.only_origin = "preset " + name}));
  }
};

}  // namespace

Command presets_command() {
  return make_command<Presets>("presets", "list the sizes that --size knows, or print one",
                               "ropewalk presets\nropewalk presets --vocab 32k\nropewalk presets 5m > my.toml\n");
}

}  // namespace rw::cli
