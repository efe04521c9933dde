#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "data/corpus/utf8.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/cli/device_options.hpp"
#include "train/cli/position_options.hpp"
#include "train/loop/generator.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/utf8_stream.hpp"
#include "train/loop/workspace.hpp"

namespace rw::cli {
namespace {

struct Generate {
  std::string checkpoint, prompt;
  int64_t tokens = 200, context = 0, samples = 1, seed = 1;
  SamplingOptions sampling{.temperature = 0.8, .top_p = 0.95};
  bool to_the_end = true;
  DeviceOptions device;
  PositionOptions positions;

  void add_options(CLI::App& app) {
    app.add_option("CHECKPOINT", checkpoint, "a run, its checkpoints, or one of them")->required();
    app.add_option("-p,--prompt", prompt, "text to go on from; by default a new document begins");
    add_number(app, "-n,--tokens", tokens, Unit::integer, "tokens to write at most");
    app.add_option("-t,--temperature", sampling.temperature, "0: always the likeliest token")->capture_default_str();
    add_number(app, "--top-k", sampling.top_k, Unit::integer, "only the k likeliest tokens; 0: all");
    app.add_option("--top-p", sampling.top_p, "only the likeliest tokens that together have this probability")
        ->capture_default_str();
    add_number(app, "--seed", seed, Unit::integer, "the same seed writes the same text");
    add_number(app, "--samples", samples, Unit::integer, "texts to write, with seeds from --seed on");
    add_number(app, "--context", context, Unit::length,
               "tokens that the model looks back on at most; by default what it was trained on, or streaming keeps");
    app.add_flag("!--past-end", to_the_end, "go on where a document ends");
    device.add(app);
    positions.add(app);
  }

  void check() const {
    const auto refuse = [](const std::string& what, const char* why) { throw UserError(Exit::usage, what, why); };
    if (!(sampling.temperature >= 0 && std::isfinite(sampling.temperature)))
      refuse("--temperature is negative or not finite",
             "0 or more: 0 takes the likeliest token, 1 the model's own odds");
    if (!(sampling.top_p > 0 && sampling.top_p <= 1)) refuse("--top-p is outside (0, 1]", "1 leaves all tokens");
    if (sampling.top_k < 0) refuse("--top-k is negative", "0 leaves all tokens");
    if (tokens < 1) refuse("--tokens is less than 1", "--tokens 200");
    if (samples < 1) refuse("--samples is less than 1", "--samples 1");
    if (context < 0) refuse("--context is negative", "--context 512");
    if (context > kMostContext) refuse("--context is too large", "--context 512");
    if (seed < 0) refuse("--seed is negative", "--seed 1");
    if (valid_utf8_prefix(prompt) != prompt.size())
      refuse("--prompt is not UTF-8", "convert it, with iconv for instance");
  }

  Exit run(const Global& global) {
    check();
    const Device chosen = device.choose();
    LoadedModel loaded = load_model(checkpoint, context, positions.changes());
    for (const std::string& why : loaded.skipped) print_warning("passed over " + why);
    if (!loaded.tokenizer)
      throw UserError(Exit::data, loaded.folder.string() + " has no tokenizer",
                      "it was trained on token files without one: it writes tokens, not text");
    const ModelConfig& config = loaded.model.config;
    const bool given = context > 0;
    if (!given) context = config.context;
    if (context > config.context && config.learned_positions())
      throw UserError(Exit::usage, "--context is " + std::to_string(context),
                      "the model has learned positions up to " + std::to_string(config.context));
    if (config.positions.kind == PositionKind::streaming && !loaded.model.endless()) fit_streaming(loaded.model, given);
    if (!positions.changes().empty())
      for (const std::string& line : position_advice(config, context)) print_warning(line);
    device.move(loaded, chosen, context);
    const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) { Generator::dry_run(ctx, loaded.model, context); }};
    const ArenaSizes sizes = measure(chosen, work);
    check_memory(sizes.saved + sizes.scratch, "try a smaller --context", chosen);
    Workspace workspace(chosen, sizes);
    for (int64_t i = 0; i < samples; ++i) {
      Generator generator(workspace.ctx, loaded.model, context);
      write_one(global, loaded, generator, static_cast<uint64_t>(seed + i));
    }
    return Exit::ok;
  }

  // The context holds what streaming keeps.
  void fit_streaming(Model& model, bool given) {
    const ModelConfig& c = model.config;
    const PositionConfig p = resolve_positions(c.positions, c.trained(), c.layers);
    const int64_t sinks = std::max<int64_t>(p.sinks, 0);
    if (given || p.window > kMostContext - sinks)
      throw UserError(Exit::usage,
                      "streaming keeps a window of " + std::to_string(p.window) + " and " + std::to_string(sinks) +
                          " sinks, more than a context of " + std::to_string(given ? context : kMostContext),
                      "give a smaller --window, or leave --context out");
    context = p.window + sinks;
    model.prepare_positions({}, model.embedding.value.dtype, context);
  }

  void write_one(const Global& global, const LoadedModel& loaded, Generator& generator, uint64_t own_seed) {
    const Tokenizer& tokenizer = *loaded.tokenizer;
    sampling.seed = own_seed;
    std::vector<int32_t> ids = {tokenizer.document_start()};
    for (int32_t id : tokenizer.encode(prompt)) ids.push_back(id);
    const auto show = [&](const std::string& text) {
      if (!global.json) print(text);
    };
    Utf8Stream stream;
    show(prompt);
    std::string text = prompt;  // this and `written` for JSON only
    std::vector<int32_t> written;
    bool ended = false;
    auto logits = generator.append(ids);
    const size_t vocab = std::min(logits.size(), static_cast<size_t>(tokenizer.vocab()));  // the model may have more
    for (int64_t n = 0; n < tokens; ++n) {
      const int32_t id = draw_token(logits.first(vocab), sampling, static_cast<uint64_t>(n));
      ended = id == tokenizer.document_start() || std::ranges::find(loaded.meta.ends, id) != loaded.meta.ends.end();
      if (ended && to_the_end) break;
      const std::string piece = ended ? "\n" : stream.add(tokenizer.bytes(id));
      if (global.json) text += piece, written.push_back(id);
      show(piece);
      if (n + 1 < tokens) logits = generator.append(std::array{id});
    }
    const std::string rest = stream.finish() + "\n";
    show(rest);
    if (global.json)
      print(nlohmann::ordered_json{
                {"seed", own_seed}, {"prompt", prompt}, {"text", text}, {"tokens", written}, {"ended", ended}}
                .dump() +
            "\n");
  }
};

}  // namespace

Command generate_command() {
  return make_command<Generate>(
      "generate", "write text with a model",
      "ropewalk generate runs/first\nropewalk generate runs/first -p \"It is a truth\" -n 100 --seed 7\n"
      "ropewalk generate runs/first -t 0\n"
      "ropewalk generate runs/first --context 2k --rope yarn --log-n beyond\n"
      "ropewalk generate runs/first -n 100000 --past-end --positions streaming   # in memory that stays\n");
}

}  // namespace rw::cli
