#include <gtest/gtest.h>

#include <algorithm>

#include "codec/json.h"
#include "mcp/message.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using mcp::Outcome;
using testing::error_code;
using testing::Fleet;
using testing::summary;

TEST(ModernEdge, DiscoversTheServer) {
  Fleet fleet;
  const auto sent = fleet.modern("server/discover");
  EXPECT_EQ(summary(sent), "200 result");
  EXPECT_EQ(sent->header("Content-Type"), "application/json");
  EXPECT_NE(sent->body().find(R"("supportedVersions":["2026-07-28"])"), std::string::npos);
  EXPECT_NE(sent->body().find(R"("io.modelcontextprotocol/serverInfo":{"name":"fake","version":"1"})"),
            std::string::npos);
  fleet.host().describe_error = Error(ErrorCode::unavailable, "The command 'npx' was not found.");
  const auto failed = fleet.modern("server/discover");
  EXPECT_EQ(summary(failed), "503 -32603");
  EXPECT_EQ(failed->header("Retry-After"), "1");
  EXPECT_NE(failed->body().find("'npx' was not found"), std::string::npos);
}

TEST(ModernEdge, AnswersACallThatEndsAtOnceAsPlainJson) {
  Fleet fleet;
  fleet.host().handlers["tools/call"] = [](testing::FakeHost::Started& call) {
    call.end(Outcome::success(R"({"content":[]})"));
  };
  const auto sent =
      fleet.modern_with("tools/call", R"({"name":"echo","arguments":{"a":1}})",
                        R"("claudecode/toolUseId":"t","progressToken":"p","traceparent":"00-1")");
  EXPECT_EQ(sent->body(),
            R"({"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[],)"
            R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"fake","version":"1"}}}})");
  const auto& call = fleet.host().last();
  EXPECT_EQ(call.params, R"({"name":"echo","arguments":{"a":1},)"
                         R"("_meta":{"claudecode/toolUseId":"t","traceparent":"00-1"}})");
  EXPECT_TRUE(call.wants_progress);
  EXPECT_EQ(call.caller.principal, "alice");
  EXPECT_EQ(call.trace_parent, "00-1");
}

TEST(ModernEdge, StreamsFromTheFirstNotificationOn) {
  Fleet fleet;
  const auto sent = fleet.modern_with("tools/call", R"({"name":"slow"})",
                                      R"("progressToken":"p","io.modelcontextprotocol/logLevel":"warning")");
  EXPECT_EQ(summary(sent), "unanswered");
  auto& call = fleet.host().last();
  EXPECT_EQ(call.log_level, mcp::LoggingLevel::warning);
  call.notify("notifications/message", R"({"level":"info","data":"quiet"})");
  fleet.run();
  EXPECT_EQ(summary(sent), "unanswered");
  call.notify("notifications/progress", R"({"progress":1})");
  call.notify("notifications/progress", R"({"progress":1})");
  call.notify("notifications/progress", R"({"progress":2,"total":3})");
  call.notify("notifications/message", R"({"level":"error","data":"loud"})");
  fleet.run();
  EXPECT_EQ(summary(sent), "200 sse");
  EXPECT_EQ(sent->header("X-Accel-Buffering"), "no");
  call.end(Outcome::success("{}"));
  fleet.run();
  EXPECT_TRUE(sent->is_finished());
  const std::vector<std::string> events = sent->events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(
      events[0],
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}})");
  EXPECT_NE(events[1].find(R"("progress":2)"), std::string::npos);
  EXPECT_NE(events[2].find("loud"), std::string::npos);
  EXPECT_NE(events[3].find(R"("resultType":"complete")"), std::string::npos);
}

TEST(ModernEdge, PassesOnNothingThatWasNotAskedFor) {
  Fleet fleet;
  const auto sent = fleet.modern("tools/call", R"({"name":"slow"})");
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.host().last().notify("notifications/message", R"({"level":"emergency","data":1})");
  fleet.run();
  EXPECT_EQ(summary(sent), "unanswered");
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(sent), "200 result");
}

