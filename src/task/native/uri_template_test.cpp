#include "task/native/uri_template.h"

#include <gtest/gtest.h>

namespace berth::task {
namespace {

std::string matched(std::string_view pattern, std::string_view uri) {
  const auto parsed = UriTemplate::parse(pattern);
  if (!parsed) return parsed.error().message();
  const auto values = parsed->match(uri);
  if (!values) return "no";
  std::string out;
  for (const auto& [name, value] : *values) out += std::string(name) + "=" + value + ";";
  return out;
}

TEST(UriTemplate, FindsItsVariables) {
  EXPECT_EQ(matched("test://template/{id}/data", "test://template/123/data"), "id=123;");
  EXPECT_EQ(matched("test://{a}-{b}", "test://x-y-z"), "a=x;b=y-z;");
  EXPECT_EQ(matched("test://{+path}", "test://a/b/c"), "path=a/b/c;");
  EXPECT_EQ(matched("test://{name}", "test://a%20b%2Fc%zz"), "name=a b/c%zz;");
  EXPECT_EQ(matched("test://fixed", "test://fixed"), "");
}

TEST(UriTemplate, MatchesNothingElse) {
  for (const std::string_view uri :
       {"test://template//data", "test://template/1/2/data", "test://template/1/datax",
        "xtest://template/1/data", "test://template/1", "test://template/", ""}) {
    EXPECT_EQ(matched("test://template/{id}/data", uri), "no") << uri;
  }
  EXPECT_EQ(matched("test://fixed", "test://fixed/more"), "no");
  EXPECT_EQ(matched("test://{name}", "test://"), "no");
}

TEST(UriTemplate, RefusesWhatItCannotInvert) {
  EXPECT_EQ(matched("a{b", ""), "URI template 'a{b': a brace has no partner.");
  EXPECT_EQ(matched("a}b", ""), "URI template 'a}b': a brace has no partner.");
  EXPECT_EQ(matched("a{?q}", ""), "URI template 'a{?q}': '{?q}' is not supported; write {name} or {+name}.");
  EXPECT_EQ(matched("{a}{b}", ""), "URI template '{a}{b}': put text between 'a' and 'b'.");
  EXPECT_EQ(matched("{a}/{a}", ""), "URI template '{a}/{a}': 'a' occurs twice.");
}

}  // namespace
}  // namespace berth::task
