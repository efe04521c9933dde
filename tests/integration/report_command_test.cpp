// report, inspect --diff and doctor through the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

struct ReportCommand : TinyRuns {
  json result(const Words& arguments, int exit = 0) const {
    const Finished done = at(arguments + Words{"--json"});
    EXPECT_EQ(done.exit, exit) << done.err;
    return json::parse(done.out, nullptr, false);
  }
};

TEST_F(ReportCommand, ReportsOfRuns) {
  whole("a"), whole("b", {"--lr", "2e-2", "--eval-every", "2"});
  for (const char* run : {"a", "b"}) EXPECT_TRUE(fs::exists(folder / run / "report.html")) << run;

  const Finished one = at({"report", "b"});
  EXPECT_EQ(one.exit, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("wrote b/report.html, "));
  EXPECT_EQ(one.err, "");
  const std::string html = read_file(folder / "b/report.html");
  EXPECT_THAT(html, HasSubstr("Finished"));
  EXPECT_THAT(html, HasSubstr("command line"));  // where lr is from

  const json both = result({"report", "a", "b", "-o", "both.html"});
  EXPECT_EQ(both["report"], "both.html");
  EXPECT_EQ(both["bytes"], fs::file_size(folder / "both.html"));
  ASSERT_EQ(both["runs"].size(), 2u);
  EXPECT_EQ(both["runs"][1]["state"], "finished");
  EXPECT_EQ(both["runs"][1]["step"], 6);
  EXPECT_EQ(both["runs"][1]["tokens"], 384);
  EXPECT_TRUE(both["runs"][1]["best_val_loss"].is_number());
  EXPECT_THAT(read_file(folder / "both.html"), HasSubstr("<td>0.01</td><td>0.02</td>"));
  EXPECT_EQ(at({"report", "a", "b"}).exit, 0);
  EXPECT_TRUE(fs::exists(folder / "report.html"));
}

TEST_F(ReportCommand, WithWhatEvalPrinted) {
  whole("a");
  const Words eval = {"eval", "a", "--data", "data", "--split", "train", "--json", "--context-sweep"};
  write_file(folder / "sweep.json", at(eval + Words{"16,32", "--texts", "2"}).out);
  write_file(folder / "keys.json", at(eval + Words{"128,160", "--passkey", "--trials", "2"}).out);
  const Finished done = at({"report", "a", "--with", "sweep.json", "keys.json", "-o", "with.html"});
  EXPECT_EQ(done.exit, 0) << done.err;
  const std::string html = read_file(folder / "with.html");
  for (const char* part : {"Loss by length, natural text", "Accuracy by length, repeated text",
                           "position in texts of 32 tokens", "% of 2 keys found", "Rotary wavelengths"})
    EXPECT_THAT(html, HasSubstr(part));
  write_file(folder / "bad.json", "{\"loss\":3}\n");
  for (const auto& [file, what] : {std::pair{"bad.json", "error: bad.json holds no rows of a sweep"},
                                   {"gone.json", "error: cannot read gone.json"}}) {
    const Finished bad = at({"report", "a", "--with", file, "-o", "bad.html"});
    EXPECT_EQ(bad.exit, 3);
    EXPECT_EQ(first_line(bad.err), what);
    EXPECT_FALSE(fs::exists(folder / "bad.html"));
  }
}

TEST_F(ReportCommand, WhatIsNoRunIsAnError) {
  const Finished gone = at({"report", "gone"});
  EXPECT_EQ(gone.exit, 3);
  EXPECT_EQ(first_line(gone.err), "error: there is no gone");
  const Finished data_folder = at({"report", "data"});
  EXPECT_EQ(data_folder.exit, 3);
  EXPECT_EQ(first_line(data_folder.err), "error: data holds no run");
  whole("a");
  EXPECT_EQ(at({"report", "a", "gone", "-o", "x.html"}).exit, 3);
  EXPECT_FALSE(fs::exists(folder / "x.html"));
  EXPECT_EQ(at({"report", "a", "-o", "gone/x.html"}).exit, 6);
}

TEST_F(ReportCommand, AKilledRunSaysSo) {
  whole("a");
  json status = json::parse(read_file(folder / "a/status.json"));
  status["state"] = "running";
  write_file(folder / "a/status.json", status.dump());
  EXPECT_EQ(result({"report", "a"})["runs"][0]["verdict"], "Broken off");
}

TEST_F(ReportCommand, InspectDiff) {
  whole("a"), whole("b"), whole("c", {"--seed", "9"});
  const json same = result({"inspect", "a", "--diff", "b"});
  EXPECT_EQ(same["tensors"].size(), 0u);
  EXPECT_GT(same["equal"], 5);
  EXPECT_EQ(same["relative"], 0);
  EXPECT_EQ(same["settings"].size(), 1u) << same;  // out
  const json other = result({"inspect", "a", "--diff", "c"});
  EXPECT_EQ(other["equal"], 0);
  EXPECT_GT(other["tensors"].size(), 5u);
  for (size_t i = 1; i < other["tensors"].size(); ++i)
    EXPECT_LE(other["tensors"][i]["relative"], other["tensors"][i - 1]["relative"]);
  const json course = result({"inspect", "a/checkpoints/step-000005", "--diff", "a"});
  EXPECT_EQ(course["meta"][0], json({{"name", "step"}, {"a", "5"}, {"b", "6"}}));
  EXPECT_LT(course["relative"], 0.2);

  const Finished text = at({"inspect", "a", "--diff", "c"});
  EXPECT_EQ(text.exit, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("  seed              1 -> 9\n"));
  EXPECT_THAT(text.out, HasSubstr("0 of "));
  EXPECT_EQ(at({"inspect", "a", "--diff", "gone"}).exit, 3);
  EXPECT_EQ(at({"inspect", "a", "--diff", "c", "--tensors"}).exit, 2);
}

TEST_F(ReportCommand, Doctor) {
  const Finished done = at({"doctor"});
  EXPECT_THAT(done.out, HasSubstr("ok      HDF5"));
  EXPECT_THAT(done.out, HasSubstr("ok      training"));
  EXPECT_THAT(done.out, HasSubstr("-       GPU"));
  EXPECT_EQ(done.err, "");
  const Finished gone = at({"doctor", "gone"});
  EXPECT_EQ(gone.exit, 3);
  EXPECT_THAT(gone.out, HasSubstr("wrong   disk          cannot look at gone"));
  const json report = result({"doctor", "gone"}, 3);
  EXPECT_EQ(report["ok"], false);
  EXPECT_EQ(report["checks"][0]["name"], "processor");
  for (const json& check : report["checks"])
    EXPECT_EQ(check["state"] == "wrong", check["name"] == "disk" || check["name"] == "files" || check["name"] == "HDF5")
        << check;
}

}  // namespace
}  // namespace rw::test
