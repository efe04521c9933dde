// Training, evaluation and text on a CUDA device, beside the same on the CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/device/copy.hpp"
#include "core/device/cuda.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/files.hpp"
#include "tests/support/model.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sanitizer.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/doctor/checks.hpp"
#include "train/loop/engine.hpp"
#include "train/loop/evaluator.hpp"
#include "train/loop/generator.hpp"
#include "train/loop/machine.hpp"

namespace rw::test {
namespace {

constexpr Device kCuda{Device::cuda, 0};

struct NeedsADevice : testing::Environment {
  void SetUp() override {
    if (gpu_backends().empty()) GTEST_SKIP() << "there is no CUDA device";
  }
};
[[maybe_unused]] const auto* const kNeedsADevice = testing::AddGlobalTestEnvironment(new NeedsADevice);

struct Variant {
  std::string name;
  ModelConfig config = tiny_config();
  EngineOptions options = {.sequences = 5, .micro_batch = 2, .length = 7, .weight_decay = 0.1, .clip = 0.5, .seed = 11};
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  const auto add = [&](const std::string& name) -> Variant& { return all.emplace_back(Variant{.name = name}); };
  add("llama");
  add("untied").config.tied = false;
  Variant& gpt = add("gpt");
  gpt.config.norm = NormKind::layer, gpt.config.mlp = MlpKind::gelu, gpt.config.mlp_bias = true;
  gpt.config.attention_bias = AttentionBias::all, gpt.config.dropout = 0.2;
  gpt.config.positions.kind = PositionKind::learned;
  Variant& qwen = add("qwen");
  qwen.config.qk_norm = true, qwen.config.attention_bias = AttentionBias::qkv;
  Variant& inverse = add("inverse leaky, log n");
  inverse.config.positions = {.kind = PositionKind::inverse_leaky, .window = 3, .log_n = LogN::trained};
  Variant& window = add("streaming, cosine");
  window.config.positions = {.kind = PositionKind::streaming, .window = 4, .sinks = 1};
  window.config.key_norm = KeyNorm::cosine;
  add("recompute").options.recompute = Recompute::block;
  add("drawn positions").options.draw_positions = PositionDraw::equal_mean;
  add("frozen").options.freeze = "model.embed_tokens.*";
  return all;
}

void fill_tokens(Engine& engine, int64_t step) {
  std::mt19937 random(static_cast<unsigned>(step));
  for (int64_t r = 0; r < engine.token().rows(); ++r)
    for (int64_t t = 0; t < engine.token().width(); ++t) {
      const auto id = [&] { return static_cast<int32_t>(random() % 11); };
      engine.token().as<int32_t>()[r][t] = id();
      engine.target().as<int32_t>()[r][t] = random() % 4 == 0 ? kIgnore : id();
      engine.first_key().as<int32_t>()[r][t] = t < 3 ? 0 : 3;
    }
}

std::vector<double> train(Engine& engine, int64_t first, int64_t last) {
  std::vector<double> losses;
  for (int64_t step = first; step <= last; ++step) {
    fill_tokens(engine, step);
    const Engine::StepResult result = engine.step(step, 0.01);
    losses.push_back(result.loss), losses.push_back(result.grad_norm);
  }
  Bits::note(std::as_bytes(std::span(losses)));
  return losses;
}

Engine on(Device device, const Variant& v) {
  EngineOptions options = v.options;
  options.device = device;
  Engine engine(v.config, options);
  engine.initialise();
  return engine;
}

std::vector<double> weights(Engine& engine) {
  engine.pull_state();
  std::vector<double> out;
  for (const StateTensor& t : engine.state())
    for (const View& v : {t.value, t.m, t.v}) {
      const auto values = TestModel::values(v);
      out.insert(out.end(), values.begin(), values.end());
    }
  return out;
}

TEST(Device, TenStepsFollowTheCpu) {
  constexpr int64_t kSteps = kSanitizer ? 2 : 10;
  for (const Variant& v : variants()) {
    Engine cpu = on({}, v), gpu = on(kCuda, v);
    EXPECT_EQ(weights(cpu), weights(gpu)) << v.name;
    const auto expected = train(cpu, 1, kSteps), got = train(gpu, 1, kSteps);
    for (size_t i = 0; i < expected.size(); i += 2) {
      EXPECT_NEAR(got[i], expected[i], 1e-5 * expected[i]) << v.name << ", loss of step " << i / 2 + 1;
      EXPECT_NEAR(got[i + 1], expected[i + 1], 1e-4 * expected[i + 1]) << v.name << ", norm of step " << i / 2 + 1;
    }
    EXPECT_LT(relative_distance(weights(gpu), weights(cpu)), 1e-3) << v.name;  // AdamW divides small by small numbers
  }
}

Variant in_bf16(Variant v) {
  v.options.dtype = DType::bf16, v.name += ", bf16";
  return v;
}

// Weights and activations have eight bits, and each of some twenty ops rounds: the loss of five steps and the norm of
// the first gradient are those of f32 within a few such roundings. Later norms are of other weights.
TEST(Device, TrainsInBf16) {
  const std::vector<Variant> all = variants();
  for (const Variant& v : {all[0], all[2], all[4], all[5]}) {
    Engine cpu = on({}, v), gpu = on(kCuda, in_bf16(v));
    EXPECT_EQ(weights(cpu), weights(gpu)) << v.name;  // the ones that learn
    const auto expected = train(cpu, 1, 5), got = train(gpu, 1, 5);
    EXPECT_NEAR(got[1], expected[1], 0.1 * expected[1]) << v.name;
    for (size_t i = 0; i < expected.size(); i += 2)
      EXPECT_NEAR(got[i], expected[i], (i == 0 ? 0.01 : 0.03) * expected[i]) << v.name << ", step " << i / 2 + 1;
    EXPECT_NE(got, expected) << v.name;
  }
}

// What is saved is all that a run in bf16 needs: the same bits with a stop and without.
TEST(Device, ARunInBf16GoesOnWithTheSameBits) {
  const Variant v = in_bf16(variants()[0]);
  Engine first = on(kCuda, v), second = on(kCuda, v);
  train(first, 1, 3);
  first.pull_state();
  auto from = first.state(), to = second.state();
  for (size_t i = 0; i < from.size(); ++i)
    for (const auto part : {&StateTensor::value, &StateTensor::m, &StateTensor::v}) {
      EXPECT_EQ((from[i].*part).dtype, DType::f32);
      copy(first.context(), to[i].*part, from[i].*part);
    }
  second.push_state();
  EXPECT_EQ(train(first, 4, 6), train(second, 4, 6));
  EXPECT_EQ(weights(first), weights(second));
}

TEST(Device, PassesTheDoctorsChecks) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    EXPECT_EQ(doctor::check_training(1, kCuda, dtype).state, doctor::Check::State::ok) << dtype;
    EXPECT_EQ(doctor::check_training(0, kCuda, dtype).state, doctor::Check::State::wrong) << dtype;
  }
}

