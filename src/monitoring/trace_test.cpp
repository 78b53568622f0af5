#include "monitoring/trace.h"

#include <gtest/gtest.h>

#include "base/testing/sim_clock.h"
#include "codec/json.h"
#include "monitoring/otlp.h"

namespace berth::monitoring {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr TraceId trace{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736};

struct Traces : ::testing::Test {
  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  Tracer none{0, clock};
  Tracer all{1, clock};
};

TEST_F(Traces, ReadTheContextOfACallerByW3c) {
  EXPECT_EQ(parse_traceparent(parent), (TraceContext{trace, 0x00f067aa0ba902b7, true}));
  EXPECT_EQ(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")->sampled, false);
  EXPECT_TRUE(parse_traceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
  for (const std::string_view bad : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                                     "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                     "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                     "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
                                     "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
                                     "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
}

TEST_F(Traces, ReadTheContextOfALoadBalancer) {
  EXPECT_EQ(parse_amzn_trace_id("Root=1-5759e988-bd862e3fe1be46a994272793"),
            (TraceContext{{0x5759e988bd862e3f, 0xe1be46a994272793}, 0, std::nullopt}));
  EXPECT_EQ(parse_amzn_trace_id(
                "Self=1-1-2; Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
            (TraceContext{{0x5759e988bd862e3f, 0xe1be46a994272793}, 0x53995c3f42cd8ad8, true}));
  EXPECT_FALSE(parse_amzn_trace_id("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?")->sampled);
  for (const std::string_view bad :
       {"", ";", "=", "Root=", "Root=1-2-3", "Parent=53995c3f42cd8ad8",
        "Root=2-5759e988-bd862e3fe1be46a994272793", "Root=1-5759e988-bd862e3fe1be46a99427279x"}) {
    EXPECT_FALSE(parse_amzn_trace_id(bad)) << bad;
  }
}

TEST_F(Traces, WritesWhatItReads) {
  EXPECT_EQ(to_traceparent(trace, 0x00f067aa0ba902b7, true), parent);
  EXPECT_EQ(to_string(trace), "4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST_F(Traces, ACallerThatHasDecidedIsFollowed) {
  EXPECT_EQ(none.begin(parent, {}).sampled, true);
  EXPECT_EQ(all.begin("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", {}).sampled, false);
  EXPECT_EQ(all.begin(parent, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0").trace, trace);
  EXPECT_EQ(all.begin("nonsense", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0").sampled, false);
}

TEST_F(Traces, WithoutOneTheIdIsNewBeginsWithTheTimeAndDecides) {
  const TraceContext first = all.begin({}, {});
  EXPECT_EQ(first.trace.high >> 32, static_cast<std::uint64_t>(to_unix_ms(clock.wall()) / 1000));
  EXPECT_EQ(first.sampled, true);
  EXPECT_EQ(first.span, 0u);
  EXPECT_NE(all.begin({}, {}).trace, first.trace);
  EXPECT_EQ(none.begin({}, {}).sampled, false);
  Tracer tenth(0.1, clock);
  Tracer sister(0.1, clock);
  int sampled = 0;
  for (int i = 0; i < 10'000; ++i) {
    TraceContext context = tenth.begin({}, {});
    sampled += *context.sampled ? 1 : 0;
    const auto here = context.sampled;
    context.sampled.reset();
    EXPECT_EQ(sister.decided(context).sampled, here) << "every task decides alike";
  }
  EXPECT_NEAR(sampled, 1000, 150);
}

TEST_F(Traces, AFullQueueDropsAndCounts) {
  for (std::size_t i = 0; i < Tracer::spans_max + 3; ++i) {
    OpenSpan span(all, Span::Kind::internal, {trace, 1, true});
  }
  EXPECT_EQ(all.waiting(), Tracer::spans_max);
  EXPECT_EQ(all.added(), Tracer::spans_max);
  EXPECT_EQ(all.dropped(), 3u);
  EXPECT_EQ(all.take(1000).size(), 1000u);
  EXPECT_EQ(all.take(10'000).size(), Tracer::spans_max - 1000);
  EXPECT_TRUE(all.take(1).empty());
}

TEST_F(Traces, ARequestThatIsNotSampledLeavesNothing) {
  {
    RequestTrace request(none, none.begin({}, {}));
    request.describe("tools/call", "echo");
    EXPECT_FALSE(request.sampled());
    EXPECT_EQ(request.span(), nullptr);
  }
  {
    RequestTrace request(all, all.begin({}, {}));
    request.adopt("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
    EXPECT_FALSE(request.sampled()) << "the message says no";
  }
  EXPECT_EQ(none.waiting() + all.waiting(), 0u);
}

TEST_F(Traces, TheMessagesOwnTraceGoesBeforeTheHeaders) {
  {
    RequestTrace request(none, none.begin({}, "Root=1-5759e988-bd862e3fe1be46a994272793"));
    request.adopt("nonsense");
    EXPECT_FALSE(request.sampled());
    request.adopt(parent);
    EXPECT_TRUE(request.sampled());
    EXPECT_EQ(request.id(), trace);
  }
  {
    RequestTrace request(all, all.begin({}, "Root=1-5759e988-bd862e3fe1be46a994272793"));
    request.adopt(parent);
  }
  for (Tracer* tracer : {&none, &all}) {
    const auto spans = tracer->take(10);
    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0].trace, trace);
    EXPECT_EQ(spans[0].parent, 0x00f067aa0ba902b7u);
  }
}

TEST_F(Traces, AreWrittenAsOtlpJson) {
  const std::int64_t began = clock.wall().time_since_epoch().count();
  std::string id;
  {
    RequestTrace request(all, all.begin(parent, {}));
    request.describe("tools/call", "echo \"x\"");
    request.span()->add("http.response.status_code", std::int64_t{503});
    request.span()->add("berth.forwarded", false);
    request.span()->fail("It did\nnot work.");
    id = span_id_text(request.span()->context().span);
    EXPECT_EQ(request.span()->traceparent(), "00-" + to_string(trace) + "-" + id + "-01");
    clock.advance(250ms);
  }
  const auto spans = all.take(10);
  const std::string text = encode_otlp({{"service.name", "demo"}, {"cloud.region", ""}}, "1.0", spans);
  EXPECT_EQ(
      text,
      R"({"resourceSpans":[{"resource":{"attributes":[)"
      R"({"key":"service.name","value":{"stringValue":"demo"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"berth","version":"1.0"},"spans":[{"traceId":)"
      R"("4bf92f3577b34da6a3ce929d0e0e4736","spanId":")" +
          id +
          R"(","parentSpanId":"00f067aa0ba902b7","name":"tools/call echo \"x\"","kind":2,)"
          R"("startTimeUnixNano":")" +
          std::to_string(began) + R"(","endTimeUnixNano":")" + std::to_string(began + 250'000'000) +
          R"(","attributes":[{"key":"mcp.method.name","value":{"stringValue":"tools/call"}},)"
          R"({"key":"gen_ai.tool.name","value":{"stringValue":"echo \"x\""}},)"
          R"({"key":"http.response.status_code","value":{"intValue":"503"}},)"
          R"({"key":"berth.forwarded","value":{"boolValue":false}}],)"
          R"("status":{"code":2,"message":"It did\nnot work."}}]}]}]})");
}

TEST_F(Traces, HoldWhatIsNoUtf8AndWhatIsLong) {
  {
    OpenSpan span(all, Span::Kind::client, {trace, 1, true});
    span.name("\xff");
    span.add("long", std::string(100'000, 'x'));
  }
  const std::string text = encode_otlp({}, "1", all.take(1));
  EXPECT_TRUE(json::parse(text));
  EXPECT_LT(text.size(), 3000u);
}

}  // namespace
}  // namespace berth::monitoring
