// Models to GGUF files and back.
#include "train/exchange/export_gguf.hpp"

#include <gmock/gmock.h>

#include "layers/transformer/position_text.hpp"
#include "tests/support/bad_files.hpp"
#include "tests/support/drawn_model.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/gguf_config.hpp"
#include "train/exchange/gguf_tokenizer.hpp"
#include "train/exchange/verify.hpp"

namespace rw::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Kind {
  const char* name;
  void (*change)(ModelConfig&);
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

const Kind kKinds[] = {
    {"tied", [](ModelConfig&) {}},
    {"untied", [](ModelConfig& c) { c.tied = false; }},
    {"qkv_biases", [](ModelConfig& c) { c.attention_bias = AttentionBias::qkv; }},
    {"all_biases", [](ModelConfig& c) { c.mlp_bias = true, c.attention_bias = AttentionBias::all; }},
    {"interleaved",
     [](ModelConfig& c) { c.rope_layout = RopeLayout::interleaved, c.attention_bias = AttentionBias::all; }},
    {"wide_heads", [](ModelConfig& c) { c.head_width = 6, c.kv_heads = 4, c.norm_eps = 1e-6, c.rope.base = 12345.6; }},
};

ModelConfig config_of(const Kind& kind) { return byte_config(kind.change); }

class GgufModel : public testing::TestWithParam<Kind> {};

TEST_P(GgufModel, GoesOutAndComesBack) {
  const TemporaryFolder folder;
  const ModelConfig config = config_of(GetParam());
  LoadedModel model = drawn(config);
  EXPECT_THAT(export_gguf(model, folder / "m.gguf", ValueType::f32), IsEmpty());
  const ForeignModel read = read_gguf(folder / "m.gguf");
  LoadedModel again = instantiate(read);
  expect_came_back(model, again);
  const std::string text = "A rope\n\tcaf\u00e9 \xFF";
  EXPECT_EQ(again.tokenizer->encode(text), model.tokenizer->encode(text));
  EXPECT_EQ(again.tokenizer->document_start(), model.tokenizer->document_start());

  std::filesystem::create_directory(folder / "again");  // general.name is the file's
  export_gguf(again, folder / "again/m.gguf", ValueType::f32);
  EXPECT_EQ(read_file(folder / "again/m.gguf"), read_file(folder / "m.gguf"));
}

// As llama.cpp and others lay it out: row 2c of a head is our row c, row 2c + 1 our row c + d/2.
TEST_P(GgufModel, RotatedRowsArePairs) {
  const TemporaryFolder folder;
  const ModelConfig config = config_of(GetParam());
  LoadedModel model = drawn(config);
  export_gguf(model, folder / "m.gguf", ValueType::f32);
  const GgufFile file(folder / "m.gguf");
  const auto tensor = std::ranges::find(file.tensors(), "blk.1.attn_k.weight", &ForeignTensor::name);
  ASSERT_NE(tensor, file.tensors().end());
  const View ours = parts_by_name(model.model).at("model.layers.1.self_attn.k_proj.weight");
  const int64_t d = config.head_width, half = d / 2;
  const auto* theirs = reinterpret_cast<const float*>(tensor->bytes.data());
  for (int64_t row = 0; row < config.kv_heads * d; ++row) {
    const int64_t head = row / d * d, r = row % d;
    const int64_t to =
        config.rope_layout == RopeLayout::interleaved ? row : head + (r < half ? 2 * r : 2 * (r - half) + 1);
    for (int64_t c = 0; c < config.width; ++c)
      ASSERT_EQ(theirs[to * config.width + c], ours.as<float>()[row][c]) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(, GgufModel, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

ModelConfig blocks_config() {  // rows of 32 and 64 values
  ModelConfig config = tiny_config();
  config.vocab = 257, config.width = 64, config.hidden = 32, config.head_width = 16;
  return config;
}

TEST(GgufTypes, MatricesAreOfTheTypeAndVectorsF32) {
  const TemporaryFolder folder;
  LoadedModel model = drawn(blocks_config());
  for (const auto& [type, most] : {std::pair{ValueType::f16, 0.01}, {ValueType::bf16, 0.06}, {ValueType::q8_0, 0.06}}) {
    const auto path = folder / (std::string(name_of(type)) + ".gguf");
    EXPECT_THAT(export_gguf(model, path, type), IsEmpty());
    const GgufFile file(path);
    for (const ForeignTensor& tensor : file.tensors())
      EXPECT_EQ(tensor.type, tensor.shape.size() == 1 ? ValueType::f32 : type) << tensor.name;
    EXPECT_EQ(file.integer("general.quantization_version").has_value(), type == ValueType::q8_0);
    const LogitDifference difference = compare_logits(model.model, instantiate(read_gguf(path)).model);
    EXPECT_LE(difference.largest, most * difference.scale);
    EXPECT_GT(difference.largest, 0);
  }
}

TEST(GgufTypes, RowsThatAreNoBlocksBecomeF16) {
  const TemporaryFolder folder;
  LoadedModel model = drawn([] {
    ModelConfig config = blocks_config();
    config.hidden = 33;
    return config;
  }());
  EXPECT_THAT(export_gguf(model, folder / "m.gguf", ValueType::q8_0),
              ElementsAre("blk.0.ffn_down.weight is f16: its rows of 33 are no whole blocks of 32",
                          "blk.1.ffn_down.weight is f16: its rows of 33 are no whole blocks of 32"));
  const GgufFile file(folder / "m.gguf");
  for (const ForeignTensor& tensor : file.tensors())
    EXPECT_EQ(tensor.type, tensor.shape.size() == 1                        ? ValueType::f32
                           : tensor.name.find("down") != std::string::npos ? ValueType::f16
                                                                           : ValueType::q8_0);
}

TEST(GgufTypes, WithoutOneBf16StaysBf16) {
  const TemporaryFolder folder;
  LoadedModel model = drawn(blocks_config(), DType::bf16);
  export_gguf(model, folder / "m.gguf", {});
  const ForeignModel read = read_gguf(folder / "m.gguf");
  for (const ForeignTensor& tensor : read.tensors)
    EXPECT_EQ(tensor.type, tensor.shape.size() == 1 ? ValueType::f32 : ValueType::bf16) << tensor.name;
  EXPECT_EQ(compare_logits(model.model, instantiate(read).model).largest, 0);
}

TEST(GgufExport, ScaledRotationGoesOutAndComesBack) {
  for (const RopeConfig& rope : std::initializer_list<RopeConfig>{
           {.rule = RopeRule::linear, .factor = 3},
           {.rule = RopeRule::yarn, .factor = 4},
           {.rule = RopeRule::yarn, .factor = 4, .beta_fast = 32, .beta_slow = 1, .attention_factor = 1.5},
           {.rule = RopeRule::yarn, .factor = 4, .mscale = 0.7, .mscale_all_dim = 1.3},
           {.rule = RopeRule::by_parts, .factor = 4},
           {.rule = RopeRule::ntk_old, .factor = 3},
           {.rule = RopeRule::ntk_aware, .factor = 3}}) {
    const TemporaryFolder folder;
    ModelConfig config = byte_config([](ModelConfig& c) { c.head_width = 16, c.trained_context = 8; });
    config.rope = rope;
    config.rope.base = 100;
    SCOPED_TRACE(position_text(config));
    LoadedModel model = drawn(config);
    export_gguf(model, folder / "m.gguf", ValueType::f32);
    LoadedModel again = instantiate(read_gguf(folder / "m.gguf"));
    const LogitDifference difference = compare_logits(model.model, again.model);
    EXPECT_EQ(difference.tokens, 16);
    EXPECT_LE(difference.largest, 1e-5 * difference.scale);
  }
}

TEST(GgufExport, WhatTheFormatHasNoPlaceForIsRefused) {
  const TemporaryFolder folder;
  struct Case {
    void (*change)(ModelConfig&);
    const char* what;
  };
  for (const Case& one : std::initializer_list<Case>{
           {[](ModelConfig& c) { c.norm = NormKind::layer; }, "norm layer"},
           {[](ModelConfig& c) { c.mlp = MlpKind::gelu; }, "mlp gelu"},
           {[](ModelConfig& c) { c.mlp = MlpKind::gelu_tanh; }, "mlp gelu_tanh"},
           {[](ModelConfig& c) { c.positions.kind = PositionKind::learned; }, "positions learned"},
           {[](ModelConfig& c) { c.positions.kind = PositionKind::leaky; }, "positions leaky"},
           {[](ModelConfig& c) { c.positions.kind = PositionKind::window; }, "positions window"},
           {[](ModelConfig& c) { c.positions.log_n = LogN::beyond; }, "log_n"},
           {[](ModelConfig& c) { c.key_norm = KeyNorm::key; }, "key_norm"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::dynamic, .factor = 2}; }, "rope dynamic"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::llama3, .factor = 2}; }, "rope llama3"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::ntk_fixed, .factor = 2}; }, "rope ntk_fixed"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::yarn, .factor = 2, .truncate = false}; },
            "rope yarn without rope_truncate"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::yarn, .factor = 2, .beta_fast = 8}; },
            "rope yarn beta_fast other than 32"},
           {[](ModelConfig& c) { c.rope = {.rule = RopeRule::yarn, .factor = 2, .beta_slow = 2}; },
            "rope yarn beta_slow other than 1"},
           {[](ModelConfig& c) { c.qk_norm = true; }, "qk_norm"}}) {
    ModelConfig config = config_of(kKinds[0]);
    one.change(config);
    LoadedModel model = drawn(config);
    const CaughtUserError error = user_error_of([&] { export_gguf(model, folder / "m.gguf", ValueType::f32); });
    EXPECT_EQ(error.code, Exit::usage) << one.what;
    EXPECT_EQ(error.what, std::string("GGUF has no model with ") + one.what);
    EXPECT_THAT(error.advice, HasSubstr("ropewalk export hf"));
  }
  EXPECT_THAT(folder.names(), IsEmpty());
  LoadedModel model = drawn(config_of(kKinds[0]));
  write_file(folder / "m.gguf", "old");
  EXPECT_EQ(user_error_of([&] { export_gguf(model, folder / "m.gguf", {}); }).code, Exit::write);
  EXPECT_EQ(read_file(folder / "m.gguf"), "old");
}

