#include "train/report/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/report/report_test.hpp"

namespace rw::report {
namespace {

using test::make_run;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(Report, OneRun) {
  const TemporaryFolder f;
  const std::vector<Record> runs = {read_record(make_run(f / "run"))};
  const std::string html = to_html(runs);
  EXPECT_THAT(html, AllOf(HasSubstr("<strong>Finished</strong>: step 100 of 100, 100k tokens in 50 s"),
                          HasSubstr("best validation loss 4.500 (2.200 bits per byte)."), HasSubstr("Training loss"),
                          HasSubstr("Loss by position</h2>"),
                          HasSubstr("env ROPEWALK_LR=1 &#39;ROPEWALK_OUT=c d&#39; ropewalk"),
                          HasSubstr("cd &#39;/some where&#39;\n"), HasSubstr("my &quot;file&quot;.toml:3")));
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;script&gt;alert(1)"), Not(HasSubstr("<script"))));
  for (const char* axis : {"by-step", "by-tokens", "by-time"}) {
    EXPECT_EQ(count(html, std::string("<div class=\"") + axis + " linear\">"), 2u) << axis;  // training and validation
    EXPECT_EQ(count(html, std::string("<div class=\"") + axis + " log\">"), 2u) << axis;
    EXPECT_EQ(count(html, std::string("<div class=\"") + axis + "\">"), 4u) << axis;
  }
  EXPECT_THAT(html, Not(HasSubstr("bits per byte</figcaption>")));  // for several runs only
}

TEST(Report, RunsCompared) {
  const TemporaryFolder f;
  make_run(f / "a"), make_run(f / "b", 200);
  write_file(f / "b" / "run.toml", "[train]\nsteps = 200\n[optimizer]\nlr = 0.002\n");
  const std::vector<Record> runs = {read_record(f / "a"), read_record(f / "b")};
  const std::string html = to_html(runs);
  EXPECT_THAT(html, AllOf(HasSubstr("2 runs compared"), HasSubstr("Differences"), HasSubstr("bits per byte")));
  const size_t begin = html.find("Differences</h3>"), end = html.find("</table>", begin);
  const std::string table = html.substr(begin, end - begin);
  EXPECT_EQ(count(table, "<tr>"), 11u) << table;  // a head, size and what it decides, steps, lr
  EXPECT_THAT(table, AllOf(HasSubstr("<td>0.001</td><td>0.002</td>"), HasSubstr("<td>100</td><td>200</td>"),
                           Not(HasSubstr("seed"))));
}

TEST(Report, DifferencesFromTheParent) {
  const TemporaryFolder f;
  make_run(f / "a"), make_run(f / "b");
  write_file(f / "b" / "run.toml", "[model]\nsize = \"1m\"\n[train]\nsteps = 100\n[optimizer]\nlr = 0.0001\n");
  RunStatus status = read_status(f / "b").value();
  status.parent = (f / "a" / "checkpoints" / "step-000100").string() + ", step 100, manifest 0123";
  write_status(f / "b", status);
  const std::vector<Record> runs = {read_record(f / "b")};
  EXPECT_THAT(to_html(runs), AllOf(HasSubstr("Differences from the parent"), HasSubstr("<td>0.001</td><td>1e-04</td>"),
                                   HasSubstr("step 100, manifest 0123")));
  std::filesystem::rename(f / "a", f / "moved");
  const std::vector<Record> alone = {read_record(f / "b")};
  EXPECT_THAT(to_html(alone), AllOf(Not(HasSubstr("Differences from the parent")), HasSubstr("manifest 0123")));
}

TEST(Report, RunsOfWhichLittleIsThere) {
  const TemporaryFolder f;
  write_file(f / "run.toml", "[model]\nlayers = 'x'\nnonsense = 1\n");
  write_file(f / "metrics.jsonl", "{\"step\":1,\"loss\":3}\n");
  const std::vector<Record> runs = {read_record(f.path())};
  const std::string html = to_html(runs);
  EXPECT_THAT(html, AllOf(HasSubstr("How it ended is not known"), HasSubstr("nonsense"),
                          HasSubstr("Not recorded by tokens."), Not(HasSubstr("nan"))));
  write_file(f / "metrics.jsonl", "{\"step\":1,\"loss\":0}\n{\"step\":2,\"loss\":0}\n");
  const std::vector<Record> nothing = {read_record(f.path())};
  EXPECT_THAT(to_html(nothing), HasSubstr("Nothing above zero."));
  std::filesystem::remove(f / "metrics.jsonl");
  const std::vector<Record> empty = {read_record(f.path())};
  EXPECT_THAT(to_html(empty), HasSubstr("Nothing has been logged yet."));
}

TEST(Report, AFolderThatCannotBeWrittenToIsAnError) {
  const TemporaryFolder f;
  const std::vector<Record> runs = {read_record(make_run(f / "run"))};
  EXPECT_EQ(test::user_error_of([&] { write_report(runs, f / "gone" / "report.html"); }).code, Exit::write);
  write_report(runs, f / "report.html");
  EXPECT_EQ(test::read_file(f / "report.html"), to_html(runs));
}

}  // namespace
}  // namespace rw::report
