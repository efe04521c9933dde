// A training run that takes milliseconds, for tests that start the program.
#pragma once
#include "tests/support/process.hpp"
#include "tests/support/run.hpp"

namespace rw::test {

constexpr const char* kTinyToml = R"([model]
layers = 1
width = 16
heads = 2
kv_heads = 1
head_width = 8
hidden = 24
context = 16
dropout = 0.1
[train]
steps = 6
batch = 64
micro_batch = 2
[optimizer]
lr = 1e-2
warmup = 2
[run]
eval_every = 10
eval_tokens = 64
save_every = 1
log_every = 1
sample_tokens = 4
)";

using Words = std::vector<std::string>;

inline Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

inline std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// A folder with data/ and tiny.toml, in which the program is started.
struct TinyRuns : testing::Test {
  TemporaryFolder folder{memory_folder()};
  std::filesystem::path data = make_data(folder.path());

  TinyRuns() { write_file(folder / "tiny.toml", kTinyToml); }

  static Words pretrain(const std::string& out, const Words& more = {}) {
    return Words{"pretrain", "--config", "tiny.toml", "--data", "data", "--quiet", "--out", out} + more;
  }
  static Words resume(const std::string& out, const Words& more = {}) { return Words{"resume", out, "--quiet"} + more; }
  Finished at(const Words& arguments, ProcessOptions options = {}) const {
    options.folder = folder.path();
    return run(arguments, std::move(options));
  }
  // A run that goes its way; its seconds.
  double whole(const std::string& out, const Words& more = {}) const {
    const Finished done = at(pretrain(out, more));
    EXPECT_EQ(done.exit, 0) << done.err;
    return done.seconds;
  }

  // The step of the newest complete checkpoint of a run, -1 if it has none. Expects that nothing had to be passed over.
  int64_t newest_step(const std::string& run) const {
    const std::filesystem::path checkpoints = folder / run / "checkpoints";
    if (!std::filesystem::exists(checkpoints)) return -1;
    std::vector<std::string> skipped;
    try {
      const int64_t step = Checkpoint::open(folder / run, &skipped).meta().step;
      EXPECT_TRUE(skipped.empty()) << skipped[0];
      return step;
    } catch (const UserError& error) {
      EXPECT_NE(error.advice.find("has not saved one yet"), std::string::npos) << error.what() << error.advice;
      return -1;
    }
  }

  // What is below a folder and has a name that contains this.
  std::vector<std::string> named(const std::string& below, const std::string& part) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / below))
      if (entry.path().filename().string().find(part) != std::string::npos) found.push_back(entry.path().string());
    return found;
  }
};

}  // namespace rw::test
