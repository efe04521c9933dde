// Small training runs for tests.
#pragma once
#include <random>

#include "data/prepare.hpp"
#include "tests/support/files.hpp"
#include "tests/support/model.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/loop/trainer.hpp"

namespace rw::test {

// Text with something to learn: words of a small vocabulary in sentences.
inline std::string words(size_t count, unsigned seed) {
  const char* const vocabulary[] = {"the", "rope", "walk", "turns", "a", "strand", "of", "hemp", "into", "yarn", "and"};
  std::mt19937 random(seed);
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += vocabulary[random() % std::size(vocabulary)];
    text += random() % 9 == 0 ? ".\n" : " ";
  }
  return text;
}

// FOLDER/data with bytes for tokens: several documents, and some held out.
inline std::filesystem::path make_data(const std::filesystem::path& folder, size_t words_of_each = 400) {
  std::vector<std::filesystem::path> files;
  for (unsigned i = 0; i < 3; ++i) {
    files.push_back(folder / ("text" + std::to_string(i) + ".txt"));
    write_file(files.back(), words(words_of_each, i + 1));
  }
  PrepareOptions options;
  options.val = 0.1;
  prepare(files, *make_bytes_tokenizer(), folder / "data", options);
  return folder / "data";
}

inline Resolved tiny_settings(const std::filesystem::path& data, const std::filesystem::path& out) {
  Resolved resolved = resolve({});
  Settings& s = resolved.settings;
  s.model = {.layers = 2,
             .width = 16,
             .heads = 4,
             .kv_heads = 2,
             .head_width = 4,
             .hidden = 24,
             .context = 16,
             .rope = {.base = 100},
             .dropout = 0.1};
  s.data.data = data.string();
  s.train.steps = 12, s.train.tokens = 0, s.train.time = 0;
  s.train.batch = 4 * 16, s.train.micro_batch = 1;
  s.optimizer.lr = 1e-2, s.optimizer.warmup = 2;
  s.run.out = out.string();
  s.run.eval_every = 4, s.run.eval_tokens = 128, s.run.sample_tokens = 4, s.run.log_every = 1, s.run.keep = 3;
  return resolved;
}

// All numbers of a checkpoint: weights, moments, and what the run goes on with, but for times.
struct RunState {
  std::vector<std::pair<std::string, std::vector<double>>> tensors;
  int64_t step = 0, tokens = 0;
  std::optional<double> val_loss, best_val;
  double ema = 0;

  bool operator==(const RunState&) const = default;
};

inline RunState state_of(const std::filesystem::path& checkpoint) {
  const Checkpoint c = Checkpoint::open(checkpoint);
  RunState state{.tensors = {},
                 .step = c.meta().step,
                 .tokens = c.meta().tokens,
                 .val_loss = c.meta().val_loss,
                 .best_val = c.meta().best_val,
                 .ema = c.meta().state.at("ema")};
  for (const Checkpoint::Tensor& t : c.tensors())
    for (const CView& v : {t.value, t.m, t.v}) state.tensors.emplace_back(t.name, TestModel::values(v));
  return state;
}

// metrics.jsonl without what measures time and memory.
inline std::vector<std::pair<int64_t, std::vector<double>>> metrics_of(const std::filesystem::path& run) {
  std::vector<std::pair<int64_t, std::vector<double>>> out;
  for (const MetricsRow& row : read_metrics(run / "metrics.jsonl")) {
    std::vector<double> values;
    for (const Metric& m : row.metrics)
      if (m.name != "seconds" && m.name != "tokens_per_second" && m.name != "memory") values.push_back(m.value);
    out.emplace_back(row.step, values);
  }
  return out;
}

}  // namespace rw::test
