// Tokens per second of a full training step: forward, backward, clip, AdamW. Random weights and tokens.
//     step_bench CONFIG [STEPS [WARM-UP]] [--device cuda] [--dtype bf16] [--graph] [--recompute none|norms|block]
// Prints one line of JSON. On a GPU, with LD_LIBRARY_PATH=BUILD/device, a step is put on the queue while the one before
// it is computed, and a step's time is that from the end of one to the end of the next.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/isa.hpp"
#include "core/base/user_error.hpp"
#include "core/device/choose.hpp"
#include "train/loop/engine.hpp"
#include "train/loop/machine.hpp"

namespace rw {
namespace {

struct Bench {
  int64_t batch, layers, width, heads, kv_heads, hidden, vocab, length;

  ModelConfig model() const {
    return {.vocab = vocab,
            .layers = layers,
            .width = width,
            .heads = heads,
            .kv_heads = kv_heads,
            .head_width = width / heads,
            .hidden = hidden,
            .context = length};
  }
};

const std::map<std::string, Bench> kConfigs = {
    {"tiny", {2, 2, 64, 2, 1, 96, 128, 64}},             // to see that all works
    {"S", {8, 6, 384, 6, 6, 1024, 256, 256}},            // of the reference benchmark on the CPU
    {"M", {2, 12, 768, 12, 12, 2048, 50304, 256}},       //
    {"17M", {64, 9, 512, 8, 4, 704, 1024, 1024}},        // for a GPU
    {"124M", {32, 12, 768, 12, 12, 2048, 50304, 1024}},  //
    {"350M", {32, 24, 1024, 16, 16, 2752, 50304, 1024}},
};

double peak_rss_MiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

struct Options {
  std::string config = "S", device = "cpu", dtype = "f32", recompute = "none";
  int steps = 12, warm_up = 3;
  bool graph = false, describe = false;
};

nlohmann::ordered_json run(const Options& o) {
  const Bench& bench = kConfigs.at(o.config);
  const ModelConfig config = bench.model();
  nlohmann::ordered_json json = {{"what", "ropewalk"},         {"config", o.config},     {"batch", bench.batch},
                                 {"layers", bench.layers},     {"width", bench.width},   {"heads", bench.heads},
                                 {"kv_heads", bench.kv_heads}, {"hidden", bench.hidden}, {"vocab", bench.vocab},
                                 {"length", bench.length},     {"dtype", o.dtype},       {"graph", o.graph},
                                 {"recompute", o.recompute},   {"steps", o.steps}};
  if (o.describe) return json;

  const Device device = choose_device(o.device).device;
  const double start = monotonic_seconds();
  Engine engine(config, {.device = device,
                         .dtype = o.dtype == "bf16" ? DType::bf16 : DType::f32,
                         .sequences = bench.batch,
                         .micro_batch = bench.batch,
                         .length = bench.length,
                         .documents = false,
                         .recompute = o.recompute == "block"   ? Recompute::block
                                      : o.recompute == "norms" ? Recompute::norms
                                                               : Recompute::none,
                         .weight_decay = 0.1,
                         .clip = 1,
                         .graph = o.graph});
  engine.initialise();
  const double ready = monotonic_seconds();

  std::mt19937 random(1);
  std::vector<double> seconds;
  double loss = 0, last = ready;
  const auto finish = [&] {
    loss = engine.wait().loss;
    seconds.push_back(monotonic_seconds() - last);
    last += seconds.back();
  };
  const bool ahead = device.kind == Device::cuda;
  for (int step = 1; step <= o.warm_up + o.steps; ++step) {
    for (const View& v : {engine.token(), engine.target()})
      for (int64_t i = 0; i < v.shape.elements(); ++i)
        v.as<int32_t>().data[i] = static_cast<int32_t>(random() % static_cast<unsigned>(config.vocab));
    if (!ahead) last = monotonic_seconds();
    engine.launch(step, 3e-4);
    if (!ahead || step > 1) finish();
  }
  while (engine.in_flight()) finish();

  const double first = seconds[0];
  seconds.erase(seconds.begin(), seconds.begin() + o.warm_up);
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2], best = seconds[0];
  const auto tokens = static_cast<double>(bench.batch * bench.length);
  json.update({{"device", describe(device)},
               {"isa", isa_name()},
               {"threads", threads()},
               {"ms_median", median * 1e3},
               {"ms_best", best * 1e3},
               {"tok_s_median", tokens / median},
               {"tok_s_best", tokens / best},
               {"ms_fwd", 0},
               {"ms_bwd", 0},
               {"ms_opt", 0},
               {"gflops", step_flop(config, bench.batch * bench.length, bench.length) / median / 1e9},
               {"planned_MiB", static_cast<double>(engine.memory().total()) / (1 << 20)},
               {"peak_rss_MiB", peak_rss_MiB()},
               {"start_ms", (ready - start) * 1e3},
               {"first_step_extra_ms", (first - median) * 1e3},
               {"loss", loss}});
  return json;
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Times a training step");
  std::vector<std::string> names;
  for (const auto& [name, bench] : kConfigs) names.push_back(name);
  app.add_option("config", o.config)->check(CLI::IsMember(names))->capture_default_str();
  app.add_option("steps", o.steps)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("warm-up", o.warm_up)->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--device", o.device, "cpu, cuda, cuda:1")->capture_default_str();
  app.add_option("--dtype", o.dtype)->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  app.add_option("--recompute", o.recompute)->check(CLI::IsMember({"none", "norms", "block"}))->capture_default_str();
  app.add_flag("--graph", o.graph, "steps as CUDA graphs");
  app.add_flag("--describe", o.describe, "print the model, and run nothing");
  CLI11_PARSE(app, argc, argv);
  try {
    std::printf("%s\n", run(o).dump().c_str());
  } catch (const UserError& error) {
    std::fprintf(stderr, "error: %s\n  %s\n", error.what(), error.advice.c_str());
    return static_cast<int>(error.code);
  }
  return 0;
}

}  // namespace
}  // namespace rw

int main(int argc, char** argv) { return rw::main(argc, argv); }
