#include "train/report/html.hpp"

#include <gtest/gtest.h>

namespace rw::report {
namespace {

TEST(Html, NothingThatIsMarkupGetsThrough) {
  EXPECT_EQ(escape("<script>alert('&\"')</script>"), "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;");
  EXPECT_EQ(escape("ä 中 \n\t"), "ä 中 \n\t");
  EXPECT_EQ(escape("a\r\nb\rc"), "a\nb\nc");
}

TEST(Html, WhatXmlDoesNotAllowIsReplaced) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(escape(std::string("a\0b", 3)), "a" + r + "b");
  EXPECT_EQ(escape("\x1b[31m"), r + "[31m");
  EXPECT_EQ(escape("\x7f\xc2\x85"), r + r);
  EXPECT_EQ(escape("\xc2\xa0"), "\xc2\xa0");
  EXPECT_EQ(escape("\xff\xc3"), r + r);          // no UTF-8, and a character that is cut off
  EXPECT_EQ(escape("\xed\xa0\x80"), r + r + r);  // a surrogate
  EXPECT_EQ(escape("\xef\xbf\xbf"), r);
}

TEST(Html, Elements) {
  EXPECT_EQ(element("p", "a<b"), "<p>a&lt;b</p>");
  EXPECT_EQ(element("p", "x", "class=\"y\""), "<p class=\"y\">x</p>");
  const std::string t = table({"", "n"}, {{{"<a>"}, {"1", true, true}}});
  EXPECT_NE(t.find("<th scope=\"row\" >&lt;a&gt;</th>"), t.npos) << t;
  EXPECT_NE(t.find("<td class=\"number accent\">1</td>"), t.npos) << t;
  EXPECT_NE(t.find("<th scope=\"col\" class=\"number\">n</th>"), t.npos) << t;
  EXPECT_NE(table({}, {{{"out"}, {"/a/b<c"}}}).find("<td>/<wbr/>a/<wbr/>b&lt;c</td>"), std::string::npos);
}

}  // namespace
}  // namespace rw::report
