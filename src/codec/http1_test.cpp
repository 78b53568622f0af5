#include "codec/http1.h"

#include <gtest/gtest.h>

#include <random>

namespace berth::http1 {
namespace {

constexpr HeadLimits small_limits{256, 4, 32};

std::string describe(HeadStatus status, const HeadView& head) {
  switch (status) {
    case HeadStatus::incomplete: return "incomplete";
    case HeadStatus::bad: return "bad";
    case HeadStatus::too_large: return "too large";
    case HeadStatus::target_too_long: return "target too long";
    case HeadStatus::bad_version: return "bad version";
    case HeadStatus::not_implemented: return "not implemented";
    case HeadStatus::complete: break;
  }
  std::string text = head.method.empty() ? std::to_string(head.status) + " " + std::string(head.reason)
                                         : std::string(head.method) + " " + std::string(head.target);
  text += " 1." + std::to_string(head.minor_version);
  for (const auto& field : head.fields)
    text += " [" + std::string(field.name) + "=" + std::string(field.value) + "]";
  const std::string_view framings[] = {"none", "length", "chunked", "until_close"};
  text += " ";
  text += framings[static_cast<std::size_t>(head.framing)];
  if (head.framing == Framing::length) text += " " + std::to_string(head.content_length);
  text += head.keep_alive ? " keep" : " close";
  if (head.expects_continue) text += " expects";
  return text + " @" + std::to_string(head.bytes);
}

std::string request(std::string_view bytes, const HeadLimits& limits = {}) {
  HeadView head;
  const HeadStatus status = parse_request(bytes, limits, head);
  return describe(status, head);
}

std::string response(std::string_view bytes, bool to_head_request = false) {
  HeadView head;
  const HeadStatus status = parse_response(bytes, {}, to_head_request, head);
  return describe(status, head);
}

struct Case {
  std::string_view wire;
  std::string_view parsed;
};

const Case requests[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a] none keep @27"},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a] none keep @29"},
    {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0 none close @18"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 [Connection=Keep-Alive] none keep @42"},
    {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a] none keep @27"},
    {"POST /x?y HTTP/1.1\r\nHost:a\r\nContent-Length:\t12 \r\n\r\nbody",
     "POST /x?y 1.1 [Host=a] [Content-Length=12] length 12 keep @51"},
    {"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
     "POST / 1.1 [host=a] [transfer-encoding=Chunked] [Expect=100-Continue] chunked keep expects @78"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: te, CLOSE\r\n\r\n",
     "GET / 1.1 [Host=a] [Connection=te, CLOSE] none close @50"},
    {"GET http://a:1/b HTTP/1.1\r\nHost: a:1\r\n\r\n", "GET http://a:1/b 1.1 [Host=a:1] none keep @40"},
    {"OPTIONS * HTTP/1.1\r\nHost: \r\n\r\n", "OPTIONS * 1.1 [Host=] none keep @30"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \t caf\xC3\xA9 au lait \t\r\nY:\r\n\r\n",
     "GET / 1.1 [Host=a] [X=caf\xC3\xA9 au lait] [Y=] none keep @53"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
     "POST / 1.1 [Host=a] [Content-Length=3] length 3 keep @66"},
};

TEST(RequestHead, ReadsWhatTheWireSays) {
  for (const auto& [wire, parsed] : requests) EXPECT_EQ(request(wire), parsed) << wire;
}

// RFC 9112 §6.3 and §11.2: every shape that two readers could take apart differently.
const Case refused[] = {
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "not implemented"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "not implemented"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", "not implemented"},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\nHost: a\n\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\n\n", "bad"},
    {std::string_view("POST / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 35), "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "bad"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX\xC3: 1\r\n\r\n", "bad"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "bad"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad"},
    {"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", "bad"},
    {"GET / HTTP/1.1\r\n\r\n", "bad"},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "bad"},
    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET /\r\n\r\n", "bad"},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET / HTTP/11\r\nHost: a\r\n\r\n", "bad"},
    {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET http://?x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET https://user@a/x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET http://a,b/x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET HTTP://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad"},
    {"\x16\x03\x01\x02", "bad"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad version"},
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "bad version"},
};

