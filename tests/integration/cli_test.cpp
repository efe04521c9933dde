// The program as a user meets it: exit codes, what goes to stdout and what to stderr, and what each error says.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

namespace rw::test {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    file("good.toml", "[train]\nsteps = 10\n");
    file("typo.toml", "[optimizer]\nlrr = 1\n");
    file("section.toml", "[optimzer]\nlr = 1\n");
    file("type.toml", "[model]\nlayers = 'six'\n");
    file("range.toml", "[optimizer]\nmin_lr = 2\n");
    file("twice.toml", "[model]\nlayers = 1\nlayers = 2\n");
    file("lengths.toml", "[train]\nsteps = 10\ntokens = 10\n");
    file("many.toml", "[model]\nlayrs = 1\nheads = 'x'\n[optimizer]\nlr = -1\n");
    file("binary.toml", std::string("\0\1\2", 3));
  }
  void file(const char* name, const std::string& text) const { write_file(folder_ / name, text); }
  Finished at(const std::vector<std::string>& arguments, std::map<std::string, std::string> environment = {}) const {
    return run(arguments, {.environment = std::move(environment), .folder = folder_.path()});
  }
  TemporaryFolder folder_;
};

TEST_F(Cli, BadInputIsExplained) {
  struct Case {
    std::vector<std::string> arguments;
    const char *error, *advice;  // the first line; part of the rest
    std::map<std::string, std::string> environment = {};
  };
  const std::vector<Case> cases = {
      {{}, "no command given", "presets "},
      {{"prests"}, "unknown command 'prests'", "did you mean 'presets'?"},
      {{"zzzzzz"}, "unknown command 'zzzzzz'", "ropewalk --help lists all commands"},
      {{"prests", "--size", "5m"}, "unknown command 'prests'", "did you mean 'presets'?"},
      {{"--versoin"}, "unknown option '--versoin'", "did you mean '--version'?"},
      {{"--jsn", "presets"}, "unknown option '--jsn'", "did you mean '--json'?"},
      {{"-x"}, "unknown option '-x'", "ropewalk --help"},
      {{"presets", "--vocb", "3"}, "presets: unknown option '--vocb'", "did you mean '--vocab'?"},
      {{"presets", "--vocb=3"}, "presets: unknown option '--vocb'", "ropewalk presets --help lists all options"},
      {{"presets", "--vocab"}, "presets: --vocab needs a value", "ropewalk presets --help"},
      {{"presets", "--vocab", "3x"}, "--vocab: '3x' ends in 'x', which is no unit here", "k, M or G"},
      {{"presets", "--vocab", ""}, "--vocab: '' is empty", "whole number"},
      {{"presets", "--vocab", "-3"}, "--vocab is negative", "number of tokens"},
      {{"presets", "--vocab", "1", "--vocab", "2"}, "presets: --vocab is given more than once", "--help"},
      {{"presets", "--json=3"}, "presets: the switch --json takes no value", "without a value"},
      {{"presets", "6m"}, "there is no preset '6m'", "presets: 1m, 5m, 15m, 50m, 125m, 350m"},
      {{"presets", "5m", "15m"}, "presets: unexpected argument '15m'", "ropewalk presets --help"},
      {{"config"}, "config: no command given", "check "},
      {{"config", "shw"}, "config: unknown command 'shw'", "did you mean 'show'?"},
      {{"config", "check"}, "config check: argument FILE is missing", "ropewalk config check --help"},
      {{"config", "diff", "good.toml"}, "config diff: argument B is missing", "ropewalk config diff --help"},
      {{"config", "check", "none.toml"}, "cannot read none.toml", "No such file"},
      {{"config", "check", "typo.toml"}, "unknown key 'optimizer.lrr' in typo.toml:2", "did you mean 'optimizer.lr'?"},
      {{"config", "check", "section.toml"}, "unknown section 'optimzer' in section.toml:1", "'optimizer'"},
      {{"config", "check", "type.toml"}, "model.layers in type.toml:2 is a string", "expected an integer"},
      {{"config", "check", "range.toml"}, "min_lr 2 (range.toml:2) is out of range", "from 0 to 1"},
      {{"config", "check", "twice.toml"}, "twice.toml:3 is no TOML", "redefine"},
      {{"config", "check", "binary.toml"}, "binary.toml:1 is no TOML", ""},
      {{"config", "check", "lengths.toml"},
       "steps (lengths.toml:2) and tokens (lengths.toml:3) both say how long the run is",
       "give one of tokens, steps and time"},
      {{"config", "check", "good.toml", "typo.toml"}, "unknown key 'optimizer.lrr' in typo.toml:2", ""},
      {{"config", "show", "--sze", "5m"}, "config show: unknown option '--sze'", "did you mean '--size'?"},
      {{"config", "show", "--micro_batch", "5"}, "config show: unknown option '--micro_batch'", "'--micro-batch'"},
      {{"config", "show", "--no-doc-msk"}, "config show: unknown option '--no-doc-msk'", "'--no-doc-mask'"},
      {{"config", "show", "--size", "huge"}, "--size: there is no preset 'huge'", "presets: 1m"},
      {{"config", "show", "--lr", "fast"}, "--lr: 'fast' is not a number", "0.001"},
      {{"config", "show", "--lr", "-1"}, "lr -1 (command line) is not positive", "greater than 0"},
      {{"config", "show", "--lr", "1", "--lr", "2"}, "config show: --lr is given more than once", "--help"},
      {{"config", "show", "--time", "10"}, "--time: '10' has no unit", "10min"},
      {{"config", "show", "--time", "10m"}, "--time: '10m' ends in 'm', which is no unit here", "10min"},
      {{"config", "show", "--tokens", "1M", "--steps", "3"},
       "tokens (command line) and steps (command line) both say how long the run is",
       "give one"},
      {{"config", "show", "--norm", "rsm"}, "--norm: 'rsm' is none of the choices", "did you mean 'rms'?"},
      {{"config", "show", "--doc-mask", "off"}, "config show: unexpected argument 'off'", "--no-NAME"},
      {{"config", "show", "--doc-mask=maybe"}, "config show: the switch --doc-mask takes no value", "--no-NAME"},
      {{"config", "show", "--heads", "3"}, "kv_heads 2 (preset 5m) does not divide heads 3 (command line)", ""},
      {{"config", "show", "--batch", "1000"},
       "batch 1000 (command line) is no multiple of context 512 (preset 5m)",
       "--batch 512 or --batch 1024"},
      {{"config", "show", "--device", "gpu"}, "unknown device gpu (command line)", "cpu, cuda, cuda:1"},
      {{"config", "show", "--device", "cuda:-1"}, "unknown device cuda:-1 (command line)", "cuda:1"},
      {{"config", "show", "--device", "cuda", "--dtype", "f64"},
       "device cuda (command line) and dtype f64 (command line)",
       "f64 is for the CPU"},
      {{"config", "show", "--dtype", "bf16"}, "device cpu (default) and dtype bf16 (command line)", "bf16 for a GPU"},
      {{"config", "show", "--config"}, "config show: --config needs a value", ""},
      {{"config", "show", "--config", "."}, "cannot", ""},
      {{"config", "show", "--config", "many.toml"}, "unknown key 'model.layrs' in many.toml:2", "first of 2 problems"},
      {{"config", "show"},
       "unknown setting ROPEWALK_LAYRS in the environment",
       "unset ROPEWALK_LAYRS",
       {{"ROPEWALK_LAYRS", "3"}}},
      {{"config", "show"}, "ROPEWALK_LR in the environment: 'x' is not a number", "0.001", {{"ROPEWALK_LR", "x"}}},
      {{"--version"}, "ROPEWALK_ISA is 'mmx'", "sse, avx2, avx512", {{"ROPEWALK_ISA", "mmx"}}},
  };
  EXPECT_GE(cases.size(), 40u);
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& word : c.arguments) line += " " + word;
    SCOPED_TRACE(line);
    const Finished done = at(c.arguments, c.environment);
    EXPECT_EQ(done.exit, 2);
    EXPECT_TRUE(first_line(done.err).starts_with(std::string("error: ") + c.error)) << done.err;
    EXPECT_NE(done.err.find(c.advice), std::string::npos) << done.err;
    size_t lines = 0;
    for (size_t begin = 0; begin < done.err.size(); begin = done.err.find('\n', begin) + 1, ++lines) {
      const std::string text = first_line(done.err.substr(begin));
      EXPECT_TRUE(text.starts_with("error: ") || text.starts_with("       ")) << text;
    }
    EXPECT_LE(lines, 22u);  // all commands, if none is given
  }
}

