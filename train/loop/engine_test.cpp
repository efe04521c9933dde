#include "train/loop/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/model.hpp"

namespace rw::test {
namespace {

EngineOptions options(DType dtype) {
  return {.dtype = dtype, .sequences = 5, .micro_batch = 2, .length = 7, .weight_decay = 0.1, .clip = 0.5, .seed = 11};
}

void fill_tokens(Engine& engine, unsigned seed) {
  std::mt19937 random(seed);
  for (int64_t r = 0; r < engine.token().rows(); ++r)
    for (int64_t t = 0; t < engine.token().width(); ++t) {
      const auto id = [&] { return static_cast<int32_t>(random() % 11); };
      engine.token().as<int32_t>()[r][t] = id();
      engine.target().as<int32_t>()[r][t] = random() % 4 == 0 ? kIgnore : id();
      engine.first_key().as<int32_t>()[r][t] = t < 3 ? 0 : 3;
    }
}

std::vector<double> weights(Engine& engine) {
  std::vector<double> out;
  for (const StateTensor& t : engine.state())
    for (const View& v : {t.value, t.m, t.v}) {
      const auto values = TestModel::values(v);
      out.insert(out.end(), values.begin(), values.end());
    }
  return out;
}

// All state after some steps.
std::vector<double> trained(const ModelConfig& config, const EngineOptions& o) {
  Engine engine(config, o);
  engine.initialise();
  for (int64_t step = 1; step <= 3; ++step) {
    fill_tokens(engine, static_cast<unsigned>(step));
    engine.step(step, 0.01);
  }
  return weights(engine);
}

// Micro-batches of unequal target counts, with dropout, against the whole batch at once.
TEST(Engine, HowAStepIsCutChangesOnlyRounding) {
  ModelConfig config = tiny_config();
  config.dropout = 0.2;
  for (DType dtype : {DType::f64, DType::f32}) {
    EngineOptions o = options(dtype);
    const auto cut = trained(config, o);
    o.micro_batch = 5;
    const auto whole = trained(config, o);
    EXPECT_LE(relative_distance(cut, whole), dtype == DType::f64 ? 1e-12 : 1e-6);
    o.recompute = Recompute::block;
    EXPECT_EQ(trained(config, o), whole);
    o.recompute = Recompute::norms;
    EXPECT_EQ(trained(config, o), whole);
  }
}

TEST(Engine, DrawnPositionsDependOnTheSampleOnly) {
  std::vector<std::vector<double>> all;
  using enum PositionDraw;
  for (const PositionDraw kind : {none, random, pose, equal_mean}) {
    EngineOptions o = options(DType::f64);
    o.draw_positions = kind, o.position_range = has_range(kind) ? 50 : 0;
    const auto cut = trained(tiny_config(), o);
    o.micro_batch = 5;
    EXPECT_LE(relative_distance(cut, trained(tiny_config(), o)), 1e-12);
    for (const auto& other : all) EXPECT_GT(relative_distance(cut, other), 1e-6);
    all.push_back(cut);
    if (!has_range(kind)) continue;
    o.position_range = o.length;  // no room: as they are
    EngineOptions plain = o;
    plain.draw_positions = PositionDraw::none, plain.position_range = 0, plain.documents = o.documents = false;
    EXPECT_EQ(trained(tiny_config(), o), trained(tiny_config(), plain));
  }
}

TEST(Engine, AStepIsAdamWOnTheMeanOfAllTargets) {
  Engine engine(tiny_config(), options(DType::f64));
  engine.initialise();
  fill_tokens(engine, 1);
  const auto result = engine.step(1, 0);  // lr 0: weights stay
  int64_t targets = 0;
  for (int64_t r = 0; r < 5; ++r)
    for (int64_t t = 0; t < 7; ++t) targets += engine.target().as<int32_t>()[r][t] != kIgnore;
  EXPECT_EQ(result.targets, targets);
  EXPECT_NEAR(result.loss, std::log(11.0), 0.3);  // nearly uniform odds at first
  const double norm_from_moments = [&] {          // m = (1 - beta1) g'
    double squares = 0;
    for (const StateTensor& t : engine.state())
      for (double m : TestModel::values(t.m)) squares += m * m / 0.01;
    return std::sqrt(squares);
  }();
  EXPECT_NEAR(norm_from_moments, std::min(result.grad_norm, 0.5), 1e-12);
}

TEST(Engine, LearnsWhatRepeats) {
  EngineOptions o = options(DType::f32);
  o.weight_decay = 0, o.clip = 1;
  Engine engine(tiny_config(), o);
  engine.initialise();
  double first = 0, last = 0;
  for (int64_t step = 1; step <= 200; ++step) {
    fill_tokens(engine, 1);
    last = engine.step(step, 0.01).loss;
    if (step == 1) first = last;
  }
  EXPECT_LT(last, 0.2 * first);
}

TEST(Engine, NothingIsUpdatedIfItIsNotFinite) {
  Engine engine(tiny_config(), options(DType::f32));
  engine.initialise();
  fill_tokens(engine, 1);
  for (const char* name : {"model.layers.1.mlp.down_proj.weight", "model.embed_tokens.weight", "model.norm.weight"}) {
    float* bad = nullptr;
    for (const StateTensor& t : engine.state())
      if (t.name == name) bad = t.value.as<float>().data + 3;
    ASSERT_TRUE(bad) << name;
    const float kept = *bad;
    *bad = std::nanf("");
    const auto before = weights(engine);
    const auto error = user_error_of([&] { engine.step(1, 0.1); });
    EXPECT_EQ(error.code, Exit::non_finite);
    EXPECT_THAT(error.what, testing::HasSubstr(std::string("weight ") + name)) << error.what;
    const auto after = weights(engine);
    EXPECT_TRUE(std::ranges::equal(before, after, [](double a, double b) { return a == b || (a != a && b != b); }));
    *bad = kept;
  }
}

// A micro-batch without targets, and one step of several without any.
TEST(Engine, TargetsMayBeMissing) {
  const auto without = [](Engine& engine, int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r)
      for (int64_t t = 0; t < 7; ++t) engine.target().as<int32_t>()[r][t] = kIgnore;
  };
  EngineOptions o = options(DType::f64);
  const auto state = [&](int64_t micro_batch) {
    o.micro_batch = micro_batch;
    Engine engine(tiny_config(), o);
    engine.initialise();
    fill_tokens(engine, 1);
    without(engine, 0, 2);  // all of the first of three micro-batches
    const auto result = engine.step(1, 0.01);
    EXPECT_TRUE(std::isfinite(result.loss));
    return weights(engine);
  };
  EXPECT_LE(relative_distance(state(2), state(5)), 1e-12);

