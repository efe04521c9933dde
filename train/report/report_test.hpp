// Run folders made by hand.
#pragma once
#include "tests/support/files.hpp"
#include "train/loop/run_status.hpp"

namespace rw::test {

// A line of metrics.jsonl.
inline std::string metrics_line(int64_t step, double loss, const std::string& more = {}) {
  return "{\"step\":" + std::to_string(step) + ",\"tokens\":" + std::to_string(step * 1000) +
         ",\"seconds\":" + std::to_string(0.5 * static_cast<double>(step)) + ",\"loss\":" + std::to_string(loss) +
         ",\"ema\":" + std::to_string(loss) +
         ",\"lr\":0.001,\"grad_norm\":0.5,\"tokens_per_second\":2000,\"memory\":1e9" + more + "}\n";
}

// A run that is over; its training loss falls from 8 towards 4, and it was evaluated at each tenth of the way.
inline std::filesystem::path make_run(const std::filesystem::path& folder, int64_t steps = 100) {
  std::filesystem::create_directories(folder);
  std::string metrics;
  for (int64_t step = 1; step <= steps; ++step) {
    const double loss = 4 + 4 / (1 + 9 * static_cast<double>(step) / static_cast<double>(steps));
    metrics +=
        metrics_line(step, loss,
                     step % (steps / 10) ? ""
                                         : ",\"val_loss\":" + std::to_string(loss + 0.1) +
                                               ",\"val_bits_per_byte\":" + std::to_string(loss / 2) +
                                               ",\"val_loss_by_position/0\":7,\"val_loss_by_position/1\":6.5,"
                                               "\"val_loss_by_position/2-3\":6,\"val_loss_by_position/4-5\":5.5");
  }
  write_file(folder / "metrics.jsonl", metrics);
  write_file(folder / "run.toml", "[model]\nsize = \"1m\"      # default\n[train]\nsteps = " + std::to_string(steps) +
                                      "  # command line\n[optimizer]\nlr = 0.001  # my \"file\".toml:3\n");
  write_file(folder / "command.txt",
             "ropewalk pretrain --out 'a b'\n  date         2026-11-24 22:19:25 UTC\n  version      0.1.0\n"
             "  threads      2 of 2\n  folder       /some where\n  ROPEWALK_LR=1\n  'ROPEWALK_OUT=c d'\n\n");
  write_file(folder / "samples.md",
             "## step 50, 2026-11-24 22:20:00 UTC\n\ntemperature 0.8\n\n    first sample\n\n"
             "## step 100, 2026-11-24 22:21:00 UTC\n\ntemperature 0.8\n\n    <script>alert(1)</script>\n"
             "    ## step 7, no heading\n\n");
  write_status(folder, {.state = RunStatus::State::finished,
                        .step = steps,
                        .total_steps = steps,
                        .tokens = steps * 1000,
                        .seconds = 0.5 * static_cast<double>(steps),
                        .why = {}});
  return folder;
}

}  // namespace rw::test
