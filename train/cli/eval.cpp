#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/file/atomic.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/cli/context_sweep.hpp"
#include "train/cli/device_options.hpp"
#include "train/cli/position_options.hpp"
#include "train/loop/evaluator.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/npy.hpp"
#include "train/loop/workspace.hpp"

namespace rw::cli {
namespace {

struct Eval {
  std::string checkpoint, data, per_token;
  std::string split = "val";
  int64_t context = 0, stride = 0, micro_batch = 8, tokens = 0;
  bool doc_mask = true;
  DeviceOptions device;
  PositionOptions positions;
  ContextSweep sweep;

  void add_options(CLI::App& app) {
    app.add_option("CHECKPOINT", checkpoint, "a run, its checkpoints, or one of them")->required();
    app.add_option("--data", data, "prepared data; of the same tokenizer as the model")->required();
    app.add_option("--split", split, "train or val")->check(CLI::IsMember({"train", "val"}))->capture_default_str();
    app.add_option("--per-token", per_token,
                   "write the negative log-likelihood of every target, nats, f32, to this .npy");
    add_number(app, "--context", context, Unit::length, "tokens of a window; by default what the model was trained on");
    add_number(app, "--stride", stride, Unit::length,
               "distance of two windows: the smaller, the more is before each target; by default --context");
    add_number(app, "--tokens", tokens, Unit::count, "about so many targets, spread evenly; 0: all");
    add_number(app, "--micro-batch", micro_batch, Unit::integer, "windows at a time");
    app.add_flag("--doc-mask,!--no-doc-mask", doc_mask, "attention stays inside documents (the default)");
    device.add(app);
    sweep.add_options(app);
    positions.add(app);
  }