TEST(ModernEdge, KeepsASilentCallAlive) {
  Fleet fleet;
  const auto sent = fleet.modern("tools/call", R"({"name":"slow"})");
  fleet.clock.advance(9s);
  EXPECT_EQ(summary(sent), "unanswered");
  fleet.clock.advance(4s);
  EXPECT_EQ(summary(sent), "200 sse");
  EXPECT_EQ(sent->body(), ": keep-alive\n\n");
  fleet.clock.advance(60s);
  EXPECT_GE(sent->body().size(), 4 * std::string(": keep-alive\n\n").size());
  fleet.host().last().end(Outcome::failure(-32000, "broken"));
  fleet.run();
  EXPECT_EQ(error_code(sent->events().back()), -32000);
  EXPECT_TRUE(sent->is_finished());
}

TEST(ModernEdge, CancelsWhenTheClientLeaves) {
  Fleet fleet;
  const auto silent = fleet.modern("tools/call", R"({"name":"slow"})");
  silent->disconnect();
  fleet.run();
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_TRUE(silent->is_served());
  const auto streamed = fleet.modern_with("tools/call", R"({"name":"slow"})", R"("progressToken":1)");
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.run();
  streamed->disconnect();
  fleet.run();
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_FALSE(streamed->is_finished());
}

TEST(ModernEdge, LetsTheResultOutliveAFloodOfProgress) {
  Fleet fleet;
  fleet.limits.stream_buffer_bytes_max = 100;
  const auto sent = fleet.modern_with("tools/call", R"({"name":"slow"})", R"("progressToken":1)");
  auto& call = fleet.host().last();
  for (int i = 0; i < 20; ++i)
    call.notify("notifications/progress", "{\"progress\":" + std::to_string(i) + "}");
  fleet.run();
  EXPECT_FALSE(call.cancelled);
  EXPECT_LT(sent->events().size(), 10u);
  call.end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  EXPECT_TRUE(sent->is_finished());
  EXPECT_NE(sent->events().back().find("result"), std::string::npos);
}

TEST(ModernEdge, MapsErrorsToStatuses) {
  const std::tuple<int, std::string_view, std::string_view> table[] = {
      {-32601, "", "200 -32601"},
      {-32602, "", "200 -32602"},
      {-32603, "", "200 -32603"},
      {-32021, R"({"requiredCapabilities":{}})", "400 -32021"},
      {-32002, "", "200 -32602"},
      {-32000, "", "200 -32000"},
      {-32000, R"({"retryAfter":7})", "429 -32000"},
  };
  for (const auto& [code, data, expectation] : table) {
    Fleet fleet;
    const auto sent = fleet.modern("resources/read", R"({"uri":"a:b"})");
    fleet.host().last().end(Outcome::failure(code, "m", std::string(data)));
    fleet.run();
    EXPECT_EQ(summary(sent), expectation);
    if (sent->status() == 429) EXPECT_EQ(sent->header("Retry-After"), "7");
  }
}

TEST(ModernEdge, Answers404OnlyForMethodsNobodyKnows) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"tools/call", "200 -32601"}, {"prompts/list", "200 -32601"}, {"vendor/unheard-of", "404 -32601"}};
  for (const auto& [method, expectation] : table) {
    Fleet fleet;
    const auto sent = fleet.modern(method, R"({"name":"none"})");
    fleet.host().last().end(Outcome::failure(-32601, "Unknown tool: none"));
    fleet.run();
    EXPECT_EQ(summary(sent), expectation) << method;
  }
}

TEST(ModernEdge, SaysThatAMissingResourceIsMissing) {
  Fleet fleet;
  const auto sent = fleet.modern("resources/read", R"({"uri":"a:b"})");
  fleet.host().last().end(Outcome::success(R"({"contents":[]})"));
  fleet.run();
  EXPECT_EQ(summary(sent), "200 -32602");
  EXPECT_NE(sent->body().find(R"("data":{"uri":"a:b"})"), std::string::npos);
}