TEST(GgufExport, AModelWithoutATokenizer) {
  const TemporaryFolder folder;
  LoadedModel model = drawn(config_of(kKinds[0]));
  model.tokenizer.reset();
  export_gguf(model, folder / "m.gguf", {});
  const ForeignModel read = read_gguf(folder / "m.gguf");
  EXPECT_FALSE(read.tokenizer);
  EXPECT_THAT(read.notes, ElementsAre("it has no tokenizer: none was imported"));
}

TEST(GgufExport, EndsOfATextAreKept) {
  const TemporaryFolder folder;
  LoadedModel model = drawn(config_of(kKinds[0]));
  model.meta.ends = {7, 9};
  export_gguf(model, folder / "m.gguf", {});
  EXPECT_THAT(read_gguf(folder / "m.gguf").ends, ElementsAre(7, 9));
  model.meta.ends = {};
  export_gguf(model, folder / "none.gguf", {});
  EXPECT_THAT(read_gguf(folder / "none.gguf").ends, IsEmpty());
  EXPECT_EQ(GgufFile(folder / "none.gguf").integer("tokenizer.ggml.eos_token_id"), model.tokenizer->document_start());
}

// A file that is good, with other keys and tensors.
struct GgufImport : testing::Test {
  TemporaryFolder folder;
  LoadedModel model = drawn(config_of(kKinds[0]));
  std::map<std::string, View> parts = parts_by_name(model.model);
  GgufFields fields = {{"general.architecture", std::string("llama")}};
  std::vector<OutgoingTensor> tensors =
      outgoing(tensor_map(model.model.config, Naming::gguf), parts, [](const MappedTensor&) { return ValueType::f32; });
  GgufImport() {
    const Vocabulary vocabulary = vocabulary_of(*model.tokenizer);
    for (const GgufFields& more :
         {gguf_fields(model.model.config), gguf_fields(&vocabulary, model.model.config.vocab, {})})
      fields.insert(fields.end(), more.begin(), more.end());
  }

