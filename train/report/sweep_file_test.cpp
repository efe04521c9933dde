#include "train/report/sweep_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "train/report/report.hpp"
#include "train/report/report_test.hpp"

namespace rw::report {
namespace {

using nlohmann::json;
using test::make_run;
using test::TemporaryFolder;
using test::user_error_of;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

json sweep_row(const std::string& system, const std::string& text) {
  return {{"system", system},
          {"positions", "rope, base 10000"},
          {"fingerprint", "0123"},
          {"text", text},
          {"lengths",
           {{{"length", 512}, {"loss", 3.5}, {"accuracy", 0.25}, {"targets", 8}},
            {{"length", 2048}, {"loss", 4.5}, {"accuracy", 0.125}, {"targets", 8}}}},
          {"by_position",
           {{{"first", 0}, {"count", 1025}, {"loss", 5}, {"accuracy", 0.1}},
            {{"first", 1025}, {"count", 1023}, {"loss", 4}, {"accuracy", 0.2}}}}};
}

json passkey_row(const std::string& system) {
  return {{"system", system},
          {"positions", "rope, base 10000"},
          {"fingerprint", "0123"},
          {"text", "passkey"},
          {"form", "text"},
          {"trials", 20},
          {"seed", 1},
          {"lengths", {512, 2048}},
          {"depths", {0, 0.5, 1}},
          {"accuracy", {{1, 0.05}, {0.4, 0}, {0.6, 0.2}}},
          {"loss", {{0.25, 8}, {0.5, nullptr}, {0.75, 2}}}};
}

TEST(SweepFile, IsReadAsItWasPrinted) {
  const SweepFile file = parse_sweep_file("x", json({sweep_row("a", "natural"), passkey_row("b")}).dump());
  ASSERT_EQ(file.sweeps.size(), 1u);
  const SweepRow& sweep = file.sweeps[0];
  EXPECT_EQ(sweep.system, "a");
  EXPECT_THAT(sweep.loss, ElementsAre(Point{512, 3.5}, Point{2048, 4.5}));
  EXPECT_THAT(sweep.accuracy, ElementsAre(Point{512, 0.25}, Point{2048, 0.125}));
  EXPECT_THAT(sweep.part_loss, ElementsAre(Point{512, 5}, Point{1536, 4}));
  EXPECT_EQ(sweep.longest, 2048);
  ASSERT_EQ(file.passkeys.size(), 1u);
  const PasskeyRow& passkey = file.passkeys[0];
  EXPECT_EQ(passkey.trials, 20);
  EXPECT_THAT(passkey.depths, ElementsAre(0, 0.5, 1));
  EXPECT_EQ(passkey.accuracy[1][0], 0.4);
  EXPECT_EQ(passkey.loss[0][1], 8);
  EXPECT_TRUE(std::isnan(passkey.loss[1][1]));  // what JSON has in the place of a loss that is not finite
}

TEST(SweepFile, WhatIsAnythingElseIsRefused) {
  const auto error = [](const json& rows) {
    const auto caught = user_error_of([&] { parse_sweep_file("x.json", rows.dump()); });
    EXPECT_EQ(caught.code, Exit::data);
    return caught.what;
  };
  const auto changed = [&](json row, const std::string& key, const json& value) {
    if (value.is_discarded())
      row.erase(key);
    else
      row[key] = value;
    return error(json::array({sweep_row("a", "natural"), row}));
  };
  EXPECT_EQ(error(json::object()), "x.json holds no rows of a sweep");
  EXPECT_EQ(error(json::array()), "x.json holds no rows of a sweep");
  EXPECT_EQ(error({1, 2}), "x.json: text of row 1 is missing");
  const json sweep = sweep_row("a", "natural"), passkey = passkey_row("a"), gone(json::value_t::discarded);
  for (const auto& [row, key, value, what] : std::vector<std::tuple<json, std::string, json, std::string>>{
           {sweep, "text", "verse", "text of row 2 is neither natural, repeated nor passkey"},
           {sweep, "text", 3, "text of row 2 is no text"},
           {sweep, "system", gone, "system of row 2 is missing"},
           {sweep, "lengths", json::array(), "lengths of row 2 is no list"},
           {sweep, "lengths", {512}, "length of row 2 is missing"},
           {sweep,
            "lengths",
            {{{"length", 5}, {"loss", "x"}, {"accuracy", 0}}},
            "loss of row 2 holds what is no number"},
           {sweep,
            "lengths",
            {{{"length", 0}, {"loss", 1}, {"accuracy", 0}}},
            "length of row 2 holds a number below 1"},
           {sweep,
            "lengths",
            {{{"length", 5}, {"loss", 1}, {"accuracy", 2}}},
            "accuracy of row 2 holds a share above 1"},
           {sweep,
            "lengths",
            {{{"length", 5}, {"loss", 1e300}, {"accuracy", 0}}},
            "loss of row 2 holds a number that is too large"},
           {sweep, "by_position", {{{"first", 0}, {"count", 0}, {"loss", 1}}}, "count of row 2 holds a number below 1"},
           {passkey, "trials", 0.5, "trials of row 2 is no whole number from 1"},
           {passkey, "form", gone, "form of row 2 is missing"},
           {passkey, "depths", {0, 1}, "accuracy of row 2 is not as large as depths and lengths say"},
           {passkey, "lengths", {512}, "accuracy of row 2 is not as large as depths and lengths say"},
           {passkey, "loss", {{1, 2}, {3, 4}, {5, "6"}}, "loss of row 2 holds what is no number"}})
    EXPECT_EQ(changed(row, key, value), "x.json: " + what);
  json twisted = sweep;
  std::swap(twisted["lengths"][0], twisted["lengths"][1]);
  EXPECT_EQ(error(json::array({twisted})), "x.json: lengths of row 1 do not ascend");
  EXPECT_EQ(user_error_of([] { parse_sweep_file("x.json", "[{"); }).what, "x.json is not valid JSON");
  EXPECT_EQ(user_error_of([] { read_sweep_file("/gone/x.json"); }).code, Exit::data);
}

struct SweepReport : testing::Test {
  TemporaryFolder f;
  std::vector<Record> runs = {read_record(make_run(f / "run"))};

