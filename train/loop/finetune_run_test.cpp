// Fine-tuning as the trainer does it: what it begins with, what it records, that it can be resumed, and what its loss
// is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/run.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/checkpoint/parent.hpp"
#include "train/loop/run_status.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Values = std::vector<std::pair<std::string, std::string>>;

TrainerOptions quiet(int64_t stop_after = 0) {
  TrainerOptions options;
  options.quiet = true, options.stop_after = stop_after;
  return options;
}

Values joined(Values values, const Values& more) {
  values.insert(values.end(), more.begin(), more.end());
  return values;
}

// Of pairs, from what is known about them: ids, and whether each is a target.
struct Counted {
  std::vector<int32_t> ids;
  std::vector<bool> counts;
};

struct FinetuneRun : testing::Test {
  TemporaryFolder folder{memory_folder()};
  fs::path data = make_data(folder.path());

  fs::path parent(const std::function<void(Settings&)>& change = {}) const {
    Resolved s = tiny_settings(data, folder / "parent");
    if (change) change(s.settings);
    Trainer::pretrain(s, quiet());
    return folder / "parent";
  }

  FinetuneOptions options(const fs::path& from, const std::string& out, const Values& more = {}) const {
    const Values values = joined({{"data", data.string()},
                                  {"out", (folder / out).string()},
                                  {"steps", "10"},
                                  {"batch", "64"},
                                  {"micro_batch", "2"},
                                  {"lr", "1e-2"},
                                  {"warmup", "2"},
                                  {"eval_every", "4"},
                                  {"eval_tokens", "128"},
                                  {"log_every", "1"},
                                  {"sample_tokens", "4"},
                                  {"keep", "3"}},
                                 more);
    FinetuneOptions result{.from = from, .layers = {}, .untrained_positions = false};
    result.layers.emplace_back();
    for (const auto& [name, text] : values) result.layers.back().assign(name, text, "--" + name, "command line");
    EXPECT_TRUE(result.layers.back().problems.empty());
    return result;
  }

  static Values still() { return {{"lr", "1e-30"}, {"weight_decay", "0"}, {"steps", "1"}}; }  // no bit moves

  // A folder of data with a prompt in each document but the last.
  fs::path make_pairs(Counted& known) const {
    std::string lines;
    std::mt19937 random(5);
    const auto add = [&](const std::string& text, bool counts) {
      for (const char c : text) known.ids.push_back(static_cast<unsigned char>(c)), known.counts.push_back(counts);
    };
    for (unsigned i = 0; i < 12; ++i) {
      std::string prompt = i == 11 ? "" : words(1 + random() % 4, 2 * i) + "?",
                  completion = words(random() % 4, i) + "!";
      for (std::string* text : {&prompt, &completion}) std::ranges::replace(*text, '\n', ' ');
      known.ids.push_back(256), known.counts.push_back(true);
      add(prompt, false), add(completion, true);
      lines += "{\"prompt\": \"" + prompt + "\", \"completion\": \"" + completion + "\"}\n";
    }
    write_file(folder / "pairs.jsonl", lines);
    const std::vector<fs::path> files = {folder / "pairs.jsonl"};
    prepare(files, *make_bytes_tokenizer(), folder / "pairs", {});
    return folder / "pairs";
  }
};

TEST_F(FinetuneRun, BeginsWithTheWeightsAndFreshMoments) {
  const fs::path from = parent();
  const RunState before = state_of(from);
  const TrainingResult result = Trainer::finetune(options(from, "run", still()), quiet());
  const RunState after = state_of(result.checkpoint);
  EXPECT_EQ(after.step, 1);
  EXPECT_EQ(after.tokens, 64);
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (size_t i = 0; i < after.tensors.size(); ++i) {
    const bool is_weight = i % 3 == 0;
    EXPECT_EQ(after.tensors[i] == before.tensors[i], is_weight) << after.tensors[i].first << ' ' << i;
  }
  // The evaluation before the first step is the parent's last one; it is not the best of this run.
  const auto rows = read_metrics(folder / "run" / "metrics.jsonl");
  EXPECT_EQ(rows[0].step, 0);
  EXPECT_NEAR(rows[0].find("val_loss").value(), before.val_loss.value(), 1e-5);
  EXPECT_EQ(rows[1].step, 1);
  EXPECT_TRUE(fs::exists(folder / "run" / "checkpoints" / "best"));
  EXPECT_TRUE(fs::exists(folder / "run" / "tokenizer" / "tokenizer.bytes"));
}

