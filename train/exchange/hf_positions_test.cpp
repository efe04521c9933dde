// Positions of config.json.
#include "train/exchange/hf_positions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file/json.hpp"
#include "layers/transformer/position_text.hpp"
#include "tests/support/bad_files.hpp"
#include "tests/support/drawn_model.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/hf_config.hpp"
#include "train/exchange/write_hf.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

const char* const kLlama =
    R"({"model_type":"llama","vocab_size":8,"hidden_size":32,"intermediate_size":12,"num_hidden_layers":2,)"
    R"("num_attention_heads":2,"max_position_embeddings":64})";

Json llama_with(const std::string& change) {
  Json json = Json::parse(kLlama);
  json.update(Json::parse(change));
  return json;
}
ModelConfig read(const std::string& change) { return parse_hf_config("c", llama_with(change), {}).model; }

TEST(HfPositions, EverySpellingOfPlainRotation) {
  const std::pair<const char*, double> spellings[] = {
      {"{}", 10000},
      {R"({"rope_theta": 500000})", 500000},
      {R"({"rope_theta": 5e5, "rope_scaling": null})", 500000},
      {R"({"rope_theta": 5e5, "rope_scaling": {}})", 500000},
      {R"({"rope_theta": 5e5, "rope_scaling": {"rope_type": "default"}})", 500000},
      {R"({"rope_theta": 5e5, "rope_scaling": {"type": "default"}})", 500000},
      {R"({"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}})", 77},
      {R"({"rope_theta": 77.0, "rope_parameters": {"rope_theta": 77.0, "rope_type": "default"}})", 77},
      {R"({"rope_theta": 5.0, "rope_parameters": {"rope_theta": 77.0}})", 77},
      {R"({"rope_theta": 77.0, "partial_rotary_factor": 1.0, "original_max_position_embeddings": 32})", 77},
  };
  for (const auto& [text, base] : spellings) {
    const ModelConfig m = read(text);
    EXPECT_EQ(m.rope, RopeConfig{.base = base}) << text;
    EXPECT_EQ(m.trained_context, 0) << text;
  }
}

TEST(HfPositions, EveryType) {
  const std::vector<double> one(8, 1.0), two(8, 2.0);
  const std::string lists = R"("short_factor": [1,1,1,1,1,1,1,1], "long_factor": [2,2,2,2,2,2,2,2])";
  struct Case {
    std::string fields;
    RopeConfig rope;
    int64_t trained;  // 0: max_position_embeddings
  };
  const Case cases[] = {
      {R"("type": "linear", "factor": 4)", {.rule = RopeRule::linear, .factor = 4}, 0},
      {R"("type": "dynamic", "factor": 2.5)", {.rule = RopeRule::dynamic, .factor = 2.5}, 0},
      {R"("type": "yarn", "factor": 4.0)", {.rule = RopeRule::yarn, .factor = 4}, 0},
      {R"("type": "yarn", "factor": null, "original_max_position_embeddings": 32)",
       {.rule = RopeRule::yarn, .factor = 2},
       32},
      {R"("type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "attention_factor": 1.0,
          "beta_fast": 16, "beta_slow": 0.5, "mscale": 0.7, "mscale_all_dim": 1, "truncate": false)",
       {.rule = RopeRule::yarn,
        .factor = 4,
        .beta_fast = 16,
        .beta_slow = 0.5,
        .truncate = false,
        .attention_factor = 1,
        .mscale = 0.7,
        .mscale_all_dim = 1},
       0},
      {R"("type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
          "original_max_position_embeddings": 32)",
       {.rule = RopeRule::llama3, .factor = 8, .beta_fast = 4, .beta_slow = 1},
       32},
      {R"("type": "longrope", "original_max_position_embeddings": 16, )" + lists,
       {.rule = RopeRule::longrope, .factor = 4, .short_factor = one, .long_factor = two},
       16},
      {R"("type": "longrope", "factor": 3, "attention_factor": 1.5, "original_max_position_embeddings": 16, )" + lists,
       {.rule = RopeRule::longrope, .factor = 3, .attention_factor = 1.5, .short_factor = one, .long_factor = two},
       16},
      {R"("type": "proportional", "partial_rotary_factor": 0.5, "factor": 2)",
       {.rule = RopeRule::proportional, .share = 0.5, .factor = 2},
       0},
  };
  for (const Case& one_case : cases) {
    std::string renamed = one_case.fields;
    renamed.replace(1, 4, "rope_type");
    for (const std::string& text :
         {R"({"rope_scaling": {)" + one_case.fields + "}}", R"({"rope_scaling": {)" + renamed + "}}",
          R"({"rope_parameters": {"rope_theta": 10000.0, )" + renamed + "}}"}) {
      const ModelConfig m = read(text);
      EXPECT_EQ(m.rope, one_case.rope) << text;
      EXPECT_EQ(m.trained_context, one_case.trained) << text;
    }
  }
}