// The table of what is needed, and what would fit; before anything is allocated.
TEST(Device, SaysWhatNeedsMoreMemoryThanThereIs) {
  if (on_gpu()) GTEST_SKIP() << "how much memory is free on a GPU is not known before";
  EXPECT_NO_THROW(check_memory(size_t{1} << 30, "", kCuda));
  const auto error = user_error_of([] { check_memory((size_t{1} << 30) + 1, "--micro-batch 2 would fit", kCuda); });
  EXPECT_EQ(error.code, Exit::memory);
  EXPECT_EQ(error.what, "needs 1.1 GB, 1.1 GB are free on cuda:0, emulator, 1 GiB");
  EXPECT_EQ(error.advice, "--micro-batch 2 would fit");
}

TEST(Device, RefusesTypesThatItDoesNotComputeIn) {
  Variant v = variants()[0];
  v.options.dtype = DType::f64;
  EXPECT_EQ(user_error_of([&] { on(kCuda, v); }).what, "a GPU does not train in f64");
  EXPECT_EQ(user_error_of([&] { on({}, in_bf16(v)); }).what, "the CPU does not train in bf16");
}

// With a step put on the queue while another is computed, one by one, and as graphs.
TEST(Device, StepsAheadAndGraphsGiveTheSameBits) {
  for (Variant v : {variants()[2], in_bf16(variants()[0])}) {
    Engine one_by_one = on(kCuda, v);
    v.options.graph = true;
    Engine ahead = on(kCuda, v);
    const auto expected = train(one_by_one, 1, 4);
    std::vector<double> got;
    const auto wait = [&] {
      const Engine::StepResult result = ahead.wait();
      got.push_back(result.loss), got.push_back(result.grad_norm);
    };
    for (int64_t step = 1; step <= 4; ++step) {
      fill_tokens(ahead, step);
      ahead.launch(step, 0.01);
      if (step > 1) wait();
    }
    EXPECT_TRUE(ahead.in_flight());
    wait();
    EXPECT_FALSE(ahead.in_flight());
    EXPECT_EQ(got, expected) << v.name;
    EXPECT_EQ(weights(ahead), weights(one_by_one)) << v.name;
  }
}

