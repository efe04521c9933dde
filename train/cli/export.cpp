#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/parent.hpp"
#include "train/cli/command.hpp"
#include "train/cli/text_options.hpp"
#include "train/exchange/export_gguf.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/hf_positions.hpp"
#include "train/exchange/verify.hpp"
#include "train/exchange/write_hf.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::cli {
namespace {

LoadedModel load(const std::string& checkpoint) {
  LoadedModel loaded = load_model(checkpoint);
  for (const std::string& why : loaded.skipped) print_warning("passed over " + why);
  return loaded;
}

std::string file_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

struct Export {
  std::string checkpoint, out;

  void add_options(CLI::App& app, const std::string& out_is = "new folder") {
    app.add_option("CHECKPOINT", checkpoint, "a run, its checkpoints, or one of them")->required();
    app.add_option("-o,--out", out, out_is)->required();
  }
};

nlohmann::ordered_json to_json(const LogitDifference& d) {
  return {{"compared_tokens", d.tokens}, {"largest_difference", d.largest}, {"largest_logit", d.scale}};
}

struct TypedExport : Export {
  std::string dtype;
  int64_t shard = 5'000'000'000;

  void add_options(CLI::App& app) {
    Export::add_options(app);
    app.add_option("--dtype", dtype, "f32, bf16 or f16; by default as the checkpoint has each tensor")
        ->check(CLI::IsMember({"f32", "bf16", "f16"}));
    add_number(app, "--shard", shard, Unit::count, "bytes of a file; a larger model is written in several");
  }
  HfExport options() const {
    if (shard < 1) throw UserError(Exit::usage, "--shard is " + std::to_string(shard), "it must be at least 1");
    HfExport o{.shard = static_cast<uint64_t>(shard)};
    if (!dtype.empty()) o.type = value_type(dtype);
    return o;
  }
};

struct ExportHf : TypedExport {
  bool as_base = false;

  void add_options(CLI::App& app) {
    TypedExport::add_options(app);
    app.add_flag("--as-base-rope", as_base,
                 "where Hugging Face has no key for the positions: export the plain rotary model with these weights");
  }

  // Positions that have no key are taken away, said aloud.
  std::string take_base(LoadedModel& loaded) const {
    const ModelConfig& config = loaded.model.config;
    if (!as_base || hf_positions_problem(config).empty()) return "";
    const ModelConfig base = as_base_rope(config);
    const std::string lost = position_text(config);
    loaded.model.change_positions(base);
    print_warning("the exported model is without its positions: " + lost + "\nit computes " + position_text(base) +
                  ", which is another model");
    return lost;
  }

  Exit run(const Global& global) {
    HfExport wanted = options();
    LoadedModel loaded = load(checkpoint);
    wanted.lost = take_base(loaded);
    const ModelConfig& config = loaded.model.config;
    write_hf(loaded, out, wanted);
    LoadedModel again = instantiate(read_hf(out));
    const LogitDifference difference = compare_logits(loaded.model, again.model);
    const std::string verified = verdict(difference, most_difference(wanted.type));
    if (global.json) {
      nlohmann::ordered_json json = {{"folder", out}};
      json.update(to_json(difference));
      json["transformers"] = hf_versions(config);
      if (!wanted.lost.empty()) json["lost"] = wanted.lost;
      print(json.dump() + "\n");
      return Exit::ok;
    }
    print("wrote    " + out + " (" + file_names(out) + ")\nverify   read again and " + verified +
          "\nconfig   for transformers " + hf_versions(config) + "\n");
    if (as_base && wanted.lost.empty()) print("note     --as-base-rope was not needed: nothing is lost\n");
    if (config.rope.rule == RopeRule::dynamic && config.trained() != config.context)
      print("note     max_position_embeddings is " + std::to_string(config.trained()) +
            ", the trained length, because dynamic scaling begins there; longer texts may be given\n");
    if (!loaded.tokenizer) print_warning("the checkpoint has no tokenizer: none was written");
    if (loaded.model.config.dropout > 0)
      print("note     dropout " + std::to_string(loaded.model.config.dropout) +
            " is a matter of training here: it is not part of the exported model\n");
    return Exit::ok;
  }
};

struct ExportGguf : Export {
  std::string dtype;

  void add_options(CLI::App& app) {
    Export::add_options(app, "new file");
    app.add_option("--dtype", dtype,
                   "of matrices: f32, bf16, f16 or q8_0; by default bf16 if the checkpoint is, else f32")
        ->check(CLI::IsMember({"f32", "bf16", "f16", "q8_0"}));
  }