  GgufField& field(const std::string& key) {
    const auto found = std::ranges::find(fields, key, &std::pair<std::string, GgufField>::first);
    return found == fields.end() ? fields.emplace_back(key, GgufField()).second : found->second;
  }
  void erase(const std::string& key) {
    std::erase_if(fields, [&](const auto& entry) { return entry.first == key; });
  }
  ForeignModel read() {
    write_gguf(folder / "m.gguf", fields, tensors);
    return read_gguf(folder / "m.gguf");
  }
  CaughtUserError error() {
    return user_error_of([&] { instantiate(read()); });
  }
};

TEST_F(GgufImport, TheFileIsGood) { EXPECT_EQ(error().what, ""); }

TEST_F(GgufImport, WhatRopewalkDoesNotComputeIsRefusedByName) {
  const std::pair<const char*, GgufField> cases[] = {{"general.architecture", std::string("qwen2")},
                                                     {"general.architecture", std::string("\x1b[31m")},
                                                     {"general.type", std::string("adapter")},
                                                     {"split.count", uint32_t{2}},
                                                     {"llama.rope.scaling.type", std::string("longrope")},
                                                     {"llama.rope.scaling.type", std::string("\x1b[31m")},
                                                     {"llama.rope.scaling.attn_factor", 1.5f},
                                                     {"llama.rope.scaling.yarn_ext_factor", 1.0f},
                                                     {"llama.rope.dimension_count", uint32_t{2}},
                                                     {"llama.rope.freq_base", 1.0f},
                                                     {"llama.rope.freq_base", std::numeric_limits<float>::quiet_NaN()},
                                                     {"llama.rope.freq_base", std::string("10000")},
                                                     {"llama.expert_count", uint32_t{8}},
                                                     {"llama.expert_used_count", uint32_t{2}},
                                                     {"llama.attention.sliding_window", uint32_t{4096}},
                                                     {"llama.attention.causal", false},
                                                     {"llama.attention.key_length", uint32_t{5}},
                                                     {"llama.attention.key_length", uint32_t{0}},
                                                     {"llama.attention.value_length", uint32_t{8}},
                                                     {"llama.attention.head_count", uint32_t{0}},
                                                     {"llama.attention.head_count", std::vector<int32_t>{4, 4}},
                                                     {"llama.attention.head_count_kv", uint32_t{3}},
                                                     {"llama.attention.head_count_kv", uint32_t{1} << 31},
                                                     {"llama.attention.layer_norm_rms_epsilon", -1e-5f},
                                                     {"llama.attention.layer_norm_epsilon", 1e-5f},
                                                     {"llama.block_count", uint32_t{0}},
                                                     {"llama.block_count", uint32_t{16'000'000}},
                                                     {"llama.vocab_size", uint32_t{259}},
                                                     {"llama.use_parallel_residual", true},
                                                     {"llama.logit_scale", 2.0f},
                                                     {"llama.what_is_this", uint32_t{1}}};
  const GgufFields good = fields;
  BadFiles files("gguf model");
  for (const auto& [key, value] : cases) {
    fields = good;
    field(key) = value;
    const CaughtUserError caught = files.refusal(key, [&] { instantiate(read()); });
    EXPECT_EQ(caught.code, Exit::data) << key;
    if (std::string_view(key).starts_with("llama.")) {
      EXPECT_THAT(caught.what, HasSubstr(key));
    }
    EXPECT_THAT(caught.what, testing::Not(HasSubstr("\x1b"))) << key;
  }
}