TEST(ModernEdge, RefusesBadInputPrecisely) {
  const std::string body = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";
  const std::string modern_batch = R"([{"jsonrpc":"2.0","id":1,"method":"x",)"
                                   R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"1"}}}])";
  struct Row {
    std::string method;
    Fleet::Fields fields;
    std::string body;
    std::string_view expectation;
  };
  const std::pair<std::string, std::string> json = {"Content-Type", "application/json"};
  const std::pair<std::string, std::string> both = {"Accept", "application/json, text/event-stream"};
  const Row table[] = {
      {"POST", {both}, body, "415 -32000"},
      {"POST", {{"Content-Type", "text/plain"}, both}, body, "415 -32000"},
      {"POST", {json, {"Accept", "application/json"}}, body, "200 result"},
      {"POST", {json, {"Accept", "text/event-stream"}}, body, "200 sse"},
      {"POST", {json, {"Accept", "text/event-stream"}}, "{", "400 -32700"},
      {"POST", {json, {"Accept", "text/html"}}, body, "406 -32000"},
      {"POST", {json, {"Accept", "*/*"}}, body, "200 result"},
      {"POST", {json, {"Accept", "application/json"}, {"Accept", "text/event-stream"}}, body, "200 result"},
      {"POST", {json, both, {"Content-Encoding", "gzip"}}, body, "415 -32000"},
      {"POST", {json}, body, "200 result"},
      {"POST", {json, both}, "{", "400 -32700"},
      {"POST", {json, both}, "", "400 -32700"},
      {"POST", {json, both}, std::string(200, '['), "400 -32700"},
      {"POST", {json, both}, "1", "400 -32600"},
      {"POST", {json, both}, "{}", "400 -32600"},
      {"POST", {json, both}, R"({"jsonrpc":"2.0","id":null,"method":"ping"})", "400 -32600"},
      {"POST", {json, both}, "[]", "400 -32600"},
      {"POST", {json, both}, modern_batch, "400 -32600"},
      {"POST", {json, both}, "\"" + std::string(5000, 'x') + "\"", "413 -32600"},
      {"POST", {json, both, {"MCP-Protocol-Version", "2026-07-28"}}, body, "400 -32602"},
      {"POST", {json, both, {"MCP-Protocol-Version", "1999-01-01"}}, body, "400 -32000"},
      {"GET", {both}, "", "405 -32000"},
      {"DELETE", {}, "", "405 -32000"},
      {"PUT", {json}, body, "405 -32000"},
  };
  Fleet fleet;
  fleet.limits.body_bytes_max = 4000;
  for (const Row& row : table) {
    const auto sent = fleet.send(row.method, row.fields, row.body);
    EXPECT_EQ(summary(sent), row.expectation) << row.method << " " << row.body.substr(0, 80);
    if (sent->status() == 405) EXPECT_NE(sent->header("Allow"), "");
  }
  EXPECT_TRUE(fleet.host().started.empty());
  EXPECT_EQ(summary(fleet.modern("ping")), "404 -32601");
  EXPECT_EQ(summary(fleet.modern("initialize")), "404 -32601");
}

TEST(ModernEdge, AcceptsNotifications) {
  Fleet fleet;
  const Fleet::Fields fields = {{"Content-Type", "application/json"}, {"MCP-Protocol-Version", "2026-07-28"}};
  EXPECT_EQ(summary(fleet.send("POST", fields, R"({"jsonrpc":"2.0","method":"notifications/x"})")),
            "202 empty");
  const Fleet::Fields wrong = {{"Content-Type", "application/json"},
                               {"MCP-Protocol-Version", "2026-07-28"},
                               {"Mcp-Method", "notifications/y"}};
  EXPECT_EQ(summary(fleet.send("POST", wrong, R"({"jsonrpc":"2.0","method":"notifications/x"})")),
            "400 -32020");
}

