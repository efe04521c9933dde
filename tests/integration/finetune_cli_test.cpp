// Fine-tuning and loss masks as a user meets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

struct FinetuneCli : TinyRuns {
  static Words finetune(const std::string& from, const std::string& out, const Words& more = {},
                        const std::string& data = "data") {
    return Words{"finetune",     "--from", from,     "--quiet", "--out",       out,  "--data",        data,
                 "--steps",      "6",      "--lr",   "1e-3",    "--batch",     "64", "--warmup",      "2",
                 "--save-every", "1",      "--keep", "9",       "--log-every", "1",  "--eval-tokens", "64"} +
           more;
  }
  json result(const Words& arguments) const {
    const Finished done = at(arguments + Words{"--json"});
    EXPECT_EQ(done.exit, 0) << done.err;
    return json::parse(done.out, nullptr, false);
  }
};

TEST_F(FinetuneCli, ARunGoesOnWithOtherData) {
  whole("run");
  const Finished tuned = at(finetune("run", "tuned"));
  EXPECT_EQ(tuned.exit, 0) << tuned.err;
  EXPECT_THAT(tuned.out, HasSubstr("next:    ropewalk generate tuned\n"));
  const json parent = result({"inspect", "tuned"})["parent"];
  EXPECT_EQ(parent["step"], 6);
  EXPECT_TRUE(parent["folder"].get<std::string>().ends_with("/run/checkpoints/step-000006")) << parent;
  EXPECT_THAT(at({"inspect", "tuned"}).out,
              HasSubstr("parent      " + parent["folder"].get<std::string>() + ", step 6"));
  EXPECT_FALSE(result({"inspect", "run"}).contains("parent"));
  const std::string toml = read_file(folder / "tuned" / "run.toml");
  EXPECT_THAT(toml, HasSubstr("# checkpoint"));
  EXPECT_TRUE(toml.starts_with("# fine-tuned from ")) << toml;
  EXPECT_THAT(read_file(folder / "tuned" / "command.txt"), HasSubstr("finetune --from run "));

  // Cut after step 3, it goes on to the same numbers.
  fs::copy(folder / "tuned", folder / "cut", fs::copy_options::recursive);
  for (const char* step : {"step-000004", "step-000005", "step-000006"})
    fs::remove_all(folder / "cut" / "checkpoints" / step);
  write_file(folder / "cut" / "checkpoints" / "latest", "step-000003\n");
  EXPECT_EQ(at(resume("cut")).exit, 0);
  EXPECT_TRUE(state_of(folder / "cut") == state_of(folder / "tuned"));
  const Finished other = at(resume("cut", {"--freeze", "model.norm.*"}));
  EXPECT_EQ(other.exit, 2);
  EXPECT_THAT(other.err, HasSubstr("freeze may not change when a run is resumed"));

  EXPECT_EQ(result({"eval", "tuned", "--data", data})["step"], 6);
  EXPECT_GT(result(finetune("tuned", "none", {"--dry-run"}))["total"], 0);
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST_F(FinetuneCli, DefaultsAreShownWithTheirOrigin) {
  whole("run");
  const Finished done = at({"finetune", "--from", "run", "--data", "data", "--out", "tuned", "--eval-every", "1000"});
  EXPECT_EQ(done.exit, 0) << done.err;
  const std::string toml = read_file(folder / "tuned" / "run.toml");
  for (const char* line :
       {"lr = 5e-04                    # finetune default: a tenth of preset 1m\n",
        "batch = 512                   # finetune default: 32 sequences\n", "# finetune default: 2 epochs\n",
        "layers = 1                    # checkpoint\n", "dropout = 0.1                 # checkpoint\n"})
    EXPECT_THAT(toml, HasSubstr(line));
}

TEST_F(FinetuneCli, BadInputIsExplained) {
  whole("run");
  fs::create_directory(folder / "hf");
  write_file(folder / "hf" / "model.safetensors", "x");
  write_file(folder / "model.gguf", "GGUF and so on");
  struct Case {
    Words arguments;
    int exit;
    std::string error, advice;
  };
  for (const Case& c : std::vector<Case>{
           {finetune("hf", "new"), 3, "hf holds no checkpoint, but a safetensors model",
            "ropewalk import hf hf --out "},
           {finetune("model.gguf", "new"), 3, "model.gguf is a GGUF file", "ropewalk import gguf model.gguf --out "},
           {finetune("run", "new", {"--layers", "2"}), 2, "layers is 2 (command line), the checkpoint's model has 1",
            "leave layers out"},
           {finetune("run", "new", {"--context", "32"}), 2,
            "context is 32 (command line), the model was trained up to 16", "--allow-untrained-positions"},
           {finetune("run", "new", {"--freeze", "model.layer.0.*"}), 2, "no tensor of the model matches",
            "did you mean 'model.layers.0.*'?"},
           {finetune("run", "new", {"--size", "5m"}), 2, "unknown option '--size'", ""},
           {finetune("run", "run"), 6, "run holds a run already", "--overwrite"},
           {{"finetune", "--data", "data", "--out", "new"}, 2, "--from", ""},
           {{"finetune", "--from", "run", "--out", "new"}, 2, "no training data is given", "--data FOLDER"},
           {{"finetune", "--from", "run", "--data", "data"}, 2, "no run folder is given", "--out"}}) {
    const Finished done = at(c.arguments);
    EXPECT_EQ(done.exit, c.exit) << done.err;
    EXPECT_THAT(first_line(done.err), HasSubstr(c.error));
    EXPECT_THAT(done.err, HasSubstr(c.advice));
    EXPECT_FALSE(fs::exists(folder / "new"));
  }
  const Finished longer = at(finetune("run", "longer", {"--context", "32", "--allow-untrained-positions"}));
  EXPECT_EQ(longer.exit, 0) << longer.err;
  EXPECT_EQ(result({"inspect", "longer"})["model"]["context"], 32);
}

TEST_F(FinetuneCli, PromptsAreReadAndNotCounted) {
  whole("run");
  std::string lines;
  for (int i = 0; i < 60; ++i)
    lines += "{\"prompt\": \"the rope " + std::to_string(i) + "? \", \"completion\": \"walk and turn\"}\n";
  write_file(folder / "pairs.jsonl", lines);
  const json prepared =
      result({"data", "prepare", "--tokenizer", "bytes", "--out", "pairs", "--val", "20%", "pairs.jsonl"});
  const uint64_t documents = prepared["train"]["documents"], tokens = prepared["train"]["tokens"];
  EXPECT_EQ(prepared["train"]["bytes"], 13 * documents);
  EXPECT_EQ(prepared["train"]["prompt_tokens"], tokens - 14 * documents);
  const json info = result({"data", "info", "pairs"});
  EXPECT_EQ(info["targets"], 14 * documents - 1);
  EXPECT_THAT(at({"data", "info", "pairs"}).out, HasSubstr(" %) are prompts, not in the loss\n"));
  const std::string sample = at({"data", "sample", "pairs", "--documents", "1"}).out;
  EXPECT_THAT(sample, HasSubstr("? \n--- completion, in the loss\nwalk and turn\n"));
  EXPECT_GT(result({"data", "sample", "pairs", "--documents", "1"})["prompt_tokens"], 10);

  const json tuned = result(finetune("run", "tuned", {}, "pairs"));
  EXPECT_TRUE(tuned["finished"]);
  const json eval = result({"eval", "tuned", "--data", "pairs"});
  const uint64_t val = prepared["val"]["documents"];
  EXPECT_EQ(eval["targets"], 14 * val - 1);
  EXPECT_NEAR(eval["bits_per_byte"].get<double>(),
              eval["loss"].get<double>() * (14.0 * static_cast<double>(val) - 1) / (13.0 * static_cast<double>(val)) /
                  std::log(2.0),
              1e-9);

  write_file(folder / "both.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\", \"text\": \"c\"}\n");
  const Finished both = at({"data", "prepare", "--tokenizer", "bytes", "--out", "both", "both.jsonl"});
  EXPECT_EQ(both.exit, 3);
  EXPECT_THAT(both.err, HasSubstr("both.jsonl line 1 has a 'text' and a prompt or completion"));
}

TEST_F(FinetuneCli, AVocabularyWithRowsToSpare) {
  EXPECT_EQ(at(pretrain("run", {"--vocab", "300"})).exit, 0);
  EXPECT_EQ(result({"inspect", "run"})["model"]["vocab"], 300);
  EXPECT_EQ(at({"resume", "run", "--steps", "8", "--quiet"}).exit, 0);
  EXPECT_GT(result({"eval", "run", "--data", "data"})["targets"], 0);
  const Finished written = at({"generate", "run", "-n", "200", "-t", "5", "--top-p", "1", "--past-end"});
  EXPECT_EQ(written.exit, 0) << written.err;
  const Finished few = at(pretrain("few", {"--vocab", "256"}));
  EXPECT_EQ(few.exit, 3);
  EXPECT_THAT(few.err, HasSubstr("data has a vocabulary of 257"));
}

}  // namespace
}  // namespace rw::test