TEST_F(GgufImport, WhatChangesNothingIsRead) {
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, GgufField>>{
           {"llama.rope.scaling.type", std::string("none")},
           {"llama.rope.scaling.factor", 1.0f},
           {"llama.rope.scaling.finetuned", false},
           {"llama.expert_count", uint32_t{0}},
           {"llama.attention.sliding_window", uint32_t{0}},
           {"llama.tensor_data_layout", std::string("Meta AI original pth")},
           {"general.license", std::string("apache-2.0")},
           {"tokenizer.chat_template", std::string("{{ x }}")}})
    field(key) = value;
  for (const char* key : {"llama.attention.head_count_kv", "llama.attention.value_length", "llama.rope.freq_base",
                          "llama.rope.dimension_count", "llama.vocab_size"})
    erase(key);
  field("llama.rope.freq_base") = 50.0f;
  field("llama.attention.head_count_kv") = uint32_t{2};
  const ForeignModel model_read = read();
  EXPECT_EQ(model_to_json(model_read.config), model_to_json(model.model.config));
  EXPECT_THAT(model_read.notes, testing::Contains("its chat template is left out"));
}

TEST_F(GgufImport, ScaledRotation) {
  const GgufFields good = fields;
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    fields = good;
    field(key) = 2.0f;
    EXPECT_EQ(read().config.rope, (RopeConfig{.rule = RopeRule::linear, .base = 50, .factor = 2}));
    field("llama.rope.scaling.type") = std::string("none");
    EXPECT_THAT(error().what, HasSubstr("llama.rope.scaling.type is 'none'"));
  }
  fields = good;
  field("llama.rope.scaling.type") = std::string("yarn");
  field("llama.rope.scaling.factor") = 4.0f;
  EXPECT_EQ(read().config.rope, (RopeConfig{.rule = RopeRule::yarn, .base = 50, .factor = 4}));
  EXPECT_EQ(read().config.trained_context, 0);
  field("llama.rope.scaling.original_context_length") = uint32_t{8};
  field("llama.rope.scaling.attn_factor") = 0.5f;
  const ModelConfig scaled = read().config;
  EXPECT_EQ(scaled.trained_context, 8);
  EXPECT_NEAR(scaled.rope.attention_factor, 0.5 * (0.1 * std::log(4.0) + 1), 1e-12);
  const GgufFields yarn = fields;
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, float>>{{"llama.rope.scaling.factor", 0.5f},
                                                            {"llama.rope.scaling.yarn_ext_factor", 0.5f},
                                                            {"llama.rope.scaling.yarn_attn_factor", 2},
                                                            {"llama.rope.scaling.yarn_log_multiplier", 0.1f},
                                                            {"llama.rope.scaling.yarn_beta_fast", 16}}) {
    fields = yarn;
    field(key) = value;
    EXPECT_THAT(error().what, HasSubstr("llama.rope.scaling.")) << key;
    EXPECT_NE(error().advice, "") << key;
  }
}