std::filesystem::path file_to_touch;
int looks_left = 0;
double touching_clock() {
  if (--looks_left == 0) write_file(file_to_touch, "");
  return monotonic_seconds();
}

// A run is that of the CPU. Its steps are launched ahead; with a stop at any step, with STOP asked for while a step is
// on its way, and one by one, since each is saved, it has the same bits.
TEST(Device, ATrainersRunIsThatOfTheCpuAndSurvivesStops) {
  const TemporaryFolder folder(memory_folder());
  const std::filesystem::path data = make_data(folder.path());
  const auto settings = [&](const std::string& name, const char* device = "cuda") {
    Resolved s = tiny_settings(data, folder / name);
    s.settings.train.device = device;
    s.settings.model.layers = 1, s.settings.train.micro_batch = 4;
    return s;
  };
  TrainerOptions quiet, cut, touching;
  quiet.quiet = cut.quiet = touching.quiet = true;
  cut.stop_after = 3, touching.clock = touching_clock;
  Trainer::pretrain(settings("cpu", "cpu"), quiet);
  const RunState whole = state_of(Trainer::pretrain(settings("whole"), quiet).checkpoint);
  const auto expected = metrics_of(folder / "cpu"), got = metrics_of(folder / "whole");
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].first, expected[i].first);
    EXPECT_LT(relative_distance(got[i].second, expected[i].second), 1e-4) << "step " << got[i].first;
  }

  const auto goes_on = [&](const std::string& name, const TrainingResult& part) {
    EXPECT_FALSE(part.finished) << name;
    EXPECT_TRUE(state_of(Trainer::resume(folder / name, {}, quiet).checkpoint) == whole) << name;
    EXPECT_EQ(metrics_of(folder / name), got) << name;
  };
  goes_on("cut", Trainer::pretrain(settings("cut"), cut));
  for (const int looks : kSanitizer ? std::vector<int>{12} : std::vector<int>{7, 12, 17}) {
    const std::string name = "asked" + std::to_string(looks);
    looks_left = looks, file_to_touch = folder / name / "STOP";
    goes_on(name, Trainer::pretrain(settings(name), touching));
  }
  Resolved saved = settings("one by one");
  saved.settings.run.save_every = 1;
  EXPECT_TRUE(state_of(Trainer::pretrain(saved, quiet).checkpoint) == whole);
}

TEST(Device, TwoRunsAreTheSame) {
  const Variant v = variants()[2];
  Engine a = on(kCuda, v), b = on(kCuda, v);
  EXPECT_EQ(train(a, 1, 3), train(b, 1, 3));
  EXPECT_EQ(weights(a), weights(b));
}

// 50 ids, as a file of nanoGPT's.
TokenData some_text(const TemporaryFolder& folder) {
  std::string bytes;
  for (int i = 0; i < 50; ++i) bytes += {static_cast<char>(i * i % 11), 0};
  write_file(folder / "train.bin", bytes);
  return TokenData::open(folder / "train.bin", Split::train, 11);
}

Evaluation evaluate(Engine& where, const Model& model, const TokenData& text) {
  return Evaluator(where.context(), model, 2, 7).run(EvaluationWindows(text, 7, 7), false);
}