TEST(HfPositions, TheTrainedLengthMayStandOutside) {
  EXPECT_EQ(read(R"({"original_max_position_embeddings": 16, "rope_scaling": {"type": "yarn", "factor": 4.0}})")
                .trained_context,
            16);
  EXPECT_EQ(read(R"({"original_max_position_embeddings": 16, "rope_scaling": {"type": "linear", "factor": 4.0}})")
                .trained_context,
            16);
}

TEST(HfPositions, WindowsOfAllLayers) {
  const PositionConfig window{.kind = PositionKind::window, .window = 6};
  for (const char* text :
       {R"({"max_window_layers": 0})", R"({"layer_types": ["sliding_attention", "sliding_attention"]})"})
    for (const char* type : {"qwen2", "qwen3"}) {
      Json json = llama_with(text);
      json.update({{"model_type", type}, {"use_sliding_window", true}, {"sliding_window", 6}});
      EXPECT_EQ(parse_hf_config("c", json, {}).model.positions, window) << text;
      json["use_sliding_window"] = false;
      json.erase("layer_types");
      EXPECT_EQ(parse_hf_config("c", json, {}).model.positions, PositionConfig{});
    }
  // As transformers has it: windows from layer 28 on.
  EXPECT_EQ(read(R"({"model_type": "qwen2", "use_sliding_window": true})").positions, PositionConfig{});
}

TEST(HfPositions, WhatIsNotComputedIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"rope_scaling": 2})", "rope_scaling is 2"},
      {R"({"rope_scaling": {"rope_type": 3}})", "rope_type is 3"},
      {R"({"rope_scaling": {"type": "mrope"}})", "type is \"mrope\""},
      {R"({"rope_scaling": {"rope_type": "su", "factor": 2.0}})", "rope_type is \"su\""},
      {R"({"rope_scaling": {"rope_type": "linear", "type": "dynamic", "factor": 2.0}})", "rope_type is \"linear\""},
      {R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})", "full_attention"},
      {R"({"rope_parameters": {"sliding_attention": {"rope_type": "default"}}})", "sliding_attention"},
      {R"({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": {"rope_type": "default"}})",
       "rope_scaling is"},
      {R"({"rope_scaling": {"type": "linear"}})", "factor is missing"},
      {R"({"rope_scaling": {"type": "linear", "factor": "2"}})", "factor is \"2\""},
      {R"({"rope_scaling": {"type": "linear", "factor": 0.5}})", "rope_scaling is"},
      {R"({"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 32}})", "beta_fast is 32"},
      {R"({"rope_scaling": {"type": "default", "factor": 2.0}})", "factor is 2.0"},
      {R"({"rope_scaling": {"type": "dynamic", "factor": null}})", "factor is null"},
      {R"({"rope_scaling": {"type": "dynamic", "factor": 2, "alpha": 1}})", "alpha is 1"},
      {R"({"rope_scaling": {"type": "yarn"}})", "factor is missing"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "truncate": null}})", "truncate is null"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": -1}})", "attention_factor is -1"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": 1, "beta_slow": 2}})", "rope_scaling is"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 1}})", "rope_scaling is"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 32},
           "original_max_position_embeddings": 16})",
       "original_max_position_embeddings is 32"},
      {R"({"rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1}})", "high_freq_factor is missing"},
      {R"({"rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}})",
       "rope_scaling is"},
      {R"({"rope_scaling": {"type": "longrope", "short_factor": [1]}})", "long_factor is missing"},
      {R"({"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]}})", "rope_scaling is"},
      {R"({"rope_scaling": {"type": "longrope", "short_factor": "1", "long_factor": [1]}})", "short_factor is \"1\""},
      {R"({"rope_scaling": {"type": "proportional", "partial_rotary_factor": 0.2}})", "rope_scaling is"},
      {R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor is 0.5"},
      {R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}})",
       "partial_rotary_factor is 0.5"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 4, "partial_rotary_factor": 0.5}})",
       "partial_rotary_factor is 0.5"},
      {R"({"rope_theta": 0})", "rope_theta is 0"},
      {R"({"rope_theta": 0.5})", "rope_theta is 0.5"},
      {R"({"rope_theta": "x"})", "rope_theta is \"x\""},
      {R"({"original_max_position_embeddings": 0})", "original_max_position_embeddings is 0"},
      {R"({"use_sliding_window": true})", "use_sliding_window is true"},
      {R"({"model_type": "qwen3", "layer_types": ["sliding_attention", "sliding_attention"]})", "layer_types"},
      {R"({"model_type": "qwen3", "layer_types": ["full_attention"]})", "layer_types"},
      {R"({"model_type": "qwen3", "layer_types": ["full_attention", "linear_attention"]})", "layer_types"},
      {R"({"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["sliding_attention", "full_attention"]})",
       "layer_types"},
      {R"({"model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 1})", "max_window_layers is 1"},
      {R"({"model_type": "qwen2", "use_sliding_window": true, "sliding_window": 0})", "sliding_window is 0"},
  };
  BadFiles files("config.json");
  for (const auto& [change, what] : cases) {
    Json json = llama_with(change);
    if (json.contains("layer_types") && json.contains("use_sliding_window")) json["sliding_window"] = 4;
    if (json["model_type"] == "qwen2" && !json.contains("sliding_window")) json["sliding_window"] = 4;
    const CaughtUserError error = files.refusal(change, [&] { parse_hf_config("config.json", json, {}); });
    EXPECT_EQ(error.code, Exit::data) << change;
    EXPECT_THAT(error.what, testing::StartsWith("config.json: ")) << change;
    EXPECT_THAT(error.what, HasSubstr(what)) << change;
    EXPECT_NE(error.advice, "") << change;
  }
}

