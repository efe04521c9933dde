// From a text to a model that writes: what each command of the way makes, prints and says.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numbers>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct EndToEnd : TinyRuns {
  // Prints nothing to the one side, ends well, and its result is JSON.
  json result(const Words& arguments, ProcessOptions options = {}) const {
    const Finished done = at(arguments + Words{"--json"}, options);
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_TRUE(json::accept(done.out)) << done.out;
    return json::parse(done.out, nullptr, false);
  }
  std::string text(const Words& arguments) const {
    const Finished done = at(arguments);
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_EQ(done.err, "");
    return done.out;
  }
};

std::vector<float> read_npy(const fs::path& file) {
  const std::string bytes = read_file(file);
  uint16_t length = 0;
  std::memcpy(&length, bytes.data() + 8, 2);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(bytes.find("'<f4'"), std::string::npos);
  std::vector<float> values((bytes.size() - 10 - length) / 4);
  std::memcpy(values.data(), bytes.data() + 10 + length, 4 * values.size());
  return values;
}

TEST_F(EndToEnd, FromTextToText) {
  write_file(folder / "book.txt", words(4000, 5));
  const json tokenizer = result({"tokenizer", "train", "--vocab", "320", "--out", "tok", "book.txt"});
  EXPECT_EQ(tokenizer["vocab"], 320);
  EXPECT_EQ(tokenizer["bytes"], fs::file_size(folder / "book.txt"));
  const json prepared = result({"data", "prepare", "--tokenizer", "tok", "--out", "book", "--val", "5%", "book.txt"});
  EXPECT_EQ(prepared["tokenizer_hash"], tokenizer["hash"]);
  EXPECT_GT(prepared["val"]["tokens"], 20);

  const Words train = {"pretrain", "--config", "tiny.toml", "--data", "book", "--out"};
  const Finished plain = at(train + Words{"run"});
  EXPECT_EQ(plain.exit, 0) << plain.err;
  EXPECT_TRUE(plain.out.starts_with("saved    run/checkpoints/step-000006 · val loss ")) << plain.out;
  EXPECT_TRUE(plain.out.ends_with("next:    ropewalk generate run\n")) << plain.out;
  EXPECT_NE(plain.err.find("\nstep=6 total=6 "), std::string::npos) << plain.err;
  // What is in a run's folder.
  for (const char* name :
       {"run.toml", "command.txt", "log.txt", "metrics.jsonl", "samples.md", "tb", "tokenizer/tokenizer.model",
        "checkpoints/latest", "checkpoints/best", "checkpoints/step-000006/checkpoint.h5",
        "checkpoints/step-000006/checkpoint.h5.manifest.json"})
    EXPECT_TRUE(fs::exists(folder / "run" / name)) << name;
  EXPECT_EQ(named("run", "events.out.tfevents.").size(), 1u);
  EXPECT_NE(read_file(folder / "run" / "command.txt").find(" pretrain --config tiny.toml --data book --out run\n"),
            std::string::npos);
  EXPECT_EQ(read_file(folder / "run" / "log.txt"), plain.err);
  EXPECT_EQ(result({"config", "diff", "run", "run"}), json::array());

  // Progress as JSON Lines on stderr, and the same run once more.
  const Finished lines = at(train + Words{"again", "--json"});
  std::istringstream stream(lines.err);
  int steps = 0;
  for (std::string line; std::getline(stream, line);) {
    ASSERT_TRUE(json::accept(line)) << line;
    steps += json::parse(line)["event"] == "step";
  }
  EXPECT_EQ(steps, 6);
  const json again = json::parse(lines.out);
  EXPECT_EQ(again["step"], 6);
  EXPECT_TRUE(again["finished"]);
  EXPECT_TRUE(state_of(folder / "again") == state_of(folder / "run"));
  EXPECT_EQ(at(train + Words{"silent", "--quiet"}).err, "");

  // Evaluation.
  const json eval = result({"eval", "run", "--data", "book", "--per-token", "nll.npy"});
  const std::vector<float> nll = read_npy(folder / "nll.npy");
  double sum = 0;
  for (const float v : nll) sum += static_cast<double>(v);
  EXPECT_EQ(eval["targets"], nll.size());
  EXPECT_EQ(eval["targets"], prepared["val"]["tokens"].get<int64_t>() - 1);
  EXPECT_NEAR(eval["loss"].get<double>(), sum / static_cast<double>(nll.size()), 1e-6);
  EXPECT_EQ(eval["bytes"], prepared["val"]["bytes"]);
  EXPECT_NEAR(eval["bits_per_byte"].get<double>(), sum / std::numbers::ln2 / prepared["val"]["bytes"].get<double>(),
              1e-6);
  EXPECT_NEAR(eval["perplexity"].get<double>(), std::exp(eval["loss"].get<double>()), 1e-6);
  EXPECT_NEAR(eval["loss"].get<double>(), std::log(320), 1.0);  // after 6 steps it knows little
  EXPECT_LT(result({"eval", "run", "--data", "book", "--stride", "4"})["loss"].get<double>(),
            1.1 * eval["loss"].get<double>());
  EXPECT_TRUE(text({"eval", "run", "--data", "book"}).starts_with("loss  "));

  // Generation.
  const Words generate = {"generate", "run", "-p", "the rope", "-n", "30", "--seed", "3", "--past-end"};
  const json written = result(generate);
  EXPECT_EQ(written["tokens"].size(), 30u);
  EXPECT_TRUE(written["text"].get<std::string>().starts_with("the rope"));
  const std::string streamed = text(generate);
  EXPECT_EQ(streamed, text(generate));
  EXPECT_TRUE(streamed.starts_with(written["text"].get<std::string>())) << streamed;
  EXPECT_LE(streamed.size(), written["text"].get<std::string>().size() + 4);  // a character that is not finished, \n
  EXPECT_NE(streamed, text(Words{"generate", "run", "-p", "the rope", "-n", "30", "--seed", "4", "--past-end"}));
  const Words greedy = {"generate", "run", "-t", "0", "-n", "20"};
  EXPECT_EQ(text(greedy + Words{"--seed", "1"}), text(greedy + Words{"--seed", "2"}));
  EXPECT_EQ(at({"generate", "run", "-n", "5", "--samples", "3", "--json"}).out.find("\"seed\":1"), 1u);

  // What is in the checkpoint.
  const json inspected = result({"inspect", "run", "--tensors"});
  EXPECT_EQ(inspected["step"], 6);
  EXPECT_EQ(inspected["tokens"], 6 * 64);
  EXPECT_EQ(inspected["tokenizer_hash"], tokenizer["hash"]);
  int64_t parameters = 0;
  for (const json& tensor : inspected["tensors"]) {
    int64_t count = 1;
    for (const json& dim : tensor["shape"]) count *= dim.get<int64_t>();
    parameters += count;
    EXPECT_LE(tensor["min"], tensor["mean"]) << tensor;
    EXPECT_LE(tensor["mean"], tensor["max"]) << tensor;
  }
  EXPECT_EQ(inspected["parameters"], parameters);
  EXPECT_TRUE(text({"inspect", "run"}).starts_with("checkpoint  run/checkpoints/step-000006\n"));

  // A longer run.
  const json more = result({"resume", "run", "--steps", "9"});
  EXPECT_EQ(more["step"], 9);
  EXPECT_EQ(metrics_of(folder / "run").size(), 9u);
  EXPECT_EQ(named("run", "events.out.tfevents.").size(), 2u);
  EXPECT_EQ(result({"eval", "run", "--data", "book"})["step"], 9);
}

