// Tokens per second of a full training step: forward, backward, clip, AdamW. Random weights and tokens, f32, the
// configs of the reference benchmark:
//   S   6 layers × 384, 6 heads, T 256, B 8, vocab 256       M   12 layers × 768, 12 heads, T 256, B 2, vocab 50,304
//     step_bench S|M [steps [warm-up [none|norms|block]]]
// Prints one line of JSON.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/isa.hpp"
#include "train/loop/engine.hpp"
#include "train/loop/machine.hpp"

namespace rw {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

ModelConfig config_of(const std::string& name) {
  const bool m = name == "M";
  const int64_t width = m ? 768 : 384;
  return {.vocab = m ? 50304 : 256,
          .layers = m ? 12 : 6,
          .width = width,
          .heads = width / 64,
          .kv_heads = width / 64,
          .head_width = 64,
          .hidden = 8 * width / 3,
          .context = 256};
}

int run(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "S", recompute = argc > 4 ? argv[4] : "none";
  const int steps = argc > 2 ? std::stoi(argv[2]) : 12, warm_up = argc > 3 ? std::stoi(argv[3]) : 3;
  const ModelConfig config = config_of(name);
  const int64_t batch = name == "M" ? 2 : 8;
  const double start = now();
  Engine engine(config, {.sequences = batch,
                         .micro_batch = batch,
                         .length = config.context,
                         .documents = false,
                         .recompute = recompute == "block"   ? Recompute::block
                                      : recompute == "norms" ? Recompute::norms
                                                             : Recompute::none,
                         .weight_decay = 0.1,
                         .clip = 1});
  engine.initialise();
  const double ready = now();
  std::mt19937 random(1);
  std::vector<double> seconds;
  double first = 0, loss = 0;
  for (int step = 1; step <= warm_up + steps; ++step) {
    for (const View& v : {engine.token(), engine.target()})
      for (int64_t i = 0; i < v.shape.elements(); ++i)
        v.as<int32_t>().data[i] = static_cast<int32_t>(random() % static_cast<unsigned>(config.vocab));
    const double begin = now();
    loss = engine.step(step, 3e-4).loss;
    const double took = now() - begin;
    if (step == 1) first = took;
    if (step > warm_up) seconds.push_back(took);
  }
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2], best = seconds[0];
  const auto tokens = static_cast<double>(batch * config.context);
  double peak = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) peak = std::stod(line.substr(6)) / 1024;
  const double flop = step_flop(config, batch * config.context, config.context);
  nlohmann::ordered_json json = {{"what", "ropewalk"},
                                 {"config", name},
                                 {"isa", isa_name()},
                                 {"threads", threads()},
                                 {"recompute", recompute},
                                 {"steps", steps},
                                 {"ms_median", median * 1e3},
                                 {"ms_best", best * 1e3},
                                 {"tok_s_median", tokens / median},
                                 {"tok_s_best", tokens / best},
                                 {"ms_fwd", 0},
                                 {"ms_bwd", 0},
                                 {"ms_opt", 0},
                                 {"gflops", flop / median / 1e9},
                                 {"peak_rss_MiB", peak},
                                 {"start_ms", (ready - start) * 1e3},
                                 {"first_step_extra_ms", (first - median) * 1e3},
                                 {"loss", loss}};
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace rw

int main(int argc, char** argv) { return rw::run(argc, argv); }