TEST_F(FinetuneRun, RecordsItsParent) {
  const fs::path from = parent();
  const fs::path checkpoint = from / "checkpoints" / "step-000008";
  const TrainingResult result = Trainer::finetune(options(checkpoint, "run"), quiet());
  const Parent expected = parent_of(checkpoint, 8);
  EXPECT_EQ(expected.folder, fs::absolute(checkpoint).string());
  EXPECT_EQ(expected.manifest.size(), 32u);
  EXPECT_NE(parent_of(from / "checkpoints" / "step-000012", 12).manifest, expected.manifest);
  EXPECT_EQ(Checkpoint::open(result.checkpoint).meta().parent, to_text(expected));
  EXPECT_TRUE(read_file(folder / "run" / "run.toml").starts_with("# fine-tuned from " + to_text(expected) + "\n"));
  EXPECT_THAT(read_file(folder / "run" / "log.txt"), HasSubstr(to_text(expected)));
  EXPECT_EQ(read_status(folder / "run")->parent, to_text(expected));
  EXPECT_THAT(read_file(folder / "run" / "report.html"), HasSubstr("Differences from the parent"));
  ConfigLayer longer;
  longer.assign("steps", "12", "--steps", "command line");
  const TrainingResult more = Trainer::resume(folder / "run", std::array{longer}, quiet());
  EXPECT_EQ(Checkpoint::open(more.checkpoint).meta().parent, to_text(expected));
  EXPECT_TRUE(read_file(folder / "run" / "run.toml").starts_with("# fine-tuned from " + to_text(expected) + "\n"));
}

// With pairs, shorter sequences, dropout and frozen tensors.
TEST_F(FinetuneRun, ResumingChangesNoBit) {
  const fs::path from = parent();
  Counted known;
  const std::string both = data.string() + ":0.5," + make_pairs(known).string() + ":0.5";
  const Values more = {{"context", "8"}, {"freeze", "model.embed_tokens.*,*.k_proj.*"}, {"data", both}};
  const TrainingResult whole = Trainer::finetune(options(from, "whole", more), quiet());
  EXPECT_TRUE(whole.finished);
  const RunState expected = state_of(whole.checkpoint);
  for (int64_t cut : {1, 3, 9}) {
    const std::string out = "cut" + std::to_string(cut);
    EXPECT_FALSE(Trainer::finetune(options(from, out, more), quiet(cut)).finished);
    const TrainingResult rest = Trainer::resume(folder / out, {}, quiet());
    EXPECT_TRUE(state_of(rest.checkpoint) == expected) << "cut at " << cut;
    EXPECT_EQ(metrics_of(folder / out), metrics_of(folder / "whole"));
  }
  EXPECT_EQ(model_from_json(Checkpoint::open(whole.checkpoint).meta().model).context, 16);  // trained, if not here
  const RunState before = state_of(from);
  for (size_t i = 0; i < expected.tensors.size(); i += 3) {
    const std::string& name = expected.tensors[i].first;
    const bool frozen = name.starts_with("model.embed_tokens.") || name.find(".k_proj.") != std::string::npos;
    EXPECT_EQ(expected.tensors[i] == before.tensors[i], frozen) << name;
  }
  EXPECT_THAT(read_file(folder / "whole" / "log.txt"), HasSubstr(" parameters, without model.embed_tokens.*"));
  for (const auto& [name, value] : Values{{"freeze", ""}, {"context", "16"}, {"lr", "1"}}) {
    ConfigLayer change;
    change.assign(name, value, "--" + name, "command line");
    const auto error = user_error_of([&] { Trainer::resume(folder / "whole", std::array{change}, quiet()); });
    EXPECT_THAT(error.what, HasSubstr(name + " may not change when a run is resumed"));
  }
}

