#include "network/forwarding.h"

#include <gtest/gtest.h>

namespace berth::network {
namespace {

constexpr TraceId trace{0x67891233, 0xabcdef01, 0x2345678912345678};

struct Traced {
  std::string_view existing;
  std::string_view expected;
};

TEST(TraceIdText, ARequestGetsARootOrASelf) {
  const std::vector<Traced> cases{
      {"", "Root=1-67891233-abcdef012345678912345678"},
      {"Root=1-1-2", "Self=1-67891233-abcdef012345678912345678;Root=1-1-2"},
      {"Self=1-9-9;Root=1-1-2;CalledFrom=app",
       "Self=1-67891233-abcdef012345678912345678;Root=1-1-2;CalledFrom=app"},
      {"CalledFrom=app", "Root=1-67891233-abcdef012345678912345678;CalledFrom=app"},
      {" ; Self=x ;; ", "Root=1-67891233-abcdef012345678912345678"},
  };
  for (const Traced& one : cases) {
    std::string out;
    append_trace_id(out, one.existing, trace);
    EXPECT_EQ(out, one.expected);
  }
}

std::string forwarded(std::string_view raw) {
  http1::HeadView head;
  std::string problem;
  EXPECT_EQ(http1::parse_request(raw, {}, head, &problem), http1::HeadStatus::complete) << problem;
  std::string out;
  append_request_head(out, raw, head, {"192.0.2.7", "https", "8443"}, trace);
  return out;
}

constexpr std::string_view added =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n"
    "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n\r\n";

TEST(RequestHead, PassesEndToEndFieldsByteForByteInOrder) {
  EXPECT_EQ(
      forwarded("POST /mcp?x=1 HTTP/1.1\r\nHost: a:80\r\nAuthorization: Bearer t\r\nMCP-Name: écho \r\n"
                "Content-Length: 3\r\nX-Last:\r\n\r\n"),
      "POST /mcp?x=1 HTTP/1.1\r\nHost: a:80\r\nAuthorization: Bearer t\r\nMCP-Name: écho \r\nX-Last:\r\n"
      "Content-Length: 3\r\n" +
          std::string(added));
}

TEST(RequestHead, DropsTheFieldsOfTheConnectionAndThoseItNames) {
  EXPECT_EQ(
      forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n"
                "x-hop: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: close\r\n"
                "Proxy-Authorization: Basic eA==\r\nX-End: 2\r\n\r\n"),
      "GET / HTTP/1.1\r\nHost: a\r\nX-End: 2\r\n" + std::string(added));
}

TEST(RequestHead, ConnectionCannotNameAwayTheHostOrTheFraming) {
  EXPECT_EQ(
      forwarded(
          "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 3\r\n\r\n"),
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + std::string(added));
}

TEST(RequestHead, AppendsTheClientToEarlierForwardersAndReplacesTheRest) {
  EXPECT_EQ(
      forwarded(
          "GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\n"
          "x-forwarded-for: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Port: 1\r\nX-Amzn-Trace-Id: Root=1-5-6\r\n\r\n"),
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
      "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n"
      "X-Amzn-Trace-Id: Self=1-67891233-abcdef012345678912345678;Root=1-5-6\r\n\r\n");
}

TEST(RequestHead, WritesTheFramingOnce) {
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nContent-Length: 3\r\nHost: a\r\nContent-Length: 3\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + std::string(added));
  EXPECT_EQ(forwarded("POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\nHost: a\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + std::string(added));
}

TEST(RequestHead, AnAbsoluteTargetBecomesPathAndHost) {
  EXPECT_EQ(forwarded("GET http://real.example:81/a?b HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /a?b HTTP/1.1\r\nHost: real.example:81\r\n" + std::string(added));
  EXPECT_EQ(forwarded("GET https://real.example HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: real.example\r\n" + std::string(added));
}

TEST(RequestHead, AnHttp10RequestWithoutHostGetsOne) {
  EXPECT_EQ(forwarded("GET / HTTP/1.0\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: localhost\r\n" + std::string(added));
}

struct Answered {
  std::string_view raw;
  AnswerChanges changes;
  std::string_view expected;  ///< empty: passes unchanged
};

TEST(AnswerHead, ChangesOnlyWhatBelongsToTheConnection) {
  const std::vector<Answered> cases{
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", {}, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMcp-Session-Id: x\r\n\r\n", {}, ""},
      {"HTTP/1.1 200 Fine\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 1\r\n\r\n",
       {},
       "HTTP/1.1 200 Fine\r\nContent-Length: 1\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nContent-Length: 1\r\n\r\n",
       {},
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: b\r\nContent-Length: 1\r\n\r\n",
       {},
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: b\r\n\r\n"},
      {"HTTP/1.1 204\r\nA: b\r\n\r\n",
       {.keep_alive = false, .http10_client = false},
       "HTTP/1.1 204 \r\nA: b\r\nConnection: close\r\n\r\n"},
      {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", {}, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       {.keep_alive = false, .http10_client = true},
       "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
  };
  for (const Answered& one : cases) {
    SCOPED_TRACE(one.raw);
    http1::HeadView head;
    ASSERT_EQ(http1::parse_response(one.raw, {}, false, head), http1::HeadStatus::complete);
    EXPECT_EQ(passes_unchanged(one.raw, head, one.changes), one.expected.empty());
    if (one.expected.empty()) continue;
    std::string out;
    append_answer_head(out, one.raw, head, one.changes);
    EXPECT_EQ(out, one.expected);
  }
}

TEST(ErrorAnswer, IsJsonWithADateAndTellsWhenTheConnectionEnds) {
  EXPECT_EQ(error_answer(400, "No \"Host\".", WallTime(std::chrono::seconds(784111777)), false, false),
            "HTTP/1.1 400 Bad Request\r\nServer: berth\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/json\r\nContent-Length: 49\r\nConnection: close\r\n\r\n"
            "{\"error\":\"bad_request\",\"message\":\"No \\\"Host\\\".\"}\n");
}

}  // namespace
}  // namespace berth::network