TEST(ModernEdge, HandsOnNotificationsThatAreNoneOfMcpsOwn) {
  Fleet fleet;
  for (const std::string method : {"notifications/cancelled", "vendor/saved"}) {
    const auto sent =
        fleet.send("POST", {{"Content-Type", "application/json"}, {"MCP-Protocol-Version", "2026-07-28"}},
                   R"({"jsonrpc":"2.0","method":")" + method + R"(","params":{"x":1}})");
    EXPECT_EQ(summary(sent), "202 empty");
  }
  EXPECT_EQ(fleet.host().notified, std::vector<std::string>{"vendor/saved"});
}

TEST(ModernEdge, ComparesMirroredArgumentsWithTheirHeaders) {
  Fleet fleet;
  int lists = 0;
  fleet.host().handlers["tools/list"] = [&](testing::FakeHost::Started& call) {
    ++lists;
    call.end(Outcome::success(
        R"({"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string",)"
        R"("x-mcp-header":"Region"}}}}]})"));
  };
  const auto refused = fleet.modern("tools/call", R"({"name":"t","arguments":{"region":"eu"}})");
  EXPECT_EQ(summary(refused), "400 -32020");
  const auto accepted = fleet.modern("tools/call", R"({"name":"t","arguments":{}})");
  EXPECT_EQ(summary(accepted), "unanswered");
  EXPECT_EQ(lists, 1);
  fleet.bus().publish("fake", {mcp::Change::Kind::tools_list, {}, {}});
  fleet.modern("tools/call", R"({"name":"t","arguments":{}})");
  EXPECT_EQ(lists, 2);
}

TEST(ModernEdge, AClientThatAcceptsJsonAloneGetsTheAnswerAlone) {
  Fleet fleet;
  const std::string call = R"({"jsonrpc":"2.0","id":7,"method":"tools/call",)"
                           R"("params":{"name":"slow","_meta":{"progressToken":"p"}}})";
  const auto sent =
      fleet.send("POST", {{"Content-Type", "application/json"}, {"Accept", "application/json"}}, call);
  auto& started = fleet.host().last();
  started.notify("notifications/progress", R"({"progress":1})");
  fleet.clock.advance(20s);
  EXPECT_EQ(summary(sent), "unanswered");
  started.end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  EXPECT_EQ(summary(sent), "200 result");
  EXPECT_EQ(sent->header("Content-Type"), "application/json");
  EXPECT_EQ(sent->body(), R"({"jsonrpc":"2.0","id":7,"result":{"content":[]}})");
}

TEST(ModernEdge, AClientThatAcceptsEventsAloneGetsAnEvent) {
  Fleet fleet;
  const auto sent =
      fleet.send("POST", {{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}},
                 R"({"jsonrpc":"2.0","id":7,"method":"ping"})");
  EXPECT_TRUE(sent->is_finished());
  EXPECT_EQ(sent->header("Content-Type"), "text/event-stream");
  EXPECT_EQ(sent->events(), (std::vector<std::string>{R"({"jsonrpc":"2.0","id":7,"result":{}})"}));
}

TEST(ModernEdge, CallsThatComeAtOnceAskForTheToolsOnce) {
  Fleet fleet;
  fleet.host().handlers.erase("tools/list");
  std::vector<Fleet::Sent> sent;
  for (int i = 0; i < 50; ++i) sent.push_back(fleet.modern("tools/call", R"({"name":"t","arguments":{}})"));
  const auto count = [&](std::string_view method) {
    return std::ranges::count(fleet.host().started, method, [](const auto& call) { return call->method; });
  };
  EXPECT_EQ(count("tools/list"), 1);
  EXPECT_EQ(count("tools/call"), 0);
  const auto other = fleet.modern("tools/call", R"({"name":"t","arguments":{}})", {.principal = "bob"});
  EXPECT_EQ(count("tools/list"), 2) << "what one may see is no answer for another";
  fleet.host().started.front()->end(Outcome::success(R"({"tools":[]})"));
  fleet.run();
  EXPECT_EQ(count("tools/list"), 2);
  EXPECT_EQ(count("tools/call"), 50);
}

