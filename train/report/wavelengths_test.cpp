#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numbers>

#include "train/report/axis.hpp"
#include "train/report/report_test.hpp"
#include "train/report/sections.hpp"

namespace rw::report {
namespace {

using test::make_run;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Wavelengths : testing::Test {
  TemporaryFolder f;

  Record run(const std::string& name, const std::string& toml) const {
    make_run(f / name);
    write_file(f / name / "run.toml", toml);
    return read_record(f / name);
  }
  static std::string tooltip(const std::string& line, int pair, double wavelength) {
    return "<title>" + line + ", pair of a head&#39;s coordinates " + std::to_string(pair) + ": " +
           text_of(wavelength, Quantity::count) + "</title>";
  }
};

TEST_F(Wavelengths, OfTheRuleBesidePlainRope) {
  const Record runs[] = {run("a",
                             "[model]\nhead_width = 8\ncontext = 2048\n[positions]\nrope = \"linear\"\nfactor = 4\n"
                             "rope_base = 10000\ntrained_context = 512\n")};
  const std::string html = wavelengths_section(runs);
  const double turn = 2 * std::numbers::pi;
  EXPECT_THAT(html, AllOf(HasSubstr("Rotary wavelengths <span>tokens</span>"), HasSubstr(">linear × 4</span>"),
                          HasSubstr(">plain, base 10000</span>"), HasSubstr(">trained context</span> <b>512</b>"),
                          HasSubstr(">context</span> <b>2k</b>")));
  for (const auto& [pair, power] : {std::pair{0, 1.0}, {1, 10.0}, {3, 1000.0}}) {
    EXPECT_THAT(html, HasSubstr(tooltip("plain, base 10000", pair, turn * power)));
    EXPECT_THAT(html, HasSubstr(tooltip("linear × 4", pair, turn * power * 4)));
  }
}

TEST_F(Wavelengths, OneLineAndOneLevelWherePlainRopeIsUsedAsTrained) {
  const Record runs[] = {run("a", "[model]\nhead_width = 8\ncontext = 256\n[positions]\nrope_base = 10000\n")};
  EXPECT_THAT(wavelengths_section(runs),
              AllOf(HasSubstr("plain, base 10000"), HasSubstr(">context, and trained at</span> <b>256</b>"),
                    Not(HasSubstr("trained context</span>"))));
}

TEST_F(Wavelengths, RunsAlikeHaveOneChart) {
  const std::string plain = "[model]\nhead_width = 8\ncontext = 256\n[positions]\nrope_base = 10000\n";
  const Record runs[] = {run("a", plain), run("b", plain + "rope = \"ntk_aware\"\nfactor = 2\n"), run("c", plain)};
  const std::string html = wavelengths_section(runs);
  EXPECT_THAT(html, HasSubstr("tokens, " + runs[0].name() + ", " + runs[2].name() + "</span>"));
  EXPECT_THAT(html, HasSubstr("tokens, " + runs[1].name() + "</span>"));
}

TEST_F(Wavelengths, WithoutRotationOrWithABadRuleThereIsNone) {
  const Record runs[] = {run("a", "[positions]\npositions = \"learned\"\n"), run("b", "[model]\nhead_width = 7\n"),
                         run("c", "[positions]\nrope = \"linear\"\nfactor = 0.5\n"),
                         run("d", "[model]\nhead_width = 131072\n[positions]\nrope_base = 10000\n")};
  EXPECT_EQ(wavelengths_section(runs), "");
}

}  // namespace
}  // namespace rw::report
