// What a user can do wrong with files and options: each is refused with what, where, why and what to type, with the
// documented exit code, and leaves nothing behind.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;

struct Row {
  Words arguments;
  int exit;
  std::string error;     // begin of the first line, after "error: "
  Words words{};         // somewhere in what is said
  std::string before{};  // shell commands that the program is started after
};

struct BadInput : TinyRuns {
  std::string names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
      if (entry.path().filename() != ".lock") all.push_back(entry.path().string());
    std::ranges::sort(all);
    std::string out;
    for (const std::string& name : all) out += name + "\n";
    return out;
  }

  // Each row in turn.
  void expect(const std::vector<Row>& rows) const {
    for (const Row& row : rows) {
      std::string line = row.before;
      for (const std::string& word : row.arguments) line += " " + word;
      SCOPED_TRACE(line);
      const std::string before = names();
      ProcessOptions options;
      options.folder = folder.path();
      const Words command = ropewalk(row.arguments);
      const Finished done =
          row.before.empty()
              ? Process(command, options).wait()
              : Process(Words{"bash", "-c", row.before + " exec \"$@\"", "bash"} + command, options).wait();
      EXPECT_EQ(done.exit, row.exit) << done.signal << done.err;
      EXPECT_TRUE(first_line(done.err).starts_with("error: " + row.error)) << done.err;
      for (const std::string& word : row.words)
        EXPECT_NE(done.err.find(word), std::string::npos) << word << "\n" << done.err;
      EXPECT_EQ(done.out, "");
      EXPECT_EQ(names(), before);
    }
    std::printf("%zu bad inputs refused\n", rows.size());
  }

  void file(const std::string& name, const std::string& bytes) const {
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, bytes);
  }
  void copy(const std::string& from, const std::string& to) const {
    fs::copy(folder / from, folder / to, fs::copy_options::recursive);
  }
  void change(const std::string& name, const std::function<void(std::string&)>& f) const {
    std::string bytes = read_file(folder / name);
    f(bytes);
    write_file(folder / name, bytes);
  }
};

// As GPT-2 shards of llm.c: 256 int32, then u16 ids.
std::string llmc_shard(const std::vector<uint16_t>& ids) {
  std::vector<int32_t> header(256);
  header[0] = 20240520, header[1] = 1, header[2] = static_cast<int32_t>(ids.size());
  std::string bytes(1024 + 2 * ids.size(), '\0');
  std::memcpy(bytes.data(), header.data(), 1024);
  std::memcpy(bytes.data() + 1024, ids.data(), 2 * ids.size());
  return bytes;
}
std::string nanogpt_shard(const std::vector<uint16_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), 2 * ids.size()};
}
std::vector<uint16_t> ids_with(size_t at, uint16_t id) {
  std::vector<uint16_t> ids(5000, 7);
  ids[at] = id;
  return ids;
}