ModelConfig with_heads_of_16(const RopeConfig& rope) {
  ModelConfig config = byte_config([](ModelConfig& c) { c.head_width = 16, c.context = 32; });
  config.rope = rope;
  config.rope.base = 100;
  return config;
}

const RopeConfig kExact[] = {
    {.rule = RopeRule::linear, .factor = 3},
    {.rule = RopeRule::dynamic, .factor = 2.5},
    {.rule = RopeRule::yarn, .factor = 4},
    {.rule = RopeRule::yarn, .factor = 4, .beta_fast = 3, .truncate = false, .mscale = 0.7, .mscale_all_dim = 1.3},
    {.rule = RopeRule::llama3, .factor = 8},
    {.rule = RopeRule::longrope,
     .factor = 2,
     .short_factor = {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7},
     .long_factor = {1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5}},
    {.rule = RopeRule::proportional, .share = 0.5, .factor = 2},
    {.rule = RopeRule::ntk_old, .factor = 3},
    {.rule = RopeRule::ntk_aware, .factor = 3},
    {.rule = RopeRule::by_parts, .factor = 4},
    {.rule = RopeRule::by_parts, .factor = 4, .beta_fast = 5, .ramp = RopeRamp::rotations},
    {.rule = RopeRule::yarn, .factor = 4, .ramp = RopeRamp::rotations, .attention_factor = 1},
};

TEST(HfPositions, GoOutAndComeBack) {
  for (const RopeConfig& rope : kExact)
    for (const int64_t trained : {0, 24}) {
      const TemporaryFolder folder;
      ModelConfig config = with_heads_of_16(rope);
      config.trained_context = trained, config.rope_layout = trained == 0 ? RopeLayout::half : RopeLayout::interleaved;
      SCOPED_TRACE(position_text(config));
      LoadedModel model = drawn(config);
      write_hf(model, folder / "out", {});
      LoadedModel again = instantiate(read_hf(folder / "out"));
      const LogitDifference difference = compare_logits(model.model, again.model);
      EXPECT_EQ(difference.tokens, 2 * config.trained());
      EXPECT_LE(difference.largest, 1e-5 * difference.scale);

      const Json json = parse_json("c", read_file(folder / "out" / "config.json"));
      for (const auto& [key, value] : json["rope_parameters"].items()) {
        if (key == "rope_theta" || json["rope_scaling"].is_null()) continue;
        EXPECT_EQ(json["rope_scaling"][key], value) << key;
      }
      EXPECT_EQ(json["rope_parameters"]["rope_theta"], json["rope_theta"]);
      write_hf(again, folder / "again", {});
      EXPECT_EQ(read_file(folder / "again" / "config.json"), read_file(folder / "out" / "config.json"));
    }
}