TEST(ModernEdge, DoesNotLetASlowToolListHoldUpACallForLong) {
  Fleet fleet;
  fleet.host().handlers.erase("tools/list");
  const auto sent = fleet.modern("tools/call", R"({"name":"t","arguments":{"region":"eu"}})");
  EXPECT_EQ(fleet.host().last().method, "tools/list");
  fleet.clock.advance(5s);
  EXPECT_EQ(fleet.host().last().method, "tools/call");
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(sent), "200 result");
}

// --- questions to the user

constexpr std::string_view form_only = R"({"elicitation":{}})";

Outcome question(bool owned) {
  mcp::InputRequired input;
  input.requests.push_back({"name", "elicitation/create", R"({"message":"Who?"})"});
  input.state = "parked-7";
  input.owned = owned;
  return Outcome::ask(std::move(input));
}

std::string state_of(const Fleet::Sent& sent) {
  return json::parse(sent->body())->find("result").find("requestState").as_string().value_or("");
}

std::string retry_params(std::string_view state, std::string_view name = "ask") {
  return R"({"name":")" + std::string(name) +
         R"(","inputResponses":{"name":{"action":"accept"}},"requestState":")" + std::string(state) + "\"}";
}

TEST(ModernEdge, AsksWithASealedStateAndGoesOnWithTheAnswer) {
  Fleet fleet;
  const auto asked = fleet.modern_with("tools/call", R"({"name":"ask"})", "", form_only);
  fleet.host().last().end(question(true));
  fleet.run();
  EXPECT_EQ(summary(asked), "200 result");
  EXPECT_NE(asked->body().find(R"("resultType":"input_required")"), std::string::npos);
  EXPECT_NE(asked->body().find(R"("name":{"method":"elicitation/create","params":{"message":"Who?"}})"),
            std::string::npos);
  EXPECT_EQ(asked->body().find("parked-7"), std::string::npos);
  fleet.modern_with("tools/call", retry_params(state_of(asked)), "", form_only);
  EXPECT_EQ(fleet.host().last().request_state, "parked-7");
  EXPECT_EQ(fleet.host().last().input_responses, R"({"name":{"action":"accept"}})");
  EXPECT_EQ(fleet.host().last().params, R"({"name":"ask"})");
}

TEST(ModernEdge, FindsTheOwnerOfAParkedCallFromAnyTask) {
  Fleet fleet(2);
  const auto asked = fleet.modern_with("tools/call", R"({"name":"ask"})", "", form_only);
  fleet.host().last().end(question(true));
  fleet.run();
  const auto retried =
      fleet.modern_with("tools/call", retry_params(state_of(asked)), "", form_only, {.task = 1});
  EXPECT_EQ(fleet.peers.forwarded, 1u);
  EXPECT_EQ(fleet.host().last().request_state, "parked-7");
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(retried), "200 result");
}

TEST(ModernEdge, TellsALostOwnerOfAParkedCallFromASlowOneAndFromNone) {
  Fleet fleet(2);
  const auto asked = fleet.modern_with("tools/call", R"({"name":"ask"})", "", form_only);
  fleet.host().last().end(question(true));
  fleet.run();
  const auto ends = [&](Forwarded::End end) {
    fleet.peers.fails_with = Forwarded{end, "Lost."};
    return fleet.modern_with("tools/call", retry_params(state_of(asked)), "", form_only, {.task = 1});
  };
  EXPECT_EQ(summary(ends(Forwarded::End::not_delivered)), "200 -32602");
  EXPECT_EQ(summary(ends(Forwarded::End::slow)), "503 -32000");
  const auto unknown = ends(Forwarded::End::unknown);
  EXPECT_EQ(summary(unknown), "502 -32603");
  EXPECT_EQ(json::parse(unknown->body())->find("error").find("message").as_string(),
            "The call may have run; its end is unknown. The task that ran it was lost before it answered.");
}