TEST_F(BadInput, Texts) {
  file("good.txt", words(300, 1));
  file("empty.txt", "");
  file("latin1.txt", "na\xEFve caf\xE9 and more text after it\n");
  file("binary.txt", std::string("abc\0def\1\2\xFF", 10));
  file("cut.txt.gz", "\x1f\x8b\x08");
  file("bad.jsonl", "{\"text\": \"one\"}\n{\"text\": \n");
  file("key.jsonl", "{\"body\": \"one\"}\n");
  const auto prepare = [](const Words& more) {
    return Words{"data", "prepare", "--tokenizer", "bytes", "--out", "new"} + more;
  };
  const auto train = [](const Words& more) {
    return Words{"tokenizer", "train", "--vocab", "300", "--out", "new"} + more;
  };
  expect({
      {prepare({"empty.txt"}), 3, "empty.txt", {}},
      {prepare({"latin1.txt"}), 3, "latin1.txt", {"UTF-8"}},
      {prepare({"binary.txt"}), 3, "binary.txt", {}},
      {prepare({"cut.txt.gz"}), 3, "cannot unpack cut.txt.gz", {"cut off"}},
      {prepare({"bad.jsonl"}), 3, "bad.jsonl line 2 is not JSON", {}},
      {prepare({"key.jsonl"}), 3, "key.jsonl line 1 has no key", {"--text-key"}},
      {prepare({"none.txt"}), 3, "cannot read none.txt", {"No such file"}},
      {prepare({"data"}), 3, "data is a folder", {"data/*.txt"}},
      {prepare({"good.txt", "good.txt"}), 3, "good.txt is given twice", {}},
      {prepare({"good.txt", "latin1.txt"}), 3, "latin1.txt", {"UTF-8"}},
      {prepare({"good.txt", "--val", "2"}), 2, "--val is to be from 0 to below 100%", {"--val 5%"}},
      {prepare({"good.txt", "--val", "5 %"}), 2, "--val: '5 %'", {}},
      {prepare({"good.txt", "--split", "tails"}), 2, "data prepare: ", {"tail", "document"}},
      {prepare({"good.txt", "--tokeniser", "x"}), 2, "data prepare: unknown option '--tokeniser'", {"'--tokenizer'"}},
      {{"data", "prepare", "--tokenizer", "none", "--out", "new", "good.txt"},
       3,
       "no tokenizer none",
       {"tokenizer train"}},
      {{"data", "prepare", "--tokenizer", "good.txt", "--out", "new", "good.txt"}, 3, "good.txt", {}},
      {{"data", "prepare", "--tokenizer", "bytes", "--out", "data", "good.txt"},
       6,
       "data/train.h5 exists",
       {"--overwrite"}},
      {{"data", "prepare", "--tokenizer", "bytes", "--out", "good.txt", "good.txt"}, 6, "cannot write good.txt", {}},
      {train({"empty.txt"}), 3, "", {}},
      {train({"latin1.txt"}), 3, "latin1.txt", {"UTF-8"}},
      {train({"binary.txt"}), 3, "binary.txt", {}},
      {{"tokenizer", "train", "--vocab", "300x", "--out", "new", "good.txt"}, 2, "--vocab: '300x'", {}},
      {{"tokenizer", "train", "--vocab", "3", "--out", "new", "good.txt"},
       2,
       "a vocabulary of 3 cannot be learnt",
       {"from 300"}},
      {{"tokenizer", "train", "--vocab", "100000", "--out", "new", "good.txt"}, 3, "", {"--vocab"}},
      {{"tokenizer", "info", "good.txt"}, 3, "good.txt", {}},
      {{"tokenizer", "decode", "bytes", "257"}, 2, "", {"257"}},
      {{"tokenizer", "decode", "bytes", "x"}, 2, "", {"x"}},
  });
}