TEST_F(Cli, CheckListsAllProblemsOfAFile) {
  const Finished done = at({"config", "check", "many.toml"});
  EXPECT_EQ(done.exit, 2);
  EXPECT_EQ(done.out, "");
  size_t errors = 0;
  for (size_t i = 0; (i = done.err.find("error: ", i)) != std::string::npos; ++i) ++errors;
  EXPECT_EQ(errors, 3u) << done.err;
  const auto json = nlohmann::json::parse(at({"config", "check", "many.toml", "--json"}).out);
  EXPECT_EQ(json["problems"].size(), 3u);
  EXPECT_EQ(at({"config", "check", "good.toml"}).out, "good.toml: no problem\n");
}

TEST_F(Cli, ResultsGoToStdout) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--version"},
                                             {"--help"},
                                             {"presets"},
                                             {"presets", "5m"},
                                             {"presets", "--help"},
                                             {"config", "--help"},
                                             {"config", "show", "--help"},
                                             {"config", "show"},
                                             {"config", "show", "--explain"},
                                             {"config", "diff", "good.toml", "good.toml"}}) {
    const Finished done = at(arguments);
    EXPECT_EQ(done.exit, 0) << arguments.back();
    EXPECT_FALSE(done.out.empty());
    EXPECT_EQ(done.err, "");
  }
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--version", "--json"},
                                             {"presets", "--json"},
                                             {"--json", "presets", "5m"},
                                             {"config", "show", "--json"},
                                             {"config", "diff", "--json", "good.toml", "range.toml"}})
    EXPECT_TRUE(nlohmann::json::accept(at(arguments).out)) << arguments.front();
  EXPECT_TRUE(at({"--version"}).out.starts_with("ropewalk " RW_VERSION "\n"));
}