TEST(ModernEdge, LetsAnyTaskGoOnWithAStateThatNobodyOwns) {
  Fleet fleet(2);
  const auto asked = fleet.modern_with("tools/call", R"({"name":"ask"})", "", form_only);
  fleet.host().last().end(question(false));
  fleet.run();
  fleet.modern_with("tools/call", retry_params(state_of(asked)), "", form_only, {.task = 1});
  EXPECT_EQ(fleet.peers.forwarded, 0u);
  EXPECT_EQ(fleet.nodes[1]->host.last().request_state, "parked-7");
}

TEST(ModernEdge, AStateThatCannotBeGoneOnWithIsRefusedInTheSameBytesWhateverIsWrong) {
  Fleet fleet(2);
  const auto asked = fleet.modern_with("tools/call", R"({"name":"ask"})", "", form_only);
  fleet.host().last().end(question(true));
  fleet.run();
  const std::string state = state_of(asked);
  const auto refusal = [&](std::string_view params, const Fleet::To& to) {
    const auto sent = fleet.modern_with("tools/call", params, "", form_only, to);
    return summary(sent) + " " + sent->body();
  };
  const std::string tampered = refusal(retry_params(state + "-TAMPERED"), {});
  EXPECT_EQ(
      tampered,
      R"(200 -32602 {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: this )"
      "request cannot go on with its requestState, or no longer. If the state was sent before, the call "
      R"(may have run; else call again without it."}})");
  EXPECT_EQ(refusal(retry_params(state), {.principal = "bob"}), tampered);
  EXPECT_EQ(refusal(retry_params(state, "other"), {}), tampered);
  fleet.host().handlers["tools/call"] = [](auto& call) {
    call.end(Outcome::failure(mcp::undeliverable_answer()));
  };
  EXPECT_EQ(refusal(retry_params(state), {}), tampered) << "answered before";
  EXPECT_EQ(refusal(retry_params(state), {.task = 1}), tampered) << "the same through another task";
  fleet.restart(0);
  EXPECT_EQ(refusal(retry_params(state), {.task = 1}), tampered) << "its task has gone";
  fleet.clock.advance(601s);
  EXPECT_EQ(refusal(retry_params(state), {}), tampered) << "it has expired";
}

TEST(ModernEdge, NeverAsksForWhatTheRequestDidNotDeclare) {
  Fleet fleet;
  const auto sent = fleet.modern("tools/call", R"({"name":"ask"})");
  fleet.host().last().end(question(false));
  fleet.run();
  EXPECT_EQ(summary(sent), "400 -32021");
  EXPECT_NE(sent->body().find(R"("data":{"requiredCapabilities":{"elicitation":{}}})"), std::string::npos);
  const auto listed = fleet.modern_with("prompts/list", "{}", "", form_only);
  fleet.host().last().end(question(false));
  fleet.run();
  EXPECT_EQ(summary(listed), "200 -32603");
}

// --- subscriptions/listen