  std::string page(const std::vector<std::vector<json>>& files) const {
    std::vector<SweepFile> read;
    for (size_t i = 0; i < files.size(); ++i)
      read.push_back(parse_sweep_file("file" + std::to_string(i), json(files[i]).dump()));
    return to_html(runs, read);
  }
};

TEST_F(SweepReport, CurvesOfEachSystemByLengthAndPosition) {
  const std::string html = page({{sweep_row("the model's own", "natural"), sweep_row("rope=<b>", "natural")}});
  EXPECT_THAT(html, AllOf(HasSubstr("Loss by length, natural text"), HasSubstr("Accuracy by length, natural text"),
                          HasSubstr("Loss by position, natural text"), Not(HasSubstr("repeated text</")),
                          HasSubstr("position in texts of 2k tokens")));
  EXPECT_THAT(html, AllOf(HasSubstr("rope=&lt;b&gt;</span> <b>4.500 at 2k</b>"), HasSubstr("<b>12.5% at 2k</b>"),
                          HasSubstr("<title>rope=&lt;b&gt;, tokens of the text 512: 3.5</title>"),
                          HasSubstr(">512</text>"), HasSubstr("<td>0123</td>"), Not(HasSubstr("Passkeys</h2>"))));
  EXPECT_THAT(page({{sweep_row("a", "repeated")}}), HasSubstr("Loss by length, repeated text"));
  EXPECT_THAT(to_html(runs), Not(HasSubstr("Growing lengths")));
}

TEST_F(SweepReport, SystemsOfSeveralFilesAreNamedWithThem) {
  EXPECT_THAT(page({{sweep_row("own", "natural")}, {sweep_row("own", "natural")}}),
              AllOf(HasSubstr(">file0: own<"), HasSubstr(">file1: own<")));
  EXPECT_THAT(page({{sweep_row("own", "natural")}, {passkey_row("own")}}), Not(HasSubstr("file0: ")));
}

TEST_F(SweepReport, AMapOfPasskeys) {
  const std::string html = page({{passkey_row("own")}});
  EXPECT_THAT(html, AllOf(HasSubstr("Passkeys</h2>"), HasSubstr("% of 20 keys found"),
                          HasSubstr("<th scope=\"col\">2k</th>"), HasSubstr("<th scope=\"row\">50%</th>")));
  for (const char* cell : {"<td class=\"h5\">100%</td>", "<td class=\"h0\">5%</td>", "<td class=\"h2\">40%</td>",
                           "<td class=\"h0\">0%</td>", "<td class=\"h3\">60%</td>", "<td class=\"h1\">20%</td>",
                           "<td class=\"h5\">0.25</td>", "<td class=\"h0\">8.00</td>", "<td class=\"h0\">?</td>",
                           "<td class=\"h4\">2.00</td>"})
    EXPECT_THAT(html, HasSubstr(cell));
}

}  // namespace
}  // namespace rw::report