TEST_F(Cli, HelpStartsWithExamplesAndShowsDefaults) {
  const std::string help = at({"config", "show", "--help"}).out;
  EXPECT_LT(help.find("\nExamples\n"), help.find("\nUsage\n"));
  EXPECT_LT(help.find("\nUsage\n"), help.find("\n[model]\n"));
  EXPECT_LT(help.find("\n[model]\n"), help.find("\n[optimizer]\n"));
  EXPECT_NE(help.find("--min-lr SHARE"), std::string::npos);
  EXPECT_NE(help.find("[from --size]"), std::string::npos);
  EXPECT_NE(help.find("--[no-]doc-mask"), std::string::npos);
}

TEST_F(Cli, ConfigurationGoesRound) {
  write_file(folder_ / "first.toml", at({"config", "show", "--size", "1m", "--lr", "0.25", "--time", "8min"}).out);
  EXPECT_EQ(at({"config", "diff", "first.toml", "first.toml"}).out, "no difference\n");
  const Finished again = at({"config", "show", "--config", "first.toml", "--seed", "2"}, {{"ROPEWALK_CLIP", "3"}});
  EXPECT_EQ(again.exit, 0) << again.err;
  write_file(folder_ / "second.toml", again.out);
  EXPECT_NE(again.out.find("seed = 2                      # command line\n"), std::string::npos) << again.out;
  EXPECT_NE(again.out.find("clip = 3.0                    # environment ROPEWALK_CLIP\n"), std::string::npos);
  EXPECT_NE(again.out.find("lr = 0.25                     # first.toml:"), std::string::npos);
  EXPECT_EQ(at({"config", "diff", "first.toml", "second.toml"}).out,
            "seed              1 -> 2\nclip              1 -> 3\n");
  std::filesystem::create_directory(folder_ / "run");
  std::filesystem::copy(folder_ / "second.toml", folder_ / "run" / "run.toml");
  EXPECT_EQ(at({"config", "diff", "run", "second.toml"}).out, "no difference\n");
  for (const char* name : {"1m", "5m", "15m", "50m", "125m", "350m"}) {
    write_file(folder_ / "preset.toml", at({"presets", name}).out);
    EXPECT_EQ(at({"config", "check", "preset.toml"}).exit, 0) << name;
  }
}