TEST(RequestHead, RefusesWhatCouldBeReadInTwoWays) {
  for (const auto& [wire, parsed] : refused) {
    HeadView head;
    std::string problem;
    EXPECT_EQ(describe(parse_request(wire, {}, head, &problem), head), parsed) << wire;
    EXPECT_TRUE(problem.ends_with('.')) << wire << problem;
  }
}

TEST(RequestHead, HoldsEveryLimitExactly) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  const auto padded = [&](std::size_t size) {
    return start + "X: " + std::string(size - start.size() - 7, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(padded(256).size(), 256u);
  EXPECT_TRUE(request(padded(256), small_limits).ends_with("@256"));
  EXPECT_EQ(request(padded(257), small_limits), "too large");
  EXPECT_EQ(request(padded(257).substr(0, 255), small_limits), "incomplete");
  EXPECT_EQ(request(padded(257).substr(0, 256), small_limits), "too large");
  EXPECT_TRUE(request(start + "B: 1\r\nC: 1\r\nD: 1\r\n\r\n", small_limits).ends_with("keep @45"));
  EXPECT_EQ(request(start + "B: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n", small_limits), "too large");
  const std::string rest = " HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_TRUE(request("GET /" + std::string(31, 'x') + rest, small_limits).starts_with("GET /x"));
  EXPECT_EQ(request("GET /" + std::string(32, 'x') + rest, small_limits), "target too long");
}

TEST(ResponseHead, ReadsStatusAndFraming) {
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
            "200 OK 1.1 [Content-Length=3] length 3 keep @38");
  EXPECT_EQ(response("HTTP/1.1 200\r\n\r\n"), "200  1.1 until_close close @16");
  EXPECT_EQ(response("HTTP/1.1 404 Not Found\r\n\r\n"), "404 Not Found 1.1 until_close close @26");
  EXPECT_EQ(response("HTTP/1.1 204 No Content\r\n\r\n"), "204 No Content 1.1 none keep @27");
  EXPECT_EQ(response("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n"),
            "304 X 1.1 [Content-Length=9] none keep @37");
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true),
            "200 OK 1.1 [Content-Length=9] none keep @38");
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"),
            "200 OK 1.0 [Content-Length=1] length 1 close @38");
  EXPECT_EQ(response("HTTP/1.1 20 OK\r\n\r\n"), "bad");
  EXPECT_EQ(response("HTTP/1.1 099 X\r\n\r\n"), "bad");
  EXPECT_EQ(response("HTTP/2 200\r\n\r\n"), "bad");
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), "bad");
}

void expect_same_in_every_split(std::string_view wire, const HeadLimits& limits) {
  const std::string whole = request(wire, limits);
  HeadView head;
  for (std::size_t size = 0; size < wire.size(); ++size) {
    const std::string part = describe(parse_request(wire.substr(0, size), limits, head), head);
    // A part says "more", or already all that the whole says.
    if (part != "incomplete") EXPECT_EQ(part, whole) << wire << " split at " << size;
  }
}

TEST(RequestHead, ParsesTheSameHoweverItIsSplit) {
  for (const auto& [wire, parsed] : requests) expect_same_in_every_split(wire, {});
  for (const auto& [wire, parsed] : refused) expect_same_in_every_split(wire, small_limits);
}

TEST(RequestHead, MutatedHeadsParseTheSameHoweverTheyAreSplit) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  constexpr std::string_view spice = "\r\n\t :,aA0\x7f\x80/;=";
  for (int round = 0; round < 2000; ++round) {
    std::string wire(requests[below(std::size(requests))].wire);
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(wire.size());
      if (below(2) == 0)
        wire[at] = spice[below(spice.size())];
      else
        wire.insert(at, 1, spice[below(spice.size())]);
    }
    expect_same_in_every_split(wire, small_limits);
  }
}