std::vector<std::vector<double>> logits_of(Engine& where, const Model& model) {
  Generator generator(where.context(), model, 7);
  std::vector<std::vector<double>> rows;
  for (const std::vector<int32_t>& ids : {std::vector<int32_t>{1, 2, 3}, {4}, {5}, {6, 7, 8, 9}, {1}}) {
    const auto row = generator.append(ids);
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

// A checkpoint of one goes on in the other, where evaluation gives the same.
TEST(Device, ACheckpointGoesOnElsewhere) {
  const TemporaryFolder folder(memory_folder());
  const TokenData text = some_text(folder);
  CheckpointMeta meta;
  meta.step = 3;
  for (const Variant& v : {variants()[0], variants()[2], variants()[4]})
    for (const bool from_cpu : {true, false}) {
      Engine first = on(from_cpu ? Device{} : kCuda, v), second = on(from_cpu ? kCuda : Device{}, v);
      const std::string name = v.name + (from_cpu ? ", from the CPU" : ", to the CPU");
      train(first, 1, 3);
      first.pull_state();
      const SavedCheckpoint saved = save_checkpoint(folder / name, meta, first.state(), {});
      Checkpoint::open(saved.folder).load(second.state());
      second.push_state();
      EXPECT_EQ(weights(second), weights(first)) << name;

      const Evaluation there = evaluate(first, first.model(), text), here = evaluate(second, second.model(), text);
      EXPECT_EQ(here.targets, 49) << name;
      EXPECT_EQ(here.targets_by_position, there.targets_by_position) << name;
      EXPECT_NEAR(here.loss(), there.loss(), 1e-6 * there.loss()) << name;
      const auto expected = train(first, 4, 6), got = train(second, 4, 6);
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5 * expected[i]) << name;
    }
}

// A checkpoint of a run in bf16 is rounded as the run does: the same bits of losses and of text.
TEST(Device, ACheckpointIsUsedInBf16AsByItsRun) {
  const TemporaryFolder folder(memory_folder());
  const TokenData text = some_text(folder);
  for (const Variant& full : {variants()[0], variants()[2]}) {
    const Variant v = in_bf16(full);
    Engine run = on(kCuda, v), f32 = on(kCuda, full);
    train(run, 1, 2);
    run.pull_state();
    CheckpointMeta meta;
    meta.model = model_to_json(v.config);
    const SavedCheckpoint saved = save_checkpoint(folder / v.name, meta, run.state(), {});
    LoadedModel exact = load_model(saved.folder, 7), rounded = load_model(saved.folder, 7);
    exact.move_to(kCuda, DType::f32, 7), rounded.move_to(kCuda, DType::bf16, 7);
    const double loss = evaluate(run, rounded.model, text).loss(), exact_loss = evaluate(f32, exact.model, text).loss();
    EXPECT_EQ(loss, evaluate(run, run.model(), text).loss()) << v.name;
    EXPECT_NE(loss, exact_loss) << v.name;
    EXPECT_NEAR(loss, exact_loss, 0.01 * exact_loss) << v.name;
    EXPECT_EQ(logits_of(run, rounded.model), logits_of(run, run.model())) << v.name;
  }
}

TEST(Device, WhatIsNotFiniteIsNamedAndNothingIsUpdated) {
  Engine engine = on(kCuda, variants()[0]);
  for (const StateTensor& t : engine.state())
    if (t.name == "model.layers.1.mlp.down_proj.weight") t.value.as<float>()[0][1] = std::nanf("");
  engine.push_state();
  const auto before = weights(engine);
  fill_tokens(engine, 1);
  const auto error = user_error_of([&] { engine.step(1, 0.1); });
  EXPECT_EQ(error.code, Exit::non_finite);
  EXPECT_THAT(error.what, testing::HasSubstr("weight model.layers.1.mlp.down_proj.weight"));
  EXPECT_TRUE(
      std::ranges::equal(before, weights(engine), [](double a, double b) { return a == b || (a != a && b != b); }));
}

TEST(Device, WritesTheTextThatTheCpuWrites) {
  for (const Variant& v : {variants()[0], variants()[4], variants()[5]}) {
    Engine cpu = on({}, v), gpu = on(kCuda, v);
    train(cpu, 1, 1), train(gpu, 1, 1);
    const auto got = logits_of(gpu, gpu.model()), expected = logits_of(cpu, cpu.model());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_LT(relative_distance(got[i], expected[i]), 1e-5) << v.name << i;
  }
}

}  // namespace
}  // namespace rw::test
