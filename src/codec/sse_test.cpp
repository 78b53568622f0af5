#include "codec/sse.h"

#include <gtest/gtest.h>

namespace berth::sse {
namespace {

std::vector<Event> parse_all(std::string_view text, std::size_t step, std::size_t limit = 1000) {
  Parser parser(limit);
  std::vector<Event> events;
  for (std::size_t at = 0; at < text.size(); at += step) {
    const Result<void> fed = parser.feed(text.substr(at, step));
    EXPECT_TRUE(fed.has_value());
    while (std::optional<Event> event = parser.next()) events.push_back(*event);
  }
  return events;
}

std::string show(const std::vector<Event>& events) {
  std::string out;
  for (const Event& event : events) {
    out += "[" + event.event + "|" + event.id + "|" + event.data + "|" +
           (event.retry_ms ? std::to_string(*event.retry_ms) : "-") + "]";
  }
  return out;
}

TEST(Sse, WritesEventsWithMultiLineData) {
  EXPECT_EQ(write({.event = "endpoint", .data = "/x", .id = "7", .retry_ms = 500}),
            "event: endpoint\nid: 7\nretry: 500\ndata: /x\n\n");
  EXPECT_EQ(write({.data = "a\nb\r\nc\rd"}), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(write({.event = "x\ndata: evil", .data = ""}), "event: x\ndata: \n\n");
  std::string out;
  append_message(out, "{}");
  append_message(out, "{\"a\":1}", "e1");
  EXPECT_EQ(out, "event: message\ndata: {}\n\nevent: message\nid: e1\ndata: {\"a\":1}\n\n");
}

TEST(Sse, ParsesTheSameInPiecesOfAnySize) {
  const std::string_view text =
      "\xEF\xBB\xBF: comment\r\n\r\ndata: a\r\ndata:b\r\n\r\nevent: message\rid: 1\rretry: 12\rdata\r\rid: "
      "2\n\n"
      "data: {\"x\": 1}\nunknown: y\nretry: 1x\n\n: keep-alive\n\ndata: unfinished";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    EXPECT_EQ(show(parse_all(text, step)), "[||a\nb|-][message|1||12][||{\"x\": 1}|-]") << step;
  }
}

TEST(Sse, ReadsBackWhatItWrites) {
  const Event event{.event = "message", .data = "line one\nline two\n", .id = "abc", .retry_ms = 3};
  EXPECT_EQ(show(parse_all(write(event), 3)), show({event}));
}

TEST(Sse, RefusesAnEventBeyondTheLimitAndServesOneAtIt) {
  EXPECT_EQ(parse_all("data: 12345\n\n", 4, 11).size(), 1u);
  Parser parser(16);
  EXPECT_TRUE(parser.feed("data: 1234\ndata: 56").has_value());
  const Result<void> fed = parser.feed("7890123456");
  ASSERT_FALSE(fed.has_value());
  EXPECT_EQ(fed.error().code(), ErrorCode::resource_exhausted);
  EXPECT_EQ(fed.error().message(), "A server-sent event is larger than 16 bytes.");
}

}  // namespace
}  // namespace berth::sse
