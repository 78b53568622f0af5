#include "deploy/traces.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aws/testing/fake_client.h"
#include "base/testing/sim_clock.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::string_view trace_id = "58406520a006649127e371903a2de979";

/// A record of aws/spans.
std::string record(std::string_view service, std::string_view trace, std::string_view id,
                   std::string_view parent, double start_s, double duration_s,
                   std::string_view status = "{}") {
  return fmt::format(R"({{"resource":{{"attributes":{{"service.name":"{}"}}}},"traceId":"{}","spanId":"{}",
    "parentSpanId":"{}","name":"span {}","startTimeUnixNano":{},"durationNano":{},"status":{},
    "attributes":{{"gen_ai.tool.name":"echo","n":3}}}})",
                     service, trace, id, parent, id, static_cast<std::int64_t>(start_s * 1e9),
                     static_cast<std::int64_t>(duration_s * 1e9), status);
}

http::Response answer(const json::object& body) { return http::json_response(200, json::serialize(body)); }

class Traces : public ::testing::Test {
 protected:
  void in_logs(bool yes) {
    client.answer_rest("xray", "GetTraceSegmentDestination",
                       answer({{"Destination", yes ? "CloudWatchLogs" : "XRay"}, {"Status", "ACTIVE"}}));
  }
  void logged(const std::vector<std::string>& records) {
    json::array events;
    for (const std::string& text : records) events.push_back(json::object{{"message", text}});
    client.answer("logs", "FilterLogEvents", json::serialize(json::object{{"events", events}}));
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    TaskScope scope(clock.executor());
    scope.spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> { out = co_await std::move(inner); }(
                                                             std::move(task), result));
    clock.run_until_idle();
    return std::move(result).value();
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  aws::testing::FakeClient client;
  TraceQuery query{.service = "files", .since_ms = 1000, .count = 20, .failed_only = false};
};

TEST_F(Traces, AreGatheredFromSpansInTheLogs) {
  in_logs(true);
  logged({record("files", "aa", "1", "", 100, 0.5), record("other", "bb", "2", "", 100, 1),
          record("files", "cc", "3", "", 200, 0.1, R"({"code":"ERROR","message":"broke"})"),
          record("files", "aa", "4", "1", 100.1, 0.2), "not json"});
  auto task = read_traces(client, clock, query);
  const auto traces = run(std::move(task));
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 2u);
  EXPECT_EQ(traces->at(0).id, "cc") << "the newest first";
  EXPECT_TRUE(traces->at(0).failed());
  EXPECT_EQ(traces->at(0).spans.at(0).error, "broke");
  EXPECT_EQ(traces->at(1).spans.size(), 2u);
  EXPECT_EQ(traces->at(1).name(), "span 1");
  EXPECT_NEAR(traces->at(1).duration_s(), 0.5, 1e-6);
}

TEST_F(Traces, ThatFailedCanBeAskedForAlone) {
  in_logs(true);
  logged(
      {record("files", "aa", "1", "", 100, 0.5), record("files", "cc", "3", "", 200, 0.1, R"({"code":2})")});
  query.failed_only = true;
  auto task = read_traces(client, clock, query);
  const auto traces = run(std::move(task));
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 1u);
  EXPECT_EQ(traces->front().id, "cc");
}

TEST_F(Traces, AreAnEmptyListBeforeTheFirstSpan) {
  in_logs(true);
  client.fail("logs", "FilterLogEvents", "ResourceNotFoundException", "no such group");
  auto task = read_traces(client, clock, query);
  const auto traces = run(std::move(task));
  ASSERT_TRUE(traces);
  EXPECT_TRUE(traces->empty());
}

TEST_F(Traces, ComeFromXRayWhereTheAccountHasNoTransactionSearch) {
  in_logs(false);
  client.answer_rest(
      "xray", "GetTraceSummaries",
      answer({{"TraceSummaries",
               json::array{json::object{{"Id", "1-58406520-a006649127e371903a2de979"}, {"StartTime", 5}}}}}));
  const std::string document =
      R"({"id":"1","name":"files","start_time":10.0,"end_time":10.5,"subsegments":[
          {"id":"2","name":"tools/call","start_time":10.1,"end_time":10.3,"fault":true,
           "cause":{"exceptions":[{"message":"boom"}]},"annotations":{"tool":"echo"}}]})";
  client.answer_rest(
      "xray", "BatchGetTraces",
      answer(
          {{"Traces", json::array{json::object{
                          {"Id", "1-58406520-a006649127e371903a2de979"},
                          {"Segments", json::array{json::object{{"Id", "1"}, {"Document", document}}}}}}}}));
  auto task = read_traces(client, clock, query);
  const auto traces = run(std::move(task));
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 1u);
  EXPECT_EQ(traces->front().id, trace_id);
  EXPECT_EQ(traces->front().spans.at(1).parent, "1");
  EXPECT_EQ(traces->front().spans.at(1).error, "boom");
  EXPECT_NE(client.calls().at(1).rest.body.find(R"(service(\"files\"))"), std::string::npos);
}

TEST_F(Traces, AreFoundByTheBeginningOfTheirId) {
  in_logs(true);
  logged({record("files", "aa11", "1", "", 100, 0.5), record("files", "bb22", "2", "", 100, 0.5)});
  auto task = read_trace(client, clock, query, "bb");
  const auto found = run(std::move(task));
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->id, "bb22");
  auto other = read_trace(client, clock, query, "cc");
  const auto none = run(std::move(other));
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
}

Span span(std::string id, std::string parent, double start_s, double duration_s) {
  Span made;
  made.id = std::move(id);
  made.parent = std::move(parent);
  made.name = "span " + made.id;
  made.start_s = start_s;
  made.duration_s = duration_s;
  return made;
}

TEST(Waterfall, ShowsWhereTheTimeWent) {
  Trace trace{.id = "a",
              .spans = {span("c", "a", 100.5, 0.25), span("a", "", 100, 1), span("b", "a", 100, 0.5)}};
  trace.spans[0].failed = true;
  trace.spans[0].error = "the server is gone";
  EXPECT_EQ(waterfall(trace, 44),
            "    span a       1.0 s  ████████████████████\n"
            "      span b    500 ms  ██████████\n"
            "  ✗   span c    250 ms            █████\n"
            "      the server is gone\n");
}

TEST(Waterfall, ShowsSpansWhoseParentIsMissingAndEndsInCircles) {
  const Trace orphans{.id = "a", .spans = {span("b", "gone", 1, 1)}};
  EXPECT_NE(waterfall(orphans, 60).find("span b"), std::string::npos);
  const Trace circle{.id = "a", .spans = {span("a", "b", 1, 1), span("b", "a", 1, 0)}};
  EXPECT_NE(waterfall(circle, 60).find("span b"), std::string::npos);
  EXPECT_EQ(waterfall(Trace{}, 60), "");
}

}  // namespace
}  // namespace berth::deploy