std::string dechunk(std::string_view coded, std::size_t step) {
  ChunkedDecoder decoder;
  std::string out;
  std::size_t at = 0;
  while (at < coded.size() && !decoder.done()) {
    const auto used = decoder.feed(coded.substr(at, step), out);
    if (!used) return "refused";
    at += *used;
  }
  return out + (decoder.done() ? " +" + std::to_string(coded.size() - at) : " ...");
}

TEST(ChunkedBody, DecodesAndRefusesTheSameInEveryFragmentation) {
  const Case cases[] = {
      {"0\r\n\r\n", " +0"},
      {"5\r\nhello\r\n0\r\n\r\nGET", "hello +3"},
      {"5\r\nhello\r\n00006\r\n world\r\n000\r\n\r\n", "hello world +0"},
      {"a;x=1;y=\"z\"\r\n0123456789\r\n0;last\r\nTrailer: 1\r\nOther: 2\r\n\r\n", "0123456789 +0"},
      {"1\r\n\n\r\n0\r\n\r\n", "\n +0"},
      {"5\r\nhel", "hel ..."},
      {"5\nhello\r\n0\r\n\r\n", "refused"},
      {"5\r\nhelloo\r\n0\r\n\r\n", "refused"},
      {"5\r\nhello\n0\r\n\r\n", "refused"},
      {"5\r\nhello\r0\r\n\r\n", "refused"},
      {"5 \r\nhello\r\n0\r\n\r\n", "refused"},
      {" 5\r\nhello\r\n0\r\n\r\n", "refused"},
      {"0x5\r\nhello\r\n0\r\n\r\n", "refused"},
      {"-5\r\nhello\r\n0\r\n\r\n", "refused"},
      {"\r\n\r\n", "refused"},
      {"g\r\n", "refused"},
      {"ffffffffffffffff\r\n", "refused"},
      {"00000000000000005\r\nhello\r\n0\r\n\r\n", "refused"},
      {"5;x\ny\r\nhello\r\n0\r\n\r\n", "refused"},
      {"0\r\nX: 1\n\r\n", "refused"},
  };
  for (const auto& [wire, decoded] : cases) {
    for (std::size_t step = 1; step <= wire.size(); ++step)
      EXPECT_EQ(dechunk(wire, step), decoded) << wire << step;
  }
}

TEST(Date, IsWrittenAsHttpWantsIt) {
  EXPECT_EQ(to_date(WallTime(std::chrono::milliseconds(1795305600123))), "Sun, 22 Nov 2026 00:00:00 GMT");
}

TEST(ChunkedBody, TakesTrailersThatAreFieldsAlone) {
  EXPECT_EQ(dechunk("0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n", 1000), " +0");
  for (const std::string_view trailer : {" folded", "\tfolded", "no colon", ": no name", "X : 1", "X: \x01",
                                         "X: 1\rY: 2", "X\xC3: 1", "GET / HTTP/1.1"}) {
    EXPECT_EQ(dechunk("0\r\nA: 1\r\n" + std::string(trailer) + "\r\n\r\n", 1000), "refused") << trailer;
  }
}

TEST(ChunkedBody, BoundsExtensionsAndTrailers) {
  EXPECT_EQ(dechunk("1;" + std::string(20'000, 'x'), 1000), "refused");
  std::string trailers = "0\r\n";
  for (int i = 0; i < 2000; ++i) trailers += "Trailer: x\r\n";
  EXPECT_EQ(dechunk(trailers, 1000), "refused");
}

TEST(ChunkedBody, SkippingConsumesExactlyTheBody) {
  ChunkedDecoder decoder;
  const std::string coded = "5\r\nhello\r\n0\r\n\r\n";
  EXPECT_EQ(decoder.skip(coded + "rest").value(), coded.size());
  EXPECT_TRUE(decoder.done());
}

TEST(ChunkHead, IsTheSizeInHexadecimal) {
  std::string out;
  append_chunk_head(out, 1);
  append_chunk_head(out, 26);
  append_chunk_head(out, 65536);
  EXPECT_EQ(out, "1\r\n1a\r\n10000\r\n");
}

}  // namespace
}  // namespace berth::http1