TEST(HfPositions, KeysThatAreWritten) {
  ModelConfig config = with_heads_of_16({.rule = RopeRule::by_parts, .factor = 4});
  config.trained_context = 8;
  Json json = hf_positions(config);
  EXPECT_EQ(json["rope_scaling"], Json::parse(R"({"rope_type": "yarn", "type": "yarn", "factor": 4.0,
      "original_max_position_embeddings": 8, "beta_fast": 32.0, "beta_slow": 1.0, "attention_factor": 1.0})"));
  EXPECT_EQ(json["original_max_position_embeddings"], 8);
  EXPECT_EQ(json["max_position_embeddings"], 32);

  config.rope = {.rule = RopeRule::ntk_old, .base = 100, .factor = 3};
  json = hf_positions(config);
  EXPECT_EQ(json["rope_theta"], 300.0);
  EXPECT_TRUE(json["rope_scaling"].is_null());

  config.rope = {.rule = RopeRule::dynamic, .base = 100, .factor = 3};
  EXPECT_EQ(hf_positions(config)["max_position_embeddings"], 8);  // where it begins to scale
  EXPECT_EQ(hf_versions(config), "4.43 and later, and 5");

  config.rope = {.rule = RopeRule::proportional, .base = 100, .share = 0.5};
  EXPECT_EQ(hf_positions(config)["rope_parameters"]["partial_rotary_factor"], 0.5);
  EXPECT_EQ(hf_versions(config), "5");

  config.rope = {.base = 100};
  config.qk_norm = true, config.positions = {.kind = PositionKind::window, .window = 5};
  json = hf_positions(config);
  EXPECT_EQ(json["use_sliding_window"], true);
  EXPECT_EQ(json["sliding_window"], 5);
  EXPECT_EQ(json["layer_types"], Json::parse(R"(["sliding_attention", "sliding_attention"])"));
}

TEST(HfPositions, AnotherRotationShows) {
  ModelConfig config = with_heads_of_16({.rule = RopeRule::yarn, .factor = 4});
  LoadedModel model = drawn(config);
  config.rope.attention_factor = 1;
  LoadedModel other = drawn(config);
  EXPECT_THROW(compare_logits(model.model, other.model), Error);
}

TEST(HfPositions, WhatHasNoKeyIsRefusedOrSaidAloud) {
  struct Case {
    void (*change)(ModelConfig&);
    const char* message;
    bool base;  // --as-base-rope does
  };
  const Case cases[] = {
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::ntk_fixed, .factor = 2}; }, "ntk_fixed", true},
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::ntk_mixed, .factor = 2}; }, "ntk_mixed", true},
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::by_parts_legacy, .factor = 2}; }, "by_parts_legacy", true},
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::by_parts, .factor = 2, .blend = RopeBlend::harmonic}; },
       "by_parts with rope_blend harmonic", true},
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::yarn, .factor = 2, .blend = RopeBlend::harmonic}; },
       "yarn with rope_blend harmonic", true},
      {[](ModelConfig& c) { c.rope = {.rule = RopeRule::yarn, .factor = 2, .ramp = RopeRamp::rotations}; },
       "yarn with rope_ramp rotations", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::rerope; }, "positions rerope", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::leaky; }, "positions leaky", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::self_extend; }, "positions self_extend", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::lambda; }, "positions lambda", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::streaming; }, "positions streaming", true},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::window; }, "window in Llama", true},
      {[](ModelConfig& c) { c.positions.log_n = LogN::beyond; }, "log_n beyond", true},
      {[](ModelConfig& c) { c.positions.log_n = LogN::trained; }, "log_n trained", false},
      {[](ModelConfig& c) { c.key_norm = KeyNorm::key; }, "key_norm", false},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::hwfa; }, "positions hwfa", false},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::hwfa2; }, "positions hwfa2", false},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::none; }, "positions none", false},
      {[](ModelConfig& c) { c.rope.share = 0.5; }, "a share of 0.5", false},
  };
  for (const Case& one : cases) {
    ModelConfig config = with_heads_of_16({});
    one.change(config);
    const CaughtUserError error = user_error_of([&] { hf_architecture(config); });
    EXPECT_EQ(error.code, Exit::usage) << one.message;
    EXPECT_THAT(error.what, HasSubstr(one.message));
    EXPECT_THAT(error.advice, HasSubstr("--as-base-rope"));
    const CaughtUserError refused = user_error_of([&] {
      const ModelConfig base = as_base_rope(config);
      EXPECT_TRUE(base.plain_rope());
      EXPECT_EQ(base.rope.base, config.rope.base);
      hf_architecture(base);
    });
    EXPECT_EQ(refused.what.empty(), one.base) << one.message << ": " << refused.what;
  }
  ModelConfig inverse = with_heads_of_16({});
  inverse.positions = {.kind = PositionKind::inverse_leaky};
  EXPECT_EQ(hf_architecture(inverse), "LlamaForCausalLM");
}

}  // namespace
}  // namespace rw::test
