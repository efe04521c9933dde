// Models to folders of Hugging Face and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file/json.hpp"
#include "tests/support/bad_files.hpp"
#include "tests/support/drawn_model.hpp"
#include "tests/support/model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/hf_config.hpp"
#include "train/exchange/verify.hpp"
#include "train/exchange/write_hf.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

struct Kind {
  const char* name;
  void (*change)(ModelConfig&);
  const char* architecture;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

void as_gpt2(ModelConfig& c) {
  c.norm = NormKind::layer, c.mlp = MlpKind::gelu_tanh, c.mlp_bias = true, c.attention_bias = AttentionBias::all;
  c.positions.kind = PositionKind::learned, c.kv_heads = c.heads = 2, c.head_width = c.width / 2;
}

const Kind kKinds[] = {
    {"tied", [](ModelConfig&) {}, "LlamaForCausalLM"},
    {"untied", [](ModelConfig& c) { c.tied = false; }, "LlamaForCausalLM"},
    {"biases", [](ModelConfig& c) { c.mlp_bias = true, c.attention_bias = AttentionBias::all; }, "LlamaForCausalLM"},
    {"interleaved", [](ModelConfig& c) { c.rope_layout = RopeLayout::interleaved; }, "LlamaForCausalLM"},
    {"qwen2", [](ModelConfig& c) { c.attention_bias = AttentionBias::qkv; }, "Qwen2ForCausalLM"},
    {"qwen3", [](ModelConfig& c) { c.qk_norm = true, c.head_width = 6; }, "Qwen3ForCausalLM"},
    {"qwen3_interleaved",
     [](ModelConfig& c) {
       c.qk_norm = true, c.rope_layout = RopeLayout::interleaved, c.attention_bias = AttentionBias::all, c.tied = false;
     },
     "Qwen3ForCausalLM"},
    {"gpt2", as_gpt2, "GPT2LMHeadModel"},
    {"gpt2_untied_gelu", [](ModelConfig& c) { as_gpt2(c), c.tied = false, c.mlp = MlpKind::gelu; }, "GPT2LMHeadModel"},
};

ModelConfig config_of(const Kind& kind) { return byte_config(kind.change); }

class HuggingFace : public testing::TestWithParam<Kind> {};

TEST_P(HuggingFace, GoesOutAndComesBack) {
  const TemporaryFolder folder;
  const ModelConfig config = config_of(GetParam());
  LoadedModel model = drawn(config);
  write_hf(model, folder / "out", {});
  const Json json = parse_json("config.json", read_file(folder / "out" / "config.json"));
  EXPECT_EQ(json["architectures"][0], GetParam().architecture);

  const ForeignModel read = read_hf(folder / "out");
  LoadedModel again = instantiate(read);
  expect_came_back(model, again);
  EXPECT_EQ(again.tokenizer->hash(), make_tokenizer(again.tokenizer->file())->hash());

  // And out again: the same bytes.
  write_hf(again, folder / "again", {});
  EXPECT_EQ(read_file(folder / "again" / "model.safetensors"), read_file(folder / "out" / "model.safetensors"));
  EXPECT_EQ(read_file(folder / "again" / "config.json"), read_file(folder / "out" / "config.json"));
  EXPECT_EQ(read_file(folder / "again" / "tokenizer.json"), read_file(folder / "out" / "tokenizer.json"));
}

TEST_P(HuggingFace, ATakenAwayPermutationShows) {
  ModelConfig config = config_of(GetParam());
  if (config.learned_positions()) GTEST_SKIP() << "nothing is rotated";
  LoadedModel model = drawn(config), other = drawn(config);
  const auto parts = parts_by_name(other.model);
  for (const auto& [name, view] : parts)
    if (name.find(".q_proj.weight") != name.npos)
      for (int64_t i = 0; i < view.width(); ++i)
        std::swap(view.as<float>()[0][i], view.as<float>()[1][i]);  // two rows of a head
  const LogitDifference difference = compare_logits(model.model, other.model);
  EXPECT_GT(difference.largest, 1e-4 * difference.scale);
  EXPECT_THROW(verdict(difference, 1e-4), Error);
}

INSTANTIATE_TEST_SUITE_P(, HuggingFace, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(HuggingFaceTypes, StoredTypesAreKept) {
  const TemporaryFolder folder;
  const ModelConfig config = config_of(kKinds[0]);
  LoadedModel model = drawn(config, DType::bf16);
  write_hf(model, folder / "bf16", {});
  EXPECT_THAT(read_file(folder / "bf16" / "config.json"), HasSubstr("bfloat16"));
  const SavedCheckpoint saved = import_model(read_hf(folder / "bf16"), folder / "run", "ropewalk import");
  const Checkpoint checkpoint = Checkpoint::open(folder / "run");
  EXPECT_EQ(checkpoint.folder(), saved.folder);
  for (const Checkpoint::Tensor& t : checkpoint.tensors()) EXPECT_EQ(t.value.dtype, DType::bf16) << t.name;
  LoadedModel loaded = load_model(folder / "run");
  EXPECT_EQ(compare_logits(model.model, loaded.model).largest, 0);
  write_hf(loaded, folder / "again", {});
  EXPECT_EQ(read_file(folder / "again" / "model.safetensors"), read_file(folder / "bf16" / "model.safetensors"));

  LoadedModel fine = drawn(config);
  write_hf(fine, folder / "f16", {.type = ValueType::f16});
  const LogitDifference half = compare_logits(fine.model, instantiate(read_hf(folder / "f16")).model);
  EXPECT_GT(half.largest, 0);
  EXPECT_LE(half.largest, most_difference(ValueType::f16) * half.scale);
}

TEST(HuggingFaceTypes, WhatIsThereIsNotTouched) {
  const TemporaryFolder folder;
  LoadedModel model = drawn(config_of(kKinds[0]));
  std::filesystem::create_directory(folder / "full");
  write_file(folder / "full" / "a", "b");
  EXPECT_EQ(user_error_of([&] { write_hf(model, folder / "full", {}); }).code, Exit::write);
  EXPECT_EQ(read_file(folder / "full" / "a"), "b");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"full"});
}