  o.micro_batch = 2;
  Engine engine(tiny_config(), o);
  engine.initialise();
  fill_tokens(engine, 1);
  engine.step(1, 0.01);
  const auto before = weights(engine);
  without(engine, 0, 5);
  const auto nothing = engine.step(2, 0.01);
  EXPECT_EQ(nothing.targets, 0);
  EXPECT_TRUE(std::isnan(nothing.loss));
  EXPECT_EQ(nothing.grad_norm, 0);
  EXPECT_EQ(weights(engine), before);
  fill_tokens(engine, 3);
  EXPECT_TRUE(std::isfinite(engine.step(3, 0.01).loss));
}

// Frozen tensors keep their bits and have no part in the norm; the others go as they would with that gradient alone.
TEST(Engine, FrozenTensorsStay) {
  for (DType dtype : {DType::f64, DType::f32}) {
    EngineOptions o = options(dtype);
    o.clip = 0;
    Engine whole(tiny_config(), o);
    o.freeze = "model.embed_tokens.*,model.layers.0.*,model.layers.1.self_attn.k_proj.weight";
    Engine engine(tiny_config(), o);
    const auto frozen = [](const std::string& name) {
      return name.starts_with("model.embed") || name.starts_with("model.layers.0.") ||
             name == "model.layers.1.self_attn.k_proj.weight";
    };
    engine.initialise(), whole.initialise();
    const auto before = engine.state();
    std::vector<std::vector<double>> values;
    for (const StateTensor& t : before) values.push_back(TestModel::values(t.value));
    fill_tokens(engine, 1), fill_tokens(whole, 1);
    const double norm = engine.step(1, 0.01).grad_norm, whole_norm = whole.step(1, 0.01).grad_norm;
    EXPECT_LT(norm, whole_norm);
    const auto after = engine.state(), other = whole.state();
    double squares = 0;
    int count = 0;
    for (size_t i = 0; i < after.size(); ++i) {
      const auto now = TestModel::values(after[i].value), m = TestModel::values(after[i].m);
      if (frozen(after[i].name)) {
        ++count;
        EXPECT_EQ(now, values[i]) << after[i].name;
        EXPECT_TRUE(std::ranges::all_of(m, [](double x) { return x == 0; })) << after[i].name;
      } else {
        EXPECT_EQ(now, TestModel::values(other[i].value)) << after[i].name;
        EXPECT_NE(now, values[i]) << after[i].name;
        for (double x : m) squares += x * x / 0.01;
      }
    }
    EXPECT_EQ(count, 11);  // embedding, a block of nine, a part of joined projections
    EXPECT_NEAR(std::sqrt(squares), norm, 1e-5);
  }
}

TEST(Engine, ThePlanIsWhatIsTaken) {
  const EngineOptions o = options(DType::f32);
  const MemoryPlan plan = Engine::plan(tiny_config(), o);
  Engine engine(tiny_config(), o);
  EXPECT_EQ(engine.memory().total(), plan.total());
  engine.initialise();
  fill_tokens(engine, 1);
  engine.step(1, 0.1);
  EXPECT_EQ(engine.context().saved.peak(), plan.activations);
  EXPECT_LE(engine.context().scratch.peak(), plan.scratch);
  EXPECT_EQ(engine.context().scratch.mark(), 0u);
}

TEST(Engine, SameSeedSameBits) {
  EXPECT_EQ(trained(tiny_config(), options(DType::f32)), trained(tiny_config(), options(DType::f32)));
}

}  // namespace
}  // namespace rw::test