  Exit run(const Global& global) {
    const std::optional<ValueType> type = dtype.empty() ? std::nullopt : value_type(dtype);
    LoadedModel loaded = load(checkpoint);
    const std::vector<std::string> notes = export_gguf(loaded, out, type);
    const LogitDifference difference = compare_logits(loaded.model, instantiate(read_gguf(out)).model);
    const std::string verified = verdict(difference, most_difference(type));
    if (global.json) {
      nlohmann::ordered_json json = {{"file", out}, {"bytes", std::filesystem::file_size(out)}};
      json.update(to_json(difference));
      json["notes"] = notes;
      print(json.dump() + "\n");
      return Exit::ok;
    }
    print("wrote    " + out + ", " + byte_text(std::filesystem::file_size(out)) + "\nverify   read again and " +
          verified + "\n");
    for (const std::string& note : notes) print("note     " + note + "\n");
    if (!loaded.tokenizer) print_warning("the checkpoint has no tokenizer: none was written");
    return Exit::ok;
  }
};

struct ExportSafetensors : TypedExport {
  Exit run(const Global& global) {
    LoadedModel loaded = load(checkpoint);
    write_plain_safetensors(loaded, out, options());
    print(global.json ? nlohmann::ordered_json{{"folder", out}}.dump() + "\n"
                      : "wrote    " + out + " (" + file_names(out) + ")\n");
    return Exit::ok;
  }
};

struct ExportNpy : Export {
  Exit run(const Global& global) {
    LoadedModel loaded = load(checkpoint);
    write_npy_folder(loaded, out);
    print(global.json ? nlohmann::ordered_json{{"folder", out}}.dump() + "\n" : "wrote    " + out + "\n");
    return Exit::ok;
  }
};

// Weights in another type; optimizer state goes, which would need the old one.
struct Convert : Export {
  std::string dtype = "bf16";

  void add_options(CLI::App& app) {
    Export::add_options(app);
    app.add_option("--dtype", dtype, "f32 or bf16")->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  }

  Exit run(const Global& global) {
    LoadedModel loaded = load(checkpoint);
    std::vector<StateTensor> state;
    loaded.model.each([&](const Param& param) { add_state(state, param); });
    std::vector<Buffer> buffers;
    for (StateTensor& tensor : state) {
      if (dtype == "bf16") {
        tensor.value = buffers.emplace_back(narrowed(tensor.value));
      } else if (tensor.value.dtype == DType::f64) {
        const View wide = tensor.value;
        tensor.value = buffers.emplace_back(Device{}, wide.shape, DType::f32);
        std::copy_n(wide.as<double>().data, wide.shape.elements(), tensor.value.as<float>().data);
      }
    }
    std::optional<TokenizerFile> tokenizer;
    if (loaded.tokenizer) tokenizer = loaded.tokenizer->file();
    CheckpointMeta meta = loaded.meta;
    meta.parent = to_text(parent_of(loaded.folder, meta.step));
    meta.command = shell_line(global.arguments);
    meta.version = RW_VERSION;
    const SavedCheckpoint saved = save_weights(out, meta, state, tokenizer);
    const std::string written = saved.folder.string();
    print(global.json ? nlohmann::ordered_json{{"checkpoint", written}, {"bytes", saved.bytes}}.dump() + "\n"
                      : "wrote    " + written + ", " + byte_text(saved.bytes) + ", weights only\n");
    return Exit::ok;
  }
};

}  // namespace

Command export_hf_command() {
  return make_command<ExportHf>(
      "export hf", "a folder that Hugging Face transformers opens",
      "ropewalk export hf runs/first --out first-hf\nropewalk export hf runs/first --dtype bf16 --out first-hf\n"
      "ropewalk export hf runs/leaky --as-base-rope --out first-hf\n");
}
Command export_gguf_command() {
  return make_command<ExportGguf>("export gguf", "one file that llama.cpp and its kin open",
                                  "ropewalk export gguf runs/first --out first.gguf\nropewalk export gguf runs/first "
                                  "--dtype q8_0 --out first.gguf\n");
}
Command export_safetensors_command() {
  return make_command<ExportSafetensors>("export safetensors", "the tensors by Ropewalk's own names",
                                         "ropewalk export safetensors runs/first --out tensors\n");
}
Command export_npy_command() {
  return make_command<ExportNpy>("export npy", "each tensor as an array for numpy.load",
                                 "ropewalk export npy runs/first --out arrays\n");
}
Command convert_command() {
  return make_command<Convert>("convert", "a checkpoint's weights in another number type",
                               "ropewalk convert runs/first --dtype bf16 --out first-bf16\n");
}

}  // namespace rw::cli