TEST(HuggingFaceTypes, OtherModelsAreRefusedByName) {
  struct Case {
    void (*change)(ModelConfig&);
    const char* message;
  };
  const Case cases[] = {
      {[](ModelConfig& c) { c.norm = NormKind::layer; }, "norm layer and positions rope"},
      {[](ModelConfig& c) { as_gpt2(c), c.mlp = MlpKind::swiglu; }, "norm layer and mlp swiglu"},
      {[](ModelConfig& c) { as_gpt2(c), c.attention_bias = AttentionBias::qkv; }, "attention_bias none or qkv"},
      {[](ModelConfig& c) { as_gpt2(c), c.mlp_bias = false; }, "no mlp_bias"},
      {[](ModelConfig& c) { as_gpt2(c), c.qk_norm = true; }, "norm layer and qk_norm"},
      {[](ModelConfig& c) { as_gpt2(c), c.kv_heads = 1; }, "kv_heads below heads"},
      {[](ModelConfig& c) { as_gpt2(c), c.head_width = 2; }, "head_width ≠ width"},
      {[](ModelConfig& c) { c.mlp = MlpKind::gelu; }, "norm rms and mlp gelu"},
      {[](ModelConfig& c) { c.positions.kind = PositionKind::learned; }, "positions learned"},
      {[](ModelConfig& c) { c.qk_norm = c.mlp_bias = true; }, "qk_norm and mlp_bias"},
      {[](ModelConfig& c) { c.qk_norm = true, c.attention_bias = AttentionBias::qkv; }, "qk_norm and attention_bias"},
      {[](ModelConfig& c) { c.mlp_bias = true, c.attention_bias = AttentionBias::qkv; },
       "attention_bias qkv and mlp_b"},
      {[](ModelConfig& c) { c.heads = 5, c.kv_heads = 1; }, "5 heads"},
  };
  for (const Case& one : cases) {
    ModelConfig config = tiny_config();
    one.change(config);
    const CaughtUserError error = user_error_of([&] { hf_architecture(config); });
    EXPECT_EQ(error.code, Exit::usage) << one.message;
    EXPECT_THAT(error.what, HasSubstr(one.message));
  }
}

const char* const kLlama =
    R"({"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":1,)"
    R"("num_attention_heads":2,"max_position_embeddings":16})";
const char* const kGpt2 = R"({"model_type":"gpt2","vocab_size":8,"n_embd":8,"n_layer":1,"n_head":2,"n_positions":16})";