TEST_F(BadInput, TokenFiles) {
  for (const auto& [name, at] : {std::pair{"first", 0}, {"middle", 2500}, {"last", 4999}}) {
    file(std::string("llmc_") + name + ".bin", llmc_shard(ids_with(static_cast<size_t>(at), 50257)));
    file(std::string("nano_") + name + ".bin", nanogpt_shard(ids_with(static_cast<size_t>(at), 300)));
  }
  file("cut.bin", llmc_shard(ids_with(0, 7)).substr(0, 5000));
  file("odd.bin", nanogpt_shard(ids_with(0, 7)) + "x");
  file("nano.bin", nanogpt_shard(ids_with(0, 7)));
  file("zero.bin", "");
  file("model.pkl", "\x80\x04\x95.");
  file("hidden.bin", std::string("\x80\x02") + std::string(3000, 'q') + ".");
  copy("data", "cut"), copy("data", "flipped"), copy("data", "bare"), copy("data", "manifest");
  change("cut/train.h5", [](std::string& b) { b.resize(b.size() / 2); });
  change("flipped/train.h5", [](std::string& b) { b[b.size() - 1000] ^= 1; });
  change("manifest/train.h5.manifest.json", [](std::string& b) { b[b.size() / 2] ^= 1; });
  fs::remove(folder / "bare" / "train.h5.manifest.json");
  fs::create_directory(folder / "nothing");
  const auto train = [](const std::string& name, const Words& more = {}) {
    return Words{"pretrain", "--config", "tiny.toml", "--out", "new", "--data", name} + more;
  };
  expect({
      {train("llmc_first.bin"), 3, "llmc_first.bin: token 0 is 50257, the vocabulary has 50257", {"--vocab"}},
      {train("llmc_middle.bin"), 3, "llmc_middle.bin: token 2500 is 50257", {}},
      {train("llmc_last.bin"), 3, "llmc_last.bin: token 4999 is 50257", {}},
      {train("nano_first.bin", {"--vocab", "300"}), 3, "nano_first.bin: token 0 is 300", {}},
      {train("nano_middle.bin", {"--vocab", "300"}), 3, "nano_middle.bin: token 2500 is 300", {}},
      {train("nano_last.bin", {"--vocab", "300"}), 3, "nano_last.bin: token 4999 is 300", {}},
      {train("nano.bin"), 3, "nano.bin does not say its vocabulary", {"--vocab N"}},
      {train("cut.bin"), 7, "cut.bin is cut off", {"11024", "get the file again"}},
      {train("odd.bin", {"--vocab", "300"}), 7, "odd.bin is cut off", {}},
      {train("zero.bin"), 3, "zero.bin is empty", {}},
      {train("model.pkl"), 3, "model.pkl is a Python pickle, which is not opened", {"--vocab N"}},
      {train("hidden.bin"), 3, "hidden.bin is a Python pickle", {}},
      {train("cut"), 7, "cut/train.h5", {}},
      {train("flipped"), 7, "flipped/train.h5", {}},
      {train("manifest"), 7, "manifest/train.h5.manifest.json is damaged", {}},
      {train("bare"), 3, "bare/train.h5 has no manifest", {"train.h5.manifest.json"}},
      {train("nothing"), 3, "no train data in nothing", {"ropewalk data prepare"}},
      {train("none"), 3, "no data none", {"ropewalk data prepare"}},
      {train("*.none"), 3, "no file matches *.none", {}},
      {train("data:0.5,none:0.5"), 3, "no data none", {}},
      {train("data:0.5,data"), 2, "cannot read the data 'data:0.5,data'", {"a:0.7,b:0.3"}},
      {train("data:-1,data:2"), 2, "cannot read the data", {"above 0"}},
      {train("data,nano.bin", {"--vocab", "257"}), 3, "tokenizer mismatch", {"data prepare --tokenizer TOK"}},
      {train("data", {"--vocab", "100"}), 3, "data has a vocabulary of 257", {"leave out --vocab"}},
      {train("data", {"--context", "64k", "--batch", "64k", "--micro-batch", "1", "--positions", "learned"}),
       3,
       "data/train.h5 has only",
       {"context of 65536", "--context"}},
      {{"data", "info", "flipped"}, 7, "flipped/train.h5", {}},
      {{"data", "info", "llmc_last.bin"}, 3, "llmc_last.bin: token 4999", {}},
      {{"data", "info", "data", "--vocab", "x"}, 2, "--vocab: 'x'", {}},
      {{"data", "sample", "nano.bin", "--vocab", "300"},
       2,
       "nano.bin does not hold its tokenizer",
       {"--tokenizer TOK"}},
      {{"data", "sample", "data", "--documents", "0"}, 2, "--documents and --tokens are to be above 0", {}},
  });
}

