#include "aws/time_text.h"

#include <gtest/gtest.h>

namespace berth::aws {
namespace {

std::string rfc3339(std::string_view text) {
  const auto time = parse_rfc3339(text);
  return time ? to_rfc3339(*time) : "(refused)";
}

std::string http_date(std::string_view text) {
  const auto time = parse_http_date(text);
  return time ? to_rfc3339(*time) : "(refused)";
}

TEST(TimeText, ReadsTheWaysInWhichAwsWritesAnExpiry) {
  EXPECT_EQ(rfc3339("2026-11-22T15:04:05Z"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(rfc3339("2026-11-22T15:04:05.123456Z"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(rfc3339("2026-11-22T15:04:05UTC"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(rfc3339("2026-11-22T15:04:05+00:00"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(rfc3339("2026-11-22T16:34:05+01:30"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(rfc3339("2026-11-22T10:04:05-05:00"), "2026-11-22T15:04:05.000Z");
}

TEST(TimeText, RefusesWhatIsNoTime) {
  for (const std::string_view text :
       {"", "now", "2026-11-22", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-22T25:00:00Z",
        "2026-11-22T15:04:05", "2026-11-22T15:04:05+1", "-026-11-22T15:04:05Z", "9999-11-22T15:04:05Z"}) {
    EXPECT_EQ(rfc3339(text), "(refused)") << text;
  }
}

TEST(TimeText, ReadsTheDateOfAnAnswer) {
  EXPECT_EQ(http_date("Sun, 22 Nov 2026 15:04:05 GMT"), "2026-11-22T15:04:05.000Z");
  EXPECT_EQ(http_date("Sun, 22 Foo 2026 15:04:05 GMT"), "(refused)");
  EXPECT_EQ(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), "(refused)");
  EXPECT_EQ(http_date(""), "(refused)");
}

TEST(TimeText, WritesTheBasicForm) {
  EXPECT_EQ(to_basic_time(parse_rfc3339("2015-08-30T12:36:00Z").value()), "20150830T123600Z");
  EXPECT_EQ(to_basic_time(WallTime{}), "19700101T000000Z");
}

}  // namespace
}  // namespace berth::aws