TEST(Listen, AcknowledgesThenSendsWhatWasAskedForUntilTheDrain) {
  Fleet fleet;
  const auto sent = fleet.modern("subscriptions/listen",
                                 R"({"notifications":{"toolsListChanged":true,"resourcesListChanged":true,)"
                                 R"("resourceSubscriptions":["a:1"]}})");
  EXPECT_EQ(summary(sent), "200 sse");
  ASSERT_EQ(sent->events().size(), 1u);
  EXPECT_EQ(sent->events()[0],
            R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{)"
            R"("_meta":{"io.modelcontextprotocol/subscriptionId":1},)"
            R"("notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1"]}}})");
  EXPECT_EQ(fleet.host().watched.count("a:1"), 1u);
  using Kind = mcp::Change::Kind;
  fleet.bus().publish("fake", {Kind::prompts_list, {}, {}});
  fleet.bus().publish("fake", {Kind::tools_list, {}, "bob"});
  fleet.bus().publish("other", {Kind::tools_list, {}, {}});
  fleet.bus().publish("fake", {Kind::tools_list, {}, {}});
  fleet.bus().publish("fake", {Kind::tools_list, {}, {}});
  fleet.bus().publish("fake", {Kind::resource_updated, "a:1", "alice"});
  fleet.bus().publish("fake", {Kind::resource_updated, "a:2", {}});
  fleet.run();
  ASSERT_EQ(sent->events().size(), 3u);
  EXPECT_NE(sent->events()[1].find("notifications/tools/list_changed"), std::string::npos);
  EXPECT_NE(sent->events()[2].find(R"("uri":"a:1")"), std::string::npos);
  fleet.clock.advance(31s);
  EXPECT_NE(sent->body().find(": keep-alive"), std::string::npos);
  const auto drained = fleet.drain(10s);
  EXPECT_EQ(sent->events().back(), R"({"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",)"
                                   R"("_meta":{"io.modelcontextprotocol/subscriptionId":1}}})");
  EXPECT_TRUE(sent->is_finished());
  EXPECT_EQ(*drained, 0u);
  EXPECT_TRUE(fleet.host().watched.empty());
  EXPECT_EQ(summary(fleet.modern("subscriptions/listen", R"({"notifications":{}})")), "503 -32000");
}

TEST(Listen, IsRefusedWithoutAFilterAndAboveTheLimit) {
  Fleet fleet;
  fleet.limits.listen_streams_max = 1;
  EXPECT_EQ(summary(fleet.modern("subscriptions/listen")), "400 -32602");
  const auto first = fleet.modern("subscriptions/listen", R"({"notifications":{"toolsListChanged":true}})");
  const auto second = fleet.modern("subscriptions/listen", R"({"notifications":{"toolsListChanged":true}})");
  EXPECT_EQ(summary(second), "503 -32000");
  EXPECT_EQ(second->header("Retry-After"), "1");
  first->disconnect();
  fleet.run();
  EXPECT_TRUE(first->is_served());
  EXPECT_EQ(summary(fleet.modern("subscriptions/listen", R"({"notifications":{}})")), "200 sse");
}

TEST(Listen, CountsTowardsTheLimitWhileTheServerIsStillAsked) {
  Fleet fleet;
  fleet.limits.listen_streams_max = 1;
  Signal described(fleet.loop.get_executor());
  fleet.host().before_describe = [&]() -> Task<void> { co_await described.wait(); };
  const std::string_view filter = R"({"notifications":{"toolsListChanged":true}})";
  const auto first = fleet.modern("subscriptions/listen", filter);
  fleet.host().before_describe = nullptr;
  EXPECT_EQ(summary(fleet.modern("subscriptions/listen", filter)), "503 -32000");
  described.notify();
  fleet.run();
  EXPECT_EQ(summary(first), "200 sse");
}

TEST(Drain, LetsCallsFinishAndCutsTheRestAtTheDeadline) {
  Fleet fleet;
  const auto first = fleet.modern("tools/call", R"({"name":"one"})");
  auto& one = fleet.host().last();
  const auto second = fleet.modern("tools/call", R"({"name":"two"})");
  const auto drained = fleet.drain(5s);
  one.end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(first), "200 result");
  EXPECT_FALSE(drained->has_value());
  fleet.clock.advance(5s);
  EXPECT_EQ(summary(second), "200 -32603");
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_EQ(*drained, 1u);
}

}  // namespace
}  // namespace berth::task