TEST_F(EndToEnd, TokenFilesOfOthers) {
  std::vector<uint16_t> ids(4000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint16_t>(i * i % 97);
  const std::string raw(reinterpret_cast<const char*>(ids.data()), 2 * ids.size());
  std::vector<int32_t> header(256);
  header[0] = 20240520, header[1] = 1, header[2] = static_cast<int32_t>(ids.size());
  write_file(folder / "llmc_train_0.bin", std::string(reinterpret_cast<const char*>(header.data()), 1024) + raw);
  write_file(folder / "llmc_train_1.bin", std::string(reinterpret_cast<const char*>(header.data()), 1024) + raw);
  write_file(folder / "nano.bin", raw);
  const Words train = {"pretrain", "--config", "tiny.toml", "--quiet", "--steps", "2", "--json", "--out"};
  for (const auto& [out, more] :
       std::vector<std::pair<std::string, Words>>{{"llmc", {"--data", "llmc_train_0.bin"}},
                                                  {"pattern", {"--data", "llmc_train_*.bin"}},
                                                  {"nano", {"--data", "nano.bin", "--vocab", "97"}}}) {
    const Finished done = at(train + Words{out} + more);
    EXPECT_EQ(done.exit, 0) << done.err;
    const json r = json::parse(done.out);
    EXPECT_NEAR(r["loss"].get<double>(), std::log(out == "nano" ? 97 : 50257), 0.3);
    EXPECT_TRUE(r["val_loss"].is_null());
    const Finished written = at({"generate", out});
    EXPECT_EQ(written.exit, 3);
    EXPECT_NE(written.err.find("has no tokenizer"), std::string::npos) << written.err;
    EXPECT_EQ(at({"resume", out, "--quiet", "--steps", "3"}).exit, 0);
  }
  const json eval = result({"eval", "nano", "--data", "nano.bin", "--split", "train"});
  EXPECT_EQ(eval["targets"], ids.size() - 1);
  EXPECT_TRUE(eval["bits_per_byte"].is_null());
}

TEST_F(EndToEnd, Mixtures) {
  fs::create_directory(folder / "b");
  make_data(folder / "b", 200);
  const json run = result({"pretrain", "--config", "tiny.toml", "--out", "run", "--data", "data:0.7,b/data:0.3"});
  EXPECT_EQ(run["step"], 6);
  const json both = result({"eval", "run", "--data", "data:0.7,b/data:0.3"});
  const double a = result({"eval", "run", "--data", "data"})["loss"],
               b = result({"eval", "run", "--data", "b/data"})["loss"];
  EXPECT_NEAR(both["loss"].get<double>(), 0.7 * a + 0.3 * b, 1e-9);
  EXPECT_EQ(result({"resume", "run", "--steps", "8"})["step"], 8);
}

// In f64; oneDNN's f32 products may be summed in another order with another number of threads.
TEST_F(EndToEnd, AnyNumberOfThreadsGivesTheSameBits) {
  whole("one", {"--threads", "1", "--dtype", "f64"});
  for (const char* threads : {"2", "3"}) {
    const Finished done = at(pretrain(threads, {"--threads", threads, "--dtype", "f64"}));
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_NE(read_file(folder / threads / "log.txt").find(std::string("CPU, ") + threads + " threads"),
              std::string::npos);
    EXPECT_TRUE(state_of(folder / threads) == state_of(folder / "one"));
  }
}

TEST_F(EndToEnd, ALossThatIsNotFiniteStopsBeforeTheUpdate) {
  const Finished done = at(pretrain("run", {"--lr", "1e30", "--warmup", "1", "--clip", "0"}));
  EXPECT_EQ(done.exit, 5) << done.err;
  EXPECT_TRUE(done.err.starts_with("error: not finite at step ")) << done.err;
  EXPECT_NE(done.err.find("try a smaller --lr"), std::string::npos) << done.err;
  const int64_t step = newest_step("run");
  EXPECT_GE(step, 1);
  EXPECT_NE(done.err.find("at step " + std::to_string(step + 1) + ": "), std::string::npos) << done.err;
  for (const auto& [name, values] : state_of(folder / "run").tensors)
    for (const double v : values) ASSERT_TRUE(std::isfinite(v)) << name;
}

}  // namespace
}  // namespace rw::test