TEST_F(GgufImport, MissingKeysAreNamed) {
  const GgufFields good = fields;
  for (const char* key :
       {"llama.context_length", "llama.embedding_length", "llama.block_count", "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    fields = good;
    erase(key);
    EXPECT_THAT(error().what, HasSubstr(std::string("key ") + key + " is missing"));
  }
  fields = good;
  erase("general.architecture");
  EXPECT_THAT(error().what, HasSubstr("architecture '' is not known"));
}

TEST_F(GgufImport, TensorsAreComparedWithTheKeys) {
  const std::vector<OutgoingTensor> good = tensors;
  const auto named = [&](const char* name) { return std::ranges::find(tensors, name, &OutgoingTensor::name); };
  named("blk.0.attn_q.weight")->name = "blk.0.attn_z.weight";
  EXPECT_THAT(error().what, HasSubstr("tensors are missing"));
  tensors = good;
  tensors.push_back(good[0]);
  tensors.back().name = "blk.0.attn_q_norm.weight";
  EXPECT_THAT(error().advice, HasSubstr("blk.0.attn_q_norm.weight"));
  tensors.back().name = "rope_freqs.weight";
  EXPECT_THAT(error().what, HasSubstr("tensor rope_freqs.weight is there"));
  tensors = good;
  tensors.erase(named("token_embd.weight"));
  EXPECT_THAT(error().what, HasSubstr("tensor token_embd.weight is missing"));
  tensors = good;
  field("llama.feed_forward_length") = uint32_t{1} << 24;
  EXPECT_THAT(error().what, HasSubstr("ffn_gate.weight"));
}

TEST_F(GgufImport, BadTokenizersAreRefused) {
  const Vocabulary vocabulary = vocabulary_of(*model.tokenizer);
  struct Case {
    const char* key;
    GgufField value;
    const char* what;
  };
  std::vector<std::string> few = vocabulary.pieces, bad = vocabulary.pieces;
  while (bad.size() < 260) bad.push_back("[PAD" + std::to_string(bad.size()) + "]");
  bad[3] = "\xFF";
  const std::vector<Case> cases = {
      {"model", std::string("bert"), "tokenizer 'bert' is not known"},
      {"pre", std::string("no-such"), "no-such"},
      {"tokens", few, "257 tokens, the embedding 260 rows"},
      {"tokens", std::vector<int32_t>{1}, "tokenizer.ggml.tokens is of type i32"},
      {"tokens", bad, "text 3 is not UTF-8"},
      {"token_type", std::vector<int32_t>{1}, "tokenizer.ggml.token_type has not one for each token"},
      {"token_type", std::vector<int32_t>(260, 7), "that of token 0 is 7"},
      {"merges", std::vector<std::string>{"ab"}, "merge 0 is not two pieces"},
      {"merges", std::vector<std::string>{"a "}, "merge 0 is not two pieces"},
      {"merges", std::vector<std::string>{"qq zz"}, ""},
      {"bos_token_id", uint32_t{260}, "tokenizer.ggml.bos_token_id is 260"},
      {"eos_token_id", uint32_t{0xFFFFFFFF}, "tokenizer.ggml.eos_token_id is 4294967295"},
      {"remove_extra_whitespaces", true, "its tokenizer changes texts"},
      {"precompiled_charsmap", std::vector<int32_t>{1}, "its tokenizer changes texts"},
  };
  const GgufFields good = fields;
  for (const Case& one : cases) {
    fields = good;
    field(std::string("tokenizer.ggml.") + one.key) = one.value;
    const CaughtUserError caught = error();
    EXPECT_EQ(caught.code, Exit::data) << one.key << ": " << one.what;
    EXPECT_THAT(caught.what + caught.advice, HasSubstr(one.what));
  }
}

}  // namespace
}  // namespace rw::test
