#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/tokenizer/tokenizer_test.hpp"
#include "train/cli/command.hpp"
#include "train/cli/text_options.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::cli {
namespace {

using nlohmann::json;
using test::TemporaryFolder;
using testing::HasSubstr;

struct Result {
  int code;
  std::string out, err;
};

Result run(std::vector<std::string> arguments) {
  std::vector<const char*> argv = {"ropewalk"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_program(static_cast<int>(argv.size()), argv.data());
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(TextOptions, NumbersAreReadable) {
  EXPECT_EQ(grouped(7), "7");
  EXPECT_EQ(grouped(1234), "1,234");
  EXPECT_EQ(grouped(123456), "123,456");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(byte_text(999), "999 bytes");
  EXPECT_EQ(byte_text(999'960), "1.0 MB");
  EXPECT_EQ(byte_text(4'025'028), "4.0 MB");
  EXPECT_EQ(shell_line(std::vector<std::string>{"a", "b c", "it's", ""}), "a 'b c' 'it'\\''s' ''");
}

TEST(DataCommand, FromTextToTokens) {
  const TemporaryFolder folder;
  const std::string text = test::some_text(1, 40'000) + "\n%\n" + test::some_text(2, 20'000);
  const std::string a = folder / "a.txt", tok = folder / "tok", out = folder / "out";
  test::write_file(a, text);

  Result r = run({"tokenizer", "train", "--vocab", "400", "--out", tok, "--document-separator", "%", a});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err, "");
  EXPECT_THAT(r.out, HasSubstr("2 documents"));
  EXPECT_THAT(r.out, HasSubstr("next: ropewalk data prepare --tokenizer " + tok));
  r = run({"tokenizer", "train", "--vocab", "400", "--out", tok, a});
  EXPECT_EQ(r.code, 6);
  EXPECT_THAT(r.err, HasSubstr("--overwrite"));

  r = run({"tokenizer", "encode", tok, "the quick fox\n", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  std::vector<std::string> decode = {"tokenizer", "decode", tok};
  for (int id : json::parse(r.out)) decode.push_back(std::to_string(id));
  EXPECT_EQ(run(decode).out, "the quick fox\n");
  decode.push_back("400");
  EXPECT_EQ(run(decode).code, 2);
  EXPECT_EQ(json::parse(run({"tokenizer", "info", tok, "--json"}).out)["vocab"], 400);
  EXPECT_THAT(run({"tokenizer", "info", "bytes"}).out, HasSubstr("vocab           257"));

  r = run(
      {"data", "prepare", "--tokenizer", tok, "--out", out, "--val", "10%", "--document-separator", "%", a, "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const json prepared = json::parse(r.out);
  EXPECT_EQ(prepared["train"]["bytes"].get<uint64_t>() + prepared["val"]["bytes"].get<uint64_t>(), text.size() - 2);
  const json info = json::parse(run({"data", "info", out, "--val", "--json"}).out);
  EXPECT_EQ(info["tokens"], prepared["val"]["tokens"]);
  EXPECT_EQ(info["documents"], 2);
  EXPECT_THAT(info["meta"]["command"].get<std::string>(), HasSubstr("data prepare --tokenizer"));
  EXPECT_THAT(run({"data", "info", out}).out, HasSubstr("source      " + a));
  EXPECT_THAT(run({"data", "sample", out}).out, HasSubstr("document 1 of 2"));
  EXPECT_THAT(run({"data", "sample", out, "--pieces", "--tokens", "9"}).out, HasSubstr("the first 9\n<s>|"));
  EXPECT_EQ(run({"data", "prepare", "--tokenizer", tok, "--out", out, a}).code, 6);
  EXPECT_EQ(run({"data", "prepare", "--tokenizer", tok, "--out", out, "--val", "100%", a}).code, 2);
  EXPECT_EQ(run({"data", "info", folder / "none"}).code, 3);
}

}  // namespace
}  // namespace rw::cli