  Exit run(const Global& global) {
    if (sweep.wanted() && (!per_token.empty() || context != 0 || stride != 0 || tokens != 0))
      throw UserError(Exit::usage, "--context-sweep has no use for --context, --stride, --tokens and --per-token",
                      "it tries the lengths that it is given, and scores the last tokens of --texts texts");
    if (!sweep.wanted() && sweep.given())
      throw UserError(Exit::usage,
                      "--system, --text, --texts, --segment, --score-last, --passkey, --depths, --trials and --seed go "
                      "with --context-sweep",
                      "such as  --context-sweep 512,1k,2k");
    if (sweep.passkey.wanted() && sweep.of_texts())
      throw UserError(Exit::usage, "--passkey has no use for --text, --texts, --segment and --score-last",
                      "how many keys there are for each length and depth says --trials");
    if (!sweep.passkey.wanted() && sweep.passkey.given())
      throw UserError(Exit::usage, "--depths, --trials and --seed go with --passkey",
                      "such as  --context-sweep 512,1k,2k --passkey --depths 0,50%,100%");
    if (!per_token.empty() && tokens > 0)
      throw UserError(Exit::usage, "--per-token is for all targets", "leave out --tokens");
    if (sweep.wanted() && device.given())
      throw UserError(Exit::usage, "--context-sweep runs on the CPU", "leave out --device and --dtype");
    const Device chosen = device.choose();
    if (micro_batch < 1)
      throw UserError(Exit::usage, "--micro-batch is " + std::to_string(micro_batch), "it must be at least 1");
    if (tokens < 0) throw UserError(Exit::usage, "--tokens is negative", "0 takes all targets");
    if (context < 0 || context > kMostContext)
      throw UserError(Exit::usage, "--context is " + std::to_string(context),
                      "it must be from 1 to " + std::to_string(kMostContext));
    LoadedModel loaded = load_model(checkpoint, context, positions.changes());
    for (const std::string& why : loaded.skipped) print_warning("passed over " + why);
    const ModelConfig& config = loaded.model.config;
    if (context == 0) context = config.context;
    if (stride == 0) stride = context;
    if (stride < 0 || stride > context)
      throw UserError(Exit::usage, "--stride is " + std::to_string(stride),
                      "it must be from 1 to --context, " + std::to_string(context));
    if (context > config.context && config.learned_positions())
      throw UserError(Exit::usage, "--context is " + std::to_string(context),
                      "the model has learned positions up to " + std::to_string(config.context));

    // The data of a model with a tokenizer say their vocabulary: that of another tokenizer may differ.
    const DataSet set = DataSet::open(data, split == "val" ? Split::val : Split::train,
                                      loaded.meta.tokenizer_hash.empty() ? config.vocab : 0);
    if (set.tokenizer_hash() != loaded.meta.tokenizer_hash || set.vocab() > config.vocab)
      throw UserError(Exit::data, "tokenizer mismatch",
                      data + " was made with " + set.tokenizer_hash() + " (" + std::to_string(set.vocab()) +
                          " tokens), the model has " + loaded.meta.tokenizer_hash + " (" +
                          std::to_string(config.vocab) + ")\nprepare again: ropewalk data prepare --tokenizer " +
                          checkpoint + " --out FOLDER ...");
    if (sweep.wanted()) {
      if (set.corpora().size() > 1)
        throw UserError(Exit::usage, "--context-sweep is for one corpus", "give one --data");
      return sweep.run(global, loaded, set.corpora().front().data);
    }
    if (!per_token.empty() && set.corpora().size() > 1)
      throw UserError(Exit::usage, "--per-token is for one corpus", "give one --data");

    device.move(loaded, chosen, context);
    const std::function<void(Ctx&)> work[] = {
        [&](Ctx& ctx) { Evaluator::dry_run(ctx, loaded.model, micro_batch, context); }};
    const ArenaSizes sizes = measure(chosen, work);
    check_memory(sizes.saved + sizes.scratch, "try a smaller --micro-batch or --context", chosen);
    Workspace workspace(chosen, sizes);
    Evaluator evaluator(workspace.ctx, loaded.model, micro_batch, context);
    double loss = 0, bits = 0;
    uint64_t targets = 0, bytes = 0;
    std::vector<float> nll;
    for (const Corpus& corpus : set.corpora()) {
      const EvaluationWindows windows(corpus.data, context, stride, static_cast<uint64_t>(tokens));
      const Evaluation e = evaluator.run(windows, doc_mask, [&](double v) {
        if (!per_token.empty()) nll.push_back(static_cast<float>(v));
      });
      loss += corpus.share * e.loss();
      bits += corpus.share * bits_per_byte(e.loss(), corpus.data.targets(), corpus.data.bytes());
      targets += e.targets, bytes += corpus.data.bytes();
    }
    if (!per_token.empty()) write_npy(per_token, nll);
    if (global.json) {
      nlohmann::ordered_json json = {
          {"checkpoint", loaded.folder.string()},
          {"step", loaded.meta.step},
          {"data", data},
          {"split", split},
          {"context", context},
          {"stride", stride},
          {"positions", position_text(config)},
          {"fingerprint", position_fingerprint(config)},
          {"targets", targets},
          {"bytes", bytes},
          {"loss", loss},
          {"perplexity", std::exp(loss)},
          {"bits_per_byte", std::isnan(bits) ? nlohmann::ordered_json() : nlohmann::ordered_json(bits)}};
      print(json.dump() + "\n");
      return Exit::ok;
    }
    char text[256];
    std::snprintf(text, sizeof text, "loss           %.4f nats per token\nperplexity     %.2f\n", loss, std::exp(loss));
    print(text);
    if (!std::isnan(bits)) {
      std::snprintf(text, sizeof text, "bits per byte  %.4f\n", bits);
      print(text);
    }
    print("positions      " + position_text(config) + "\n");
    std::snprintf(text, sizeof text, "targets        %llu of %s, context %lld, stride %lld\n",
                  static_cast<unsigned long long>(targets), (data + " " + split).c_str(),
                  static_cast<long long>(context), static_cast<long long>(stride));
    print(text);
    return Exit::ok;
  }
};

}  // namespace

Command eval_command() {
  return make_command<Eval>("eval", "loss, perplexity and bits per byte of a model on a text",
                            "ropewalk eval runs/first --data data\nropewalk eval runs/first --data data --stride 64\n"
                            "ropewalk eval runs/first --data data --per-token nll.npy\n"
                            "ropewalk eval runs/first --data data --context 4k --positions rerope --window 256\n"
                            "ropewalk eval runs/first --data data --context-sweep 512,1k,2k --system 'rope=yarn' "
                            "--system 'positions=rerope log_n=beyond'\n"
                            "ropewalk eval runs/first --data data --context-sweep 512,1k,2k --passkey --depths "
                            "0,50%,100% --json >passkey.json\n");
}

}  // namespace rw::cli