TEST_F(Cli, FullDiskAndClosedPipe) {
  const Finished full = run({"presets"}, {.output = "/dev/full"});
  EXPECT_EQ(full.exit, 6);
  EXPECT_TRUE(full.err.starts_with("error: cannot write standard output\n")) << full.err;

  Process process(ropewalk({"presets"}));
  process.close_output();
  const Finished closed = process.wait();
  EXPECT_EQ(closed.signal, SIGPIPE);  // as cat and grep end
  EXPECT_EQ(closed.err, "");
}

TEST_F(Cli, ADeviceIsLookedForWhenItIsAskedFor) {
  const Finished quiet = at({"presets"}, {{"LD_DEBUG", "files"}});
  EXPECT_EQ(quiet.exit, 0);
  EXPECT_NE(quiet.err.find("libdnnl"), std::string::npos);
  EXPECT_EQ(quiet.err.find("libcuda"), std::string::npos);
  EXPECT_EQ(quiet.err.find("libcublas"), std::string::npos);
  for (const char* command : {"eval", "generate"}) {
    std::vector<std::string> words = {command, "nowhere", "--device", "cuda:99"};
    if (words[0] == "eval") words.insert(words.end(), {"--data", "nowhere"});
    const Finished asked = at(words);
    EXPECT_EQ(asked.exit, 2);
    EXPECT_EQ(first_line(asked.err).find("error: --device cuda:99: "), 0u) << asked.err;
    EXPECT_NE(asked.err.find("\n       "), std::string::npos) << asked.err;  // what to do
  }
}

TEST_F(Cli, StartsQuickly) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) best = std::min(best, at({"--version"}).seconds);
  EXPECT_LT(best, 1.0);  // takes some 10 ms; the limit leaves room for a busy machine and for sanitizers
}

TEST_F(Cli, TheManualHasEveryCommand) {
  const std::string manual = at({"--man"}).out;
  EXPECT_EQ(first_line(manual), ".TH ROPEWALK 1 \"\" \"ropewalk " RW_VERSION "\" \"User Commands\"");
  for (const char* part :
       {".SS \"ropewalk pretrain\"\n", ".SS \"ropewalk tokenizer train\"\n", ".SS \"ropewalk import hf\"\n",
        "\\fB\\-\\-lr NUMBER\\fR", "\nropewalk generate runs/first\n", ".TP\n75\n"})
    EXPECT_NE(manual.find(part), manual.npos) << part;
  for (size_t at = 0; (at = manual.find("\n.", at)) != manual.npos; ++at) {
    const std::string macro = manual.substr(at + 2, 2);
    EXPECT_TRUE(macro == "TP" || macro == "PP" || macro == "SH" || macro == "SS" || macro == "EX" || macro == "EE")
        << macro;
  }
}

}  // namespace
}  // namespace rw::test
