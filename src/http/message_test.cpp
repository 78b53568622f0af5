#include "http/message.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

std::string text(const Headers& headers) {
  std::string out;
  for (const auto field : headers.fields())
    out += std::string(field.name) + "=" + std::string(field.value) + ";";
  return out;
}

TEST(Headers, KeepOrderAndCompareNamesWithoutCase) {
  Headers headers;
  headers.add("A", "1");
  headers.add("b", "2");
  headers.add("a", "3");
  EXPECT_EQ(headers.get("a"), "1");
  EXPECT_EQ(headers.get("B"), "2");
  EXPECT_FALSE(headers.get("c"));
  EXPECT_EQ(headers.repeated({"c", "B", "A"}), "A");
  EXPECT_EQ(headers.repeated({"c", "b"}), "");
  EXPECT_EQ(text(headers), "A=1;b=2;a=3;");
}

TEST(Headers, SetReplacesEveryFieldOfTheNameAtThePlaceOfTheFirst) {
  Headers headers;
  headers.add("A", "1");
  headers.add("B", "2");
  headers.add("a", "3");
  headers.set("a", "a longer value than before");
  EXPECT_EQ(text(headers), "A=a longer value than before;B=2;");
  headers.set("C", "4");
  EXPECT_EQ(text(headers), "A=a longer value than before;B=2;C=4;");
  headers.remove("b");
  EXPECT_EQ(text(headers), "A=a longer value than before;C=4;");
  headers.clear();
  EXPECT_TRUE(headers.empty());
  EXPECT_FALSE(headers.get("a"));
}

TEST(Headers, TakeViewsIntoThemselves) {
  Headers headers;
  headers.add("A", "value");
  for (int i = 0; i < 100; ++i) headers.add(*headers.get("A"), *headers.get("a"));
  EXPECT_EQ(headers.fields().size(), 101u);
  headers.set("A", *headers.get("value"));
  EXPECT_EQ(headers.get("A"), "value");
}

TEST(Headers, CopiesStandAlone) {
  Headers first;
  first.add("A", "1");
  Headers second = first;
  first.set("A", "2");
  EXPECT_EQ(second.get("a"), "1");
  EXPECT_EQ(first.get("a"), "2");
}

TEST(RequestHead, SplitsItsTarget) {
  RequestHead head;
  head.target = "/a/b?c=d?e";
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_EQ(head.query(), "c=d?e");
  head.target = "/a";
  EXPECT_EQ(head.path(), "/a");
  EXPECT_EQ(head.query(), "");
}

}  // namespace
}  // namespace berth::http