TEST(HuggingFaceConfig, WhatIsNotComputedIsNamed) {
  struct Case {
    const char *base, *change, *what;
  };
  const Case cases[] = {
      {kLlama, R"({"model_type": "mixtral"})", "model_type is \"mixtral\""},
      {kLlama, R"({"model_type": null})", "model_type is null"},
      {kLlama, R"({"architectures": ["LlamaForSequenceClassification"]})", "architectures"},
      {kLlama, R"({"hidden_act": "relu"})", "hidden_act is \"relu\""},
      {kLlama, R"({"hidden_size": 0})", "hidden_size is 0"},
      {kLlama, R"({"hidden_size": 8.5})", "hidden_size is 8.5"},
      {kLlama, R"({"hidden_size": 4611686018427387904})", "hidden_size is 4611686018427387904"},
      {kLlama, R"({"hidden_size": null})", "hidden_size is null"},
      {kLlama, R"({"num_key_value_heads": 3})", "num_key_value_heads is 3"},
      {kLlama, R"({"head_dim": 3})", "head_dim is 3"},
      {kLlama, R"({"quantization_config": {"bits": 4}})", "quantization_config"},
      {kLlama, R"({"num_local_experts": 8})", "num_local_experts is 8"},
      {kLlama, R"({"eos_token_id": 8})", "eos_token_id is 8"},
      {kLlama, R"({"eos_token_id": [1, -1]})", "eos_token_id is [1,-1]"},
      {kLlama, R"({"tie_word_embeddings": 1})", "tie_word_embeddings is 1"},
      {kLlama, R"({"rms_norm_eps": -1e-5})", "rms_norm_eps is -1e-05"},
      {kGpt2, R"({"n_head": 3})", "n_head is 3"},
      {kGpt2, R"({"activation_function": "relu"})", "activation_function"},
      {kGpt2, R"({"scale_attn_by_inverse_layer_idx": true})", "scale_attn_by_inverse_layer_idx"},
      {kGpt2, R"({"scale_attn_weights": false})", "scale_attn_weights"},
      {kGpt2, R"({"add_cross_attention": true})", "add_cross_attention"},
  };
  BadFiles files("config.json");
  for (const Case& one : cases) {
    Json json = Json::parse(one.base);
    json.update(Json::parse(one.change));
    const CaughtUserError error = files.refusal(one.change, [&] { parse_hf_config("config.json", json, {}); });
    EXPECT_EQ(error.code, Exit::data) << one.change;
    EXPECT_THAT(error.what, testing::StartsWith("config.json: ")) << one.change;
    EXPECT_THAT(error.what, HasSubstr(one.what)) << one.change;
    EXPECT_NE(error.advice, "") << one.change;
  }
  Json json = Json::parse(kLlama);
  json["fancy"] = 1;
  EXPECT_EQ(parse_hf_config("c", json, {"fancy"}).model.layers, 1);
  EXPECT_EQ(user_error_of([&] { parse_hf_config("c", json, {"hidden_size", "fancy"}); }).code, Exit::usage);
}

// A folder that is good, and one change of it.
class BadFolder : public testing::Test {
 protected:
  void SetUp() override {
    LoadedModel model = drawn(config_of(kKinds[0]));
    write_hf(model, folder / "m", {});
  }
  void change_config(const Json& change) {
    Json json = parse_json("c", read_file(folder / "m" / "config.json"));
    json.update(change);
    write_file(folder / "m" / "config.json", json.dump());
  }
  CaughtUserError error() {
    return user_error_of([&] { import_model(read_hf(folder / "m"), folder / "out", ""); });
  }
  TemporaryFolder folder;
};

TEST_F(BadFolder, TensorsAreComparedWithTheConfiguration) {
  change_config({{"num_hidden_layers", 3}});
  EXPECT_THAT(error().what, HasSubstr("tensors are missing"));
  EXPECT_THAT(error().advice, HasSubstr("model.layers.2."));
  change_config({{"num_hidden_layers", 1}});
  EXPECT_THAT(error().what, HasSubstr("no place for"));
  EXPECT_THAT(error().advice, HasSubstr("model.layers.1."));
  change_config({{"num_hidden_layers", 268435456}});
  EXPECT_THAT(error().what, HasSubstr("tensors are missing"));
  change_config({{"num_hidden_layers", 2}, {"intermediate_size", 268435456}});
  EXPECT_THAT(error().what, HasSubstr("mlp."));
  EXPECT_THAT(error().advice, HasSubstr("the configuration makes it [12, 268435456]"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m"});
}

TEST_F(BadFolder, TheVocabularyMustFit) {
  LoadedModel small = drawn([] {
    ModelConfig config = tiny_config();
    config.vocab = 100;  // fewer than the 257 of the tokenizer
    return config;
  }());
  std::filesystem::remove_all(folder / "m");
  write_hf(small, folder / "m", {});
  change_config({{"eos_token_id", nullptr}});
  EXPECT_THAT(error().what, HasSubstr("tokenizer and embedding disagree"));
  EXPECT_THAT(error().advice, HasSubstr("257 tokens, the embedding 100 rows"));
}

TEST_F(BadFolder, ATiedHeadMustBeTheEmbedding) {
  LoadedModel untied = drawn([] {
    ModelConfig config = config_of(kKinds[0]);
    config.tied = false;
    return config;
  }());
  std::filesystem::remove_all(folder / "m");
  write_hf(untied, folder / "m", {});
  change_config({{"tie_word_embeddings", true}});
  EXPECT_THAT(error().what, HasSubstr("lm_head.weight differs"));

  const auto parts = parts_by_name(untied.model);  // the same numbers twice are one matrix
  const View head = parts.at("lm_head.weight"), embedding = parts.at("model.embed_tokens.weight");
  std::copy_n(embedding.as<float>().data, embedding.shape.elements(), head.as<float>().data);
  std::filesystem::remove_all(folder / "m");
  write_hf(untied, folder / "m", {});
  change_config({{"tie_word_embeddings", true}});
  EXPECT_EQ(error().what, "");
}

TEST_F(BadFolder, FilesThatAreNotThere) {
  std::filesystem::remove(folder / "m" / "model.safetensors");
  EXPECT_THAT(error().what, HasSubstr("no weights"));
  std::filesystem::remove(folder / "m" / "config.json");
  EXPECT_THAT(error().what, HasSubstr("no config.json"));
  std::filesystem::remove_all(folder / "m");
  EXPECT_THAT(error().what, HasSubstr("no folder"));
}

}  // namespace
}  // namespace rw::test