TEST_F(BadInput, Training) {
  whole("run");
  file("typo.toml", "[train]\nstepps = 3\n");
  file("plain.txt", "no TOML\n");
  copy("run", "held");
  copy("run", "unsaved");
  fs::remove_all(folder / "unsaved" / "checkpoints");
  file("other/note.txt", "mine");
  copy("data", "longer");
  const RunFolder held = RunFolder::resume(folder / "held");
  const auto train = [](const Words& more) {
    return Words{"pretrain", "--config", "tiny.toml", "--data", "data"} + more;
  };
  expect({
      {{"pretrain", "--config", "tiny.toml", "--out", "new"}, 2, "no training data is given", {"--data FOLDER"}},
      {train({}), 2, "no run folder is given", {"--out runs/NAME"}},
      {train({"--out", "run"}), 6, "run holds a run already", {"ropewalk resume run", "--overwrite"}},
      {train({"--out", "other"}), 6, "other is not empty", {"another folder"}},
      {train({"--out", "plain.txt"}), 6, "plain.txt is not a folder", {}},
      {train({"--out", "plain.txt/run"}), 6, "cannot write plain.txt/run", {"Not a directory"}},
      {train({"--out", "held", "--overwrite"}), 6, "held is in use", {"touch held/STOP"}},
      {train({"--out", "new", "--config", "typo.toml"}),
       2,
       "unknown key 'train.stepps' in typo.toml:2",
       {"'train.steps'"}},
      {train({"--out", "new", "--config", "plain.txt"}), 2, "plain.txt:1 is no TOML", {}},
      {train({"--out", "new", "--stepps", "3"}), 2, "pretrain: unknown option '--stepps'", {"'--steps'"}},
      {train({"--out", "new", "--time", "5"}), 2, "--time: '5' has no unit", {}},
      {train({"--out", "new", "--batch", "100"}),
       2,
       "batch 100 (command line) is no multiple of context 16",
       {"--batch 96"}},
      {train({"--out", "new", "--micro-batch", "-1"}), 2, "micro_batch -1 (command line) is too small", {}},
      {train({"--out", "new", "--micro-batch", "3"}), 2, "micro_batch 3 (command line) does not divide", {}},
      {train({"--out", "new", "--threads", "-1"}), 2, "threads -1", {}},
      {train({"--out", "new", "--threads", "1000000"}), 2, "threads 1000000 (command line) is too large", {"1024"}},
      {train({"--out", "new", "--device", "gpu"}), 2, "unknown device gpu (command line)", {"cpu, cuda, cuda:1"}},
      {train({"--out", "new", "--device", "cuda:99"}), 2, "--device cuda:99: ", {}},
      {train({"--out", "new", "--dropout", "1"}), 2, "dropout 1", {}},
      {train({"--out", "new", "--layers", "0"}), 2, "layers 0", {}},
      {train({"--out", "new", "--keep", "0"}), 2, "keep 0", {}},
      {train({"--out", "new", "--seed", "-1"}), 2, "seed -1", {}},
      {train({"--out", "new", "--width", "1000000", "--layers", "1000", "--dry-run"}),
       4,
       "needs ",
       {"--micro-batch", "weights"}},
      {train({"--out", "new", "--width", "1000000000000"}),
       2,
       "width 1000000000000 (command line) is too large",
       {"1048576"}},
      {{"estimate", "--batch", "1000"}, 2, "batch 1000", {"--batch 512"}},
      {train({"--out", "new", "--lr", "nan"}), 2, "--lr: 'nan'", {}},
      {train({"--out", "new", "--lr", "inf"}), 2, "--lr: 'inf'", {}},
      {train({"--out", "new", "--clip", "-1"}), 2, "clip -1", {}},
      {train({"--out", "new", "--steps", "1000000000000"}), 2, "steps 1000G (command line) is too large", {}},
      {{"estimate", "--layers", "4096", "--width", "1024", "--context", "8M", "--batch", "8M", "--positions",
        "learned"},
       4,
       "needs more than 128 TB",
       {}},
      {{"estimate", "--heads", "0"}, 2, "heads 0", {}},
      {{"estimate", "--context", "0"}, 2, "context 0", {}},
      {{"resume", "none"}, 3, "there is no none", {}},
      {{"resume", "other"}, 3, "other holds no run", {"ropewalk pretrain"}},
      {{"resume", "held"}, 6, "held is in use", {"process " + std::to_string(getpid())}},
      {{"resume", "unsaved"}, 3, "there is no unsaved/checkpoints", {}},
      {{"resume", "run", "--lr", "1"}, 2, "", {"lr"}},
      {{"resume", "run", "--stepps", "1"}, 2, "resume: unknown option '--stepps'", {"'--steps'"}},
      {{"resume", "run", "--data", "none"}, 2, "data may not change", {"data -> none"}},
      {{"resume", "run", "--out", "new"}, 2, "resume: unknown option '--out'", {}},
      {{"resume"}, 2, "resume: argument RUN is missing", {}},
  });
}