// As import makes them: no moments, no settings, step 0; and of f64 where the run is f32.
TEST_F(FinetuneRun, FromACheckpointThatNoRunMade) {
  const fs::path from = parent([](Settings& s) { s.train.dtype = DType::f64; });
  LoadedModel loaded = load_model(from);
  std::vector<StateTensor> tensors;
  loaded.model.each([&](const Param& p) { add_state(tensors, p); });
  CheckpointMeta meta;
  meta.model = loaded.meta.model, meta.tokenizer_hash = loaded.meta.tokenizer_hash;
  meta.ends = {3, 4};
  save_checkpoint(folder / "imported" / "checkpoints", meta, tensors, std::array{loaded.tokenizer->file()});
  const TrainingResult whole = Trainer::finetune(options(folder / "imported", "whole"), quiet());
  EXPECT_EQ(parse_parent(Checkpoint::open(whole.checkpoint).meta().parent)->step, 0);
  EXPECT_EQ(Checkpoint::open(whole.checkpoint).meta().ends, meta.ends);
  EXPECT_FALSE(Trainer::finetune(options(folder / "imported", "cut"), quiet(4)).finished);
  const TrainingResult rest = Trainer::resume(folder / "cut", {}, quiet());
  EXPECT_TRUE(state_of(rest.checkpoint) == state_of(whole.checkpoint));
  EXPECT_EQ(Checkpoint::open(rest.checkpoint).meta().ends, meta.ends);

  const TrainingResult start = Trainer::finetune(options(folder / "imported", "start", still()), quiet());
  const auto before = state_of(from), after = state_of(start.checkpoint);
  for (size_t i = 0; i < after.tensors.size(); i += 3)
    for (size_t k = 0; k < after.tensors[i].second.size(); ++k)
      ASSERT_EQ(after.tensors[i].second[k], static_cast<double>(static_cast<float>(before.tensors[i].second[k])));
  const TrainingResult same =
      Trainer::finetune(options(folder / "imported", "f64", joined({{"dtype", "f64"}}, still())), quiet());
  const auto exact = state_of(same.checkpoint);
  for (size_t i = 0; i < exact.tensors.size(); i += 3) EXPECT_TRUE(exact.tensors[i] == before.tensors[i]);
}

TEST_F(FinetuneRun, LearnedPositionsAndLongerOnes) {
  const fs::path from = parent([](Settings& s) { s.model.positions.kind = PositionKind::learned; });
  const TrainingResult whole = Trainer::finetune(options(from, "whole", {{"context", "8"}}), quiet());
  Trainer::finetune(options(from, "cut", {{"context", "8"}}), quiet(3));
  EXPECT_TRUE(state_of(Trainer::resume(folder / "cut", {}, quiet()).checkpoint) == state_of(whole.checkpoint));
  fs::remove_all(from);

  FinetuneOptions longer = options(parent(), "longer", {{"context", "32"}});
  EXPECT_THAT(user_error_of([&] { Trainer::finetune(longer, quiet()); }).what,
              HasSubstr("the model was trained up to 16"));
  longer.untrained_positions = true;
  const TrainingResult result = Trainer::finetune(longer, quiet(2));
  EXPECT_EQ(model_from_json(Checkpoint::open(result.checkpoint).meta().model).context, 32);
  EXPECT_TRUE(Trainer::resume(folder / "longer", {}, quiet()).finished);
}

TEST_F(FinetuneRun, WhatCannotBeStartedFrom) {
  const auto error = [&](const fs::path& from, const Values& more = {}) {
    const auto caught = user_error_of([&] { Trainer::finetune(options(from, "run", more), quiet()); });
    EXPECT_FALSE(fs::exists(folder / "run"));
    return caught;
  };
  fs::create_directory(folder / "hf");
  write_file(folder / "hf" / "config.json", "{}");
  write_file(folder / "hf" / "model.safetensors", "x");
  EXPECT_THAT(error(folder / "hf").advice, HasSubstr("ropewalk import hf " + (folder / "hf").string() + " --out "));
  fs::create_directory(folder / "gguf");
  write_file(folder / "gguf" / "model.gguf", "GGUF");
  EXPECT_THAT(error(folder / "gguf").advice,
              HasSubstr("ropewalk import gguf " + (folder / "gguf" / "model.gguf").string() + " --out "));
  EXPECT_THAT(error(folder / "none").what, HasSubstr("there is no "));

  const fs::path from = parent();
  EXPECT_THAT(error(from, {{"layers", "5"}}).what,
              HasSubstr("layers is 5 (command line), the checkpoint's model has 2"));
  EXPECT_THAT(error(from, {{"freeze", "model.layers.9.*"}}).what, HasSubstr("'model.layers.9.*'"));
  EXPECT_THAT(error(from, {{"data", "none"}}).what, HasSubstr("no data none"));
  write_file(folder / "ids.bin", std::string(400, 'x'));
  const auto other = error(from, {{"data", (folder / "ids.bin").string()}});
  EXPECT_EQ(other.code, Exit::data);
}

