#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "layers/transformer/position_text.hpp"
#include "train/cli/command.hpp"
#include "train/cli/text_options.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::cli {
namespace {

Exit finish(const Global& global, const ForeignModel& model, const std::string& out) {
  const SavedCheckpoint saved = import_model(model, out, shell_line(global.arguments));
  for (const std::string& note : model.notes) print_warning(note);
  if (global.json) {
    print(nlohmann::ordered_json{{"checkpoint", saved.folder.string()},
                                 {"parameters", parameter_count(model.config)},
                                 {"notes", model.notes}}
              .dump() +
          "\n");
  } else {
    print("model    " + describe(model.config) + "\nposition " + position_text(model.config) + "\nwrote    " +
          saved.folder.string() + ", " + byte_text(saved.bytes) + "\nnext:    ropewalk generate " + out +
          "   |   ropewalk finetune --from " + out + " --data DATA --out RUN\n");
  }
  return Exit::ok;
}

struct ImportHf {
  std::string folder, out;
  std::vector<std::string> ignored;
  bool no_tokenizer = false;

  void add_options(CLI::App& app) {
    app.add_option("FOLDER", folder, "with config.json, *.safetensors and tokenizer.json")->required();
    app.add_option("-o,--out", out, "new folder, for the checkpoint and the tokenizer")->required();
    app.add_option("--ignore-key", ignored, "a key of config.json that is not known and changes nothing");
    app.add_flag("--no-tokenizer", no_tokenizer, "the model only");
  }

  Exit run(const Global& global) {
    const ForeignModel model = read_hf(folder, {.ignored = ignored, .tokenizer = !no_tokenizer});
    return finish(global, model, out);
  }
};

struct ImportGguf {
  std::string file, out;
  bool no_tokenizer = false;

  void add_options(CLI::App& app) {
    app.add_option("FILE", file, "a GGUF file of architecture llama: f32, f16, bf16, q8_0, q4_0, q4_1")->required();
    app.add_option("-o,--out", out, "new folder, for the checkpoint and the tokenizer")->required();
    app.add_flag("--no-tokenizer", no_tokenizer, "the model only");
  }

  Exit run(const Global& global) { return finish(global, read_gguf(file, !no_tokenizer), out); }
};

}  // namespace

Command import_hf_command() {
  return make_command<ImportHf>("import hf", "a model of Hugging Face becomes a checkpoint",
                                "ropewalk import hf SmolLM2-135M --out smol\n");
}
Command import_gguf_command() {
  return make_command<ImportGguf>("import gguf", "a GGUF file becomes a checkpoint",
                                  "ropewalk import gguf smollm2.gguf --out smol\n");
}

}  // namespace rw::cli