TEST_F(BadInput, Checkpoints) {
  whole("run");
  file("text.txt", words(2000, 3));
  ASSERT_EQ(at({"tokenizer", "train", "--vocab", "300", "--out", "tok", "text.txt"}).exit, 0);
  ASSERT_EQ(at({"data", "prepare", "--tokenizer", "tok", "--out", "other", "--val", "10%", "text.txt"}).exit, 0);
  whole("gone");
  fs::rename(folder / "data", folder / "saved");
  copy("other", "data");
  file("model.pt", "\x80\x02}q\x01.");
  file("zip.pt", "PK\x03\x04 and so on");
  file("model.gguf", "GGUF and so on");
  file("foreign/model.safetensors", "x");
  file("plain.txt", "x");
  const std::string run = "run/checkpoints/step-000006";
  for (const char* name : {"cut", "flipped", "manifest", "bare"}) copy(run, name);
  change("cut/checkpoint.h5", [](std::string& b) { b.resize(b.size() / 2); });
  change("flipped/checkpoint.h5", [](std::string& b) { b[b.size() / 2] ^= 1; });
  change("manifest/checkpoint.h5.manifest.json", [](std::string& b) { b[b.size() / 2] ^= 1; });
  fs::remove(folder / "bare" / "checkpoint.h5.manifest.json");
  expect({
      {{"resume", "gone"},
       3,
       "tokenizer mismatch: data has another one than the model",
       {"data prepare --tokenizer RUN"}},
      {{"eval", "run", "--data", "other"}, 3, "tokenizer mismatch", {"data prepare --tokenizer run"}},
      {{"eval", "run", "--data", "none"}, 3, "no data none", {}},
      {{"eval", "run"}, 2, "eval: ", {"--data"}},
      {{"eval", "none", "--data", "saved"}, 3, "there is no none", {}},
      {{"eval", "run", "--data", "saved", "--dtype", "bf16"}, 2, "--dtype bf16 is for a GPU", {"--device cuda"}},
      {{"generate", "run", "--dtype", "f64"}, 2, "generate: ", {"f32", "bf16"}},
      {{"eval", "run", "--data", "saved", "--context-sweep", "8", "--dtype", "f32"}, 2, "--context-sweep runs", {}},
      {{"eval", "run", "--data", "saved", "--split", "test"}, 2, "eval: ", {"train", "val"}},
      {{"eval", "run", "--data", "saved", "--context", "-5"}, 2, "--context is -5", {}},
      {{"eval", "run", "--data", "saved", "--context", "16M", "--micro-batch", "100000"},
       4,
       "needs more than 128 TB",
       {"--context"}},
      {{"eval", "run", "--data", "saved", "--context", "1M", "--micro-batch", "20000"},
       4,
       "needs ",
       {"are free", "--context"}},
      {{"eval", "run", "--data", "saved", "--context", "32M"}, 2, "--context is 33554432", {}},
      {{"eval", "run", "--data", "saved", "--stride", "17"}, 2, "--stride is 17", {"16"}},
      {{"eval", "run", "--data", "saved", "--stride", "-1"}, 2, "--stride is -1", {}},
      {{"eval", "run", "--data", "saved", "--tokens", "-1"}, 2, "--tokens is negative", {}},
      {{"eval", "run", "--data", "saved", "--micro-batch", "0"}, 2, "--micro-batch is 0", {}},
      {{"eval", "run", "--data", "saved", "--per-token", "none/x.npy"}, 6, "cannot write none/x.npy", {"No such file"}},
      {{"eval", "run", "--data", "saved", "--per-token", "x.npy", "--tokens", "5"},
       2,
       "--per-token is for all targets",
       {}},
      {{"eval", "run", "--data", "saved,saved", "--per-token", "x.npy"}, 2, "--per-token is for one corpus", {}},
      {{"eval", "cut", "--data", "saved"}, 7, "cut/checkpoint.h5", {}},
      {{"eval", "flipped", "--data", "saved"}, 7, "flipped/checkpoint.h5", {}},
      {{"eval", "manifest", "--data", "saved"}, 7, "manifest/checkpoint.h5.manifest.json is damaged", {}},
      {{"generate", "bare"}, 7, "bare is damaged", {"manifest"}},
      {{"generate", "model.pt"}, 3, "model.pt is a pickle", {"was not opened"}},
      {{"generate", "zip.pt"}, 3, "zip.pt is a zip archive", {"was not opened"}},
      {{"generate", "model.gguf"}, 3, "model.gguf is a GGUF file", {}},
      {{"generate", "foreign"}, 3, "foreign holds no checkpoint, but a safetensors model", {}},
      {{"generate", "plain.txt"}, 3, "plain.txt is not a checkpoint", {}},
      {{"generate", "run", "-t", "-1"}, 2, "--temperature is negative", {}},
      {{"generate", "run", "-t", "nan"}, 2, "--temperature", {}},
      {{"generate", "run", "-t", "inf"}, 2, "--temperature", {}},
      {{"generate", "run", "-t", "hot"}, 2, "", {"temperature"}},
      {{"generate", "run", "--top-p", "0"}, 2, "--top-p is outside", {}},
      {{"generate", "run", "--top-p", "1.5"}, 2, "--top-p is outside", {}},
      {{"generate", "run", "--top-k", "-1"}, 2, "--top-k is negative", {}},
      {{"generate", "run", "-n", "0"}, 2, "--tokens is less than 1", {}},
      {{"generate", "run", "--samples", "0"}, 2, "--samples is less than 1", {}},
      {{"generate", "run", "--context", "-1"}, 2, "--context is negative", {}},
      {{"generate", "run", "--seed", "-1"}, 2, "--seed is negative", {}},
      {{"generate", "run", "-p", "caf\xE9"}, 2, "--prompt is not UTF-8", {}},
      {{"generate", "run", "--temprature", "1"}, 2, "generate: unknown option '--temprature'", {"'--temperature'"}},
      {{"inspect", "model.pt"}, 3, "model.pt is a pickle", {}},
      {{"inspect", "flipped"}, 7, "flipped/checkpoint.h5", {}},
      {{"inspect", "none"}, 3, "there is no none", {}},
      {{"inspect", "run", "--tensor"}, 2, "inspect: unknown option '--tensor'", {"'--tensors'"}},
  });
}