// Loss of a batch and of an evaluation, from logits and from what the pairs are: without the loader's mask.
TEST_F(FinetuneRun, TheLossCountsCompletionsOnly) {
  const fs::path from = parent([](Settings& s) { s.model.dropout = 0; });
  Counted known;
  const fs::path pairs = make_pairs(known);
  const size_t n = known.ids.size();

  LoadedModel loaded = load_model(from, static_cast<int64_t>(n));
  const int64_t vocab = loaded.model.config.vocab, most = static_cast<int64_t>(n);
  const std::function<void(Ctx&)> work[] = {[&](Ctx& ctx) {
                                              loaded.model.logits(ctx,
                                                                  ctx.scratch.take({most, vocab}, DType::f32, "logits"),
                                                                  {ctx.scratch.take({1, most}, DType::i32, "t"),
                                                                   {},
                                                                   ctx.scratch.take({1, most}, DType::i32, "p"),
                                                                   ctx.scratch.take({1, most}, DType::i32, "f")});
                                            },
                                            [&](Ctx& ctx) { Evaluator::dry_run(ctx, loaded.model, 1, most - 1); }};
  Workspace workspace({}, measure({}, work));

  // Σ nll and number of the targets among begin + 1 ... begin + length on the ring of all documents.
  const auto by_hand = [&](size_t begin, size_t length) {
    const Shape shape{1, static_cast<int64_t>(length)};
    const Buffer token({}, shape, DType::i32), position({}, shape, DType::i32), first({}, shape, DType::i32);
    int32_t start = 0;
    for (size_t t = 0; t < length; ++t) {
      const int32_t id = known.ids[(begin + t) % n];
      if (id == 256) start = static_cast<int32_t>(t);
      token.view().as<int32_t>().data[t] = id;
      position.view().as<int32_t>().data[t] = static_cast<int32_t>(t);
      first.view().as<int32_t>().data[t] = start;
    }
    const Buffer logits({}, {shape.dim[1], vocab}, DType::f32);
    loaded.model.logits(workspace.ctx, logits, {token, {}, position, first});
    double sum = 0;
    size_t targets = 0;
    for (size_t t = 0; t < length; ++t) {
      const size_t target = (begin + t + 1) % n;
      if (!known.counts[target]) continue;
      const float* row = logits.view().as<float>()[static_cast<int64_t>(t)];
      double odds = 0;
      for (int64_t v = 0; v < vocab; ++v) odds += std::exp(static_cast<double>(row[v]));
      sum += std::log(odds) - static_cast<double>(row[known.ids[target]]);
      ++targets;
    }
    return std::pair(sum, targets);
  };

  // All of it in one window.
  const TokenData tokens = TokenData::open(pairs);
  Evaluator evaluator(workspace.ctx, loaded.model, 1, most - 1);
  const Evaluation evaluation = evaluator.run(EvaluationWindows(tokens, most - 1, most - 1), true);
  const auto [sum, targets] = by_hand(0, n - 1);
  EXPECT_EQ(evaluation.targets, targets);
  EXPECT_EQ(tokens.targets(), targets);
  EXPECT_LT(targets, 2 * n / 3);
  EXPECT_NEAR(evaluation.loss(), sum / static_cast<double>(targets), 1e-5);
  uint64_t bytes = 0;
  for (size_t i = 0; i < n; ++i) bytes += known.counts[i] && known.ids[i] != 256;
  EXPECT_EQ(tokens.bytes(), bytes);

  // The first step of a run: four sequences of 16.
  const TrainingResult result =
      Trainer::finetune(options(from, "run", joined({{"data", pairs.string()}, {"seed", "3"}}, still())), quiet());
  std::vector<Corpus> corpora;
  corpora.push_back({TokenData::open(pairs), 1});
  const DataSet set(std::move(corpora));
  const Sampler sampler(set, 16, 3);
  double step_sum = 0;
  size_t step_targets = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    const auto [of_window, count] = by_hand(sampler(i).begin, 16);
    step_sum += of_window, step_targets += count;
  }
  EXPECT_GT(step_targets, 0u);
  EXPECT_LT(step_targets, 64u);
  EXPECT_NEAR(result.loss, step_sum / static_cast<double>(step_targets), 1e-5);
}

// Rows of the embedding that no token of the data has, as imported models have them.
TEST_F(FinetuneRun, AVocabularyWithRowsToSpare) {
  const fs::path from = parent([](Settings& s) { s.model.vocab = 300, s.run.sample_tokens = 50; });
  EXPECT_EQ(model_from_json(Checkpoint::open(from).meta().model).vocab, 300);
  const TrainingResult whole = Trainer::finetune(options(from, "whole"), quiet());
  Trainer::finetune(options(from, "cut"), quiet(3));
  EXPECT_TRUE(state_of(Trainer::resume(folder / "cut", {}, quiet()).checkpoint) == state_of(whole.checkpoint));
}

}  // namespace
}  // namespace rw::test