// Files may not grow beyond some kB, as on a disk that is full.
TEST_F(BadInput, NoSpaceLeft) {
  whole("run");
  file("text.txt", words(20000, 3));
  const std::string limit = "ulimit -f 4;";  // kB
  const Words train = {"pretrain", "--config", "tiny.toml", "--data", "data", "--quiet", "--out"};
  expect({
      {{"data", "prepare", "--tokenizer", "bytes", "--out", "new", "text.txt"},
       6,
       "cannot write new/",
       {"ulimit -f"},
       limit},
      {{"tokenizer", "train", "--vocab", "350", "--out", "run/tok", "text.txt"}, 6, "cannot write run/tok/", {}, limit},
      {{"eval", "run", "--data", "data", "--split", "train", "--per-token", "x.npy"},
       6,
       "cannot write ./x.npy",
       {},
       limit},
  });
  const Finished done = Process(Words{"bash", "-c", limit + " exec \"$@\"", "bash"} + ropewalk(train + Words{"new"}),
                                {.folder = folder.path()})
                            .wait();
  EXPECT_EQ(done.exit, 6) << done.err;
  EXPECT_TRUE(done.err.starts_with("error: cannot write new/checkpoints/step-000001")) << done.err;
  EXPECT_EQ(named("new", ".tmp-"), Words{});
  EXPECT_EQ(newest_step("new"), -1);
}

TEST_F(BadInput, AFolderThatCannotBeWritten) {
  std::string before;
  if (geteuid() == 0) {  // without the right to write everywhere
    before = "exec setpriv --bounding-set -dac_override,-dac_read_search --";
    if (Process({"bash", "-c", before + " true"}).wait().exit != 0) GTEST_SKIP() << "setpriv cannot drop rights here";
    before.erase(0, 5);
  }
  whole("run");
  whole("rooted");
  file("text.txt", words(300, 3));
  fs::create_directory(folder / "closed");
  constexpr auto kNoWrite = fs::perms::owner_read | fs::perms::owner_exec;
  fs::permissions(folder / "closed", kNoWrite);
  fs::permissions(folder / "rooted" / "checkpoints", kNoWrite);
  const auto starts = [&](const Words& arguments) {
    ProcessOptions options;
    options.folder = folder.path();
    return Process(Words{"bash", "-c", "exec " + before + " \"$@\"", "bash"} + ropewalk(arguments), options).wait();
  };
  for (const auto& [arguments, what] : std::vector<std::pair<Words, std::string>>{
           {pretrain("closed/run"), "closed/run"},
           {{"data", "prepare", "--tokenizer", "bytes", "--out", "closed/data", "text.txt"}, "closed/data"},
           {{"tokenizer", "train", "--vocab", "300", "--out", "closed/tok", "text.txt"}, "closed/tok"},
           {{"eval", "run", "--data", "data", "--per-token", "closed/x.npy"}, "closed/x.npy"},
           {resume("rooted", {"--steps", "8"}), "rooted/checkpoints/"}}) {
    const Finished done = starts(arguments);
    EXPECT_EQ(done.exit, 6) << done.err;
    EXPECT_TRUE(done.err.starts_with("error: cannot write " + what)) << done.err;
    EXPECT_NE(done.err.find("Permission denied\n       choose a folder that you may write to"), std::string::npos)
        << done.err;
  }
  EXPECT_TRUE(fs::is_empty(folder / "closed"));
  for (const char* name : {"closed", "rooted/checkpoints"}) fs::permissions(folder / name, fs::perms::owner_all);
  EXPECT_EQ(newest_step("rooted"), 6);
}

}  // namespace
}  // namespace rw::test
