#include <gtest/gtest.h>

#include "codec/json.h"
#include "task/edge/event_stream.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using mcp::Outcome;
using testing::error_code;
using testing::event_ids;
using testing::Fleet;
using testing::summary;

constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":9,"method":"ping"})";
constexpr std::string_view call_tool =
    R"({"jsonrpc":"2.0","id":"c1","method":"tools/call","params":{"name":"t","_meta":{"progressToken":5}}})";

std::string answer_to(std::string_view question, std::string_view members) {
  return R"({"jsonrpc":"2.0","id":)" + std::string(json::parse(question)->find("id").text()) + "," +
         std::string(members) + "}";
}

Outcome question(bool owned = true) {
  mcp::InputRequired input;
  input.requests.push_back({"name", "elicitation/create", R"({"message":"Who?","requestedSchema":{}})"});
  input.state = "parked-7";
  input.owned = owned;
  return Outcome::ask(std::move(input));
}

TEST(LegacyEdge, InitializesASession) {
  Fleet fleet;
  fleet.host().description.instructions = "Be kind.";
  const auto sent = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
      R"("capabilities":{"roots":{}},"clientInfo":{"name":"c"}}})",
      "");
  EXPECT_EQ(sent->body(),
            R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":)" +
                fleet.host().description.capabilities +
                R"(,"serverInfo":{"name":"fake","version":"1"},"instructions":"Be kind."}})");
  const std::string session = sent->header("Mcp-Session-Id");
  ASSERT_FALSE(session.empty());
  for (const char c : session) EXPECT_TRUE(c >= 0x21 && c <= 0x7E);
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","method":"notifications/initialized"})", session)),
            "202 empty");
  EXPECT_EQ(fleet.legacy(ping, session)->body(), R"({"jsonrpc":"2.0","id":9,"result":{}})");
}

TEST(LegacyEdge, RefusesToInitializeWhatItCannotServe) {
  Fleet fleet;
  fleet.limits.sessions_max = 1;
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":0,"method":"initialize"})", "")), "200 -32602");
  fleet.host().describe_error = Error(ErrorCode::resource_exhausted, "Too many children.");
  const auto crowded = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})", "");
  EXPECT_EQ(summary(crowded), "429 -32000");
  EXPECT_EQ(crowded->header("Retry-After"), "1");
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
  fleet.host().describe_error.reset();
  fleet.legacy(call_tool, fleet.initialize());
  const auto full = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})", "");
  EXPECT_EQ(summary(full), "503 -32000");
  EXPECT_EQ(full->header("Retry-After"), "1");
}

TEST(LegacyEdge, GivesTheOldestUnusedSessionUpForANewOne) {
  Fleet fleet;
  fleet.limits.sessions_max = 3;
  const std::string busy = fleet.initialize();
  fleet.legacy(call_tool, busy);
  const std::string first = fleet.initialize();
  fleet.clock.advance(1s);
  const std::string second = fleet.initialize();
  fleet.clock.advance(1s);
  EXPECT_EQ(summary(fleet.legacy(ping, first)), "200 result");
  const std::string third = fleet.initialize();
  EXPECT_FALSE(third.empty());
  EXPECT_EQ(summary(fleet.legacy(ping, second)), "404 -32001");
  for (const std::string& kept : {busy, first, third}) {
    EXPECT_EQ(summary(fleet.legacy(ping, kept)), "200 result");
  }
}

TEST(LegacyEdge, TakesRoomFromThePrincipalThatHoldsTheMost) {
  Fleet fleet;
  fleet.limits.sessions_max = 4;
  const std::string alice = fleet.initialize();
  std::vector<std::string> bobs;
  for (int i = 0; i < 3; ++i) {
    fleet.clock.advance(1s);
    bobs.push_back(fleet.initialize("{}", "2025-11-25", {.principal = "bob"}));
    fleet.get(bobs.back(), {}, {.principal = "bob"});
  }
  // Bob's are listened to, and alice's is older.
  const std::string another = fleet.initialize();
  EXPECT_FALSE(another.empty());
  EXPECT_EQ(summary(fleet.legacy(ping, alice)), "200 result");
  EXPECT_EQ(summary(fleet.legacy(ping, bobs[0], {.principal = "bob"})), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, bobs[1], {.principal = "bob"})), "200 result");
}

TEST(LegacyEdge, CountsSessionsThatAreStillBeingMade) {
  Fleet fleet;
  fleet.limits.sessions_max = 1;
  Signal described(fleet.loop.get_executor());
  fleet.host().before_describe = [&]() -> Task<void> { co_await described.wait(); };
  const std::string body =
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})";
  const auto first = fleet.legacy(body, "");
  EXPECT_EQ(summary(fleet.legacy(body, "")), "503 -32000");
  fleet.host().before_describe = nullptr;
  described.notify();
  fleet.run();
}

TEST(LegacyEdge, BoundsWhatASessionKeeps) {
  Fleet fleet;
  fleet.host().description.capabilities = R"({"resources":{"subscribe":true}})";
  const std::string large(20'000, 'x');
  const auto refused = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
      R"("capabilities":{"experimental":{")" +
          large + R"(":{}}}}})",
      "");
  EXPECT_EQ(summary(refused), "200 -32602");
  const auto told = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
      R"("clientInfo":{"name":"n","version":")" +
          large + R"("}}})",
      "");
  const std::string session = told->header("Mcp-Session-Id");
  fleet.legacy(call_tool, session);
  EXPECT_EQ(fleet.host().last().caller.client_info,
            R"({"name":"n","version":")" + std::string(256, 'x') + R"("})");
  const auto subscribe = [&](const std::string& uri) {
    return summary(fleet.legacy(
        R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":")" + uri + R"("}})",
        session));
  };
  EXPECT_EQ(subscribe("x:" + large), "200 -32602");
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(subscribe(std::string(8000, 'u') + std::to_string(10 + i)), "200 result");
  EXPECT_EQ(subscribe(std::string(8000, 'v')), "200 -32000");
  EXPECT_EQ(subscribe(std::string(8000, 'u') + "10"), "200 result");
  EXPECT_EQ(fleet.host().watched.size(), 32u);
}

TEST(LegacyEdge, AnswersACallAsJsonAndLeavesThePoolsKeyInTheCaller) {
  Fleet fleet;
  const std::string session = fleet.initialize(R"({"sampling":{}})");
  const auto sent = fleet.legacy(call_tool, session);
  auto& call = fleet.host().last();
  EXPECT_EQ(call.caller.capabilities, R"({"sampling":{}})");
  EXPECT_EQ(call.caller.era, mcp::Era::legacy);
  EXPECT_FALSE(call.caller.session.empty());
  EXPECT_EQ(call.params, R"({"name":"t"})");
  call.end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  EXPECT_EQ(sent->body(), R"({"jsonrpc":"2.0","id":"c1","result":{"content":[]}})");
  EXPECT_EQ(sent->header("Content-Type"), "application/json");
}

TEST(LegacyEdge, StreamsWithEventIdsAndAPrimingEvent) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto sent = fleet.legacy(call_tool, session);
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.run();
  EXPECT_EQ(summary(sent), "200 sse");
  const auto ids = event_ids(sent);
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_TRUE(sent->body().starts_with(
      "id: " + ids[0] + "\nretry: 1000\ndata: \n\nevent: message\nid: " + ids[1] + "\ndata: "));
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  ASSERT_EQ(sent->events().size(), 2u);
  EXPECT_EQ(
      sent->events()[0],
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}})");
  EXPECT_EQ(sent->events()[1], R"({"jsonrpc":"2.0","id":"c1","result":{}})");
  EXPECT_TRUE(sent->is_finished());
  const std::string older = fleet.initialize("{}", "2025-06-18");
  const auto unprimed = fleet.legacy(call_tool, older);
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.run();
  ASSERT_EQ(event_ids(unprimed).size(), 1u);
  EXPECT_TRUE(unprimed->body().starts_with("event: message\nid: " + event_ids(unprimed)[0] + "\n"));
}

TEST(LegacyEdge, SendsLogsFromTheSessionsLevelOn) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  fleet.legacy(call_tool, session);
  EXPECT_EQ(fleet.host().last().log_level, mcp::LoggingLevel::info);
  const std::string set =
      R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}})";
  EXPECT_EQ(summary(fleet.legacy(set, session)), "200 result");
  fleet.legacy(call_tool, session);
  EXPECT_EQ(fleet.host().last().log_level, mcp::LoggingLevel::error);
  const std::string bad = R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"loud"}})";
  EXPECT_EQ(summary(fleet.legacy(bad, session)), "200 -32602");
}

TEST(LegacyEdge, ServesClientsThatSendNoSession) {
  Fleet fleet;
  const auto sent = fleet.legacy(call_tool, "");
  EXPECT_TRUE(fleet.host().last().caller.session.empty());
  EXPECT_EQ(fleet.host().last().caller.protocol_version, "2025-03-26");
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.host().last().end(question());
  fleet.run();
  EXPECT_EQ(sent->body().find("id: "), std::string::npos);
  EXPECT_NE(sent->events().back().find(R"("isError":true)"), std::string::npos);
  EXPECT_EQ(summary(fleet.legacy(ping, "")), "200 result");
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","method":"notifications/initialized"})", "")),
            "202 empty");
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe"})", "")),
            "200 -32600");
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"server/discover"})", "")),
            "200 -32601");
  const auto left = fleet.legacy(call_tool, "");
  left->disconnect();
  fleet.run();
  EXPECT_TRUE(fleet.host().last().cancelled);
}

TEST(LegacyEdge, RefusesSessionsItDoesNotKnow) {
  Fleet fleet(2);
  const std::string session = fleet.initialize();
  EXPECT_EQ(summary(fleet.legacy(ping, "nonsense")), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.principal = "bob"})), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "200 result");
  fleet.restart(0);
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "404 -32001");
  EXPECT_EQ(summary(fleet.get(session)), "404 -32001");
}

TEST(LegacyEdge, ForwardsToTheTaskThatOwnsTheSession) {
  Fleet fleet(2);
  const std::string session = fleet.initialize();
  const auto sent = fleet.legacy(call_tool, session, {.task = 1});
  EXPECT_EQ(fleet.peers.forwarded, 1u);
  EXPECT_TRUE(fleet.nodes[1]->host.started.empty());
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(sent), "200 result");
  EXPECT_EQ(summary(fleet.get(session, {}, {.task = 1})), "200 sse");
  fleet.peers.lives.clear();
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "404 -32001");
}

TEST(LegacyEdge, TellsALostOwnerFromASlowOneAndFromNone) {
  const auto ends = [](Forwarded::End end) {
    Fleet fleet(2);
    const std::string session = fleet.initialize();
    fleet.peers.fails_with = Forwarded{end, "Lost."};
    return fleet.legacy(call_tool, session, {.task = 1});
  };
  EXPECT_EQ(summary(ends(Forwarded::End::not_delivered)), "404 -32001");
  EXPECT_EQ(summary(ends(Forwarded::End::another_life)), "404 -32001");
  const auto slow = ends(Forwarded::End::slow);
  EXPECT_EQ(summary(slow), "503 -32000");
  EXPECT_EQ(slow->header("Retry-After"), "1");
  const auto unknown = ends(Forwarded::End::unknown);
  EXPECT_EQ(summary(unknown), "502 -32603");
  EXPECT_EQ(json::parse(unknown->body())->find("error").find("message").as_string(),
            "The call may have run; its end is unknown. The task that ran it was lost before it answered.");
}

TEST(LegacyEdge, ToleratesAnyVersionItKnowsInTheHeader) {
  Fleet fleet;
  const std::string session = fleet.initialize("{}", "2025-06-18");
  const auto with = [&](std::string version) {
    const Fleet::Fields fields = {{"Content-Type", "application/json"},
                                  {"Accept", "*/*"},
                                  {"Mcp-Session-Id", session},
                                  {"MCP-Protocol-Version", std::move(version)}};
    return summary(fleet.send("POST", fields, std::string(ping)));
  };
  EXPECT_EQ(with("2025-11-25"), "200 result");
  EXPECT_EQ(with("2024-11-05"), "200 result");
  EXPECT_EQ(with("2024-01-01"), "400 -32000");
}

TEST(LegacyEdge, AsksTheClientAndGoesOnWithItsAnswer) {
  Fleet fleet(2);
  const std::string session = fleet.initialize(R"({"elicitation":{}})");
  const auto sent = fleet.legacy(call_tool, session);
  fleet.host().last().end(question());
  fleet.run();
  ASSERT_EQ(sent->events().size(), 1u);
  const std::string asked = sent->events()[0];
  EXPECT_NE(asked.find(R"("method":"elicitation/create","params":{"message":"Who?","requestedSchema":{}})"),
            std::string::npos);
  const std::string body = answer_to(asked, R"("result":{"action":"accept","content":{"name":"Ann"}})");
  EXPECT_EQ(summary(fleet.legacy(body, session, {.task = 1})), "202 empty");
  EXPECT_EQ(fleet.peers.forwarded, 1u);
  auto& again = fleet.host().last();
  EXPECT_EQ(again.request_state, "parked-7");
  EXPECT_EQ(again.input_responses, R"({"name":{"action":"accept","content":{"name":"Ann"}}})");
  EXPECT_EQ(again.params, R"({"name":"t"})");
  EXPECT_EQ(fleet.host().started.size(), 2u);
  EXPECT_EQ(summary(fleet.legacy(body, session)), "202 empty");
  again.end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(sent->events().back(), R"({"jsonrpc":"2.0","id":"c1","result":{}})");
  EXPECT_TRUE(sent->is_finished());
}

TEST(LegacyEdge, HandsAnErrorOfTheClientToTheServerThatWaits) {
  Fleet fleet;
  const std::string session = fleet.initialize(R"({"elicitation":{},"sampling":{}})");
  const auto owned = fleet.legacy(call_tool, session);
  fleet.host().last().end(question());
  fleet.run();
  fleet.legacy(answer_to(owned->events()[0], R"("error":{"code":-1,"message":"no"})"), session);
  EXPECT_EQ(fleet.host().last().input_responses, R"({"name":{"error":{"code":-1,"message":"no"}}})");
  const auto modern = fleet.legacy(call_tool, session);
  fleet.host().last().end(question(false));
  fleet.run();
  fleet.legacy(answer_to(modern->events()[0], R"("error":{"code":-1,"message":"no"})"), session);
  EXPECT_EQ(fleet.host().last().input_responses, R"({"name":{"action":"cancel"}})");
  const auto sampled = fleet.legacy(call_tool, session);
  mcp::InputRequired input;
  input.requests.push_back({"s", "sampling/createMessage", "{}"});
  fleet.host().last().end(Outcome::ask(std::move(input)));
  fleet.run();
  fleet.legacy(answer_to(sampled->events()[0], R"("error":{"code":-1,"message":"too costly"})"), session);
  EXPECT_NE(sampled->events().back().find("too costly"), std::string::npos);
  EXPECT_EQ(error_code(sampled->events().back()), -32603);
}

TEST(LegacyEdge, RefusesResponsesNobodyWaitsFor) {
  Fleet fleet;
  const std::string session = fleet.initialize(R"({"elicitation":{}})");
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":3,"result":{}})", session)), "400 -32600");
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":"x","result":{}})", session)), "400 -32600");
  const auto sent = fleet.legacy(call_tool, session);
  fleet.host().last().end(question());
  fleet.run();
  const std::string body = answer_to(sent->events()[0], R"("result":{})");
  EXPECT_EQ(summary(fleet.legacy(body, session, {.principal = "bob"})), "400 -32600");
  EXPECT_EQ(fleet.host().started.size(), 1u);
}

TEST(LegacyEdge, GivesUpOnAClientThatDoesNotAnswer) {
  Fleet fleet;
  const std::string session = fleet.initialize(R"({"elicitation":{}})");
  const auto sent = fleet.legacy(call_tool, session);
  fleet.host().last().end(question());
  fleet.clock.advance(603s);
  EXPECT_EQ(error_code(sent->events().back()), -32603);
  EXPECT_TRUE(sent->is_finished());
}

TEST(LegacyEdge, DoesNotAskWhatTheClientCannotDo) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto tool = fleet.legacy(call_tool, session);
  fleet.host().last().end(question());
  fleet.run();
  EXPECT_EQ(summary(tool), "200 result");
  EXPECT_NE(tool->body().find("did not declare the capability"), std::string::npos);
  EXPECT_NE(tool->body().find(R"("isError":true)"), std::string::npos);
  const auto prompt =
      fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}})", session);
  fleet.host().last().end(question());
  fleet.run();
  EXPECT_EQ(summary(prompt), "200 -32603");
}

TEST(LegacyEdge, EndsACallThatAsksForever) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  fleet.host().handlers["tools/call"] = [](testing::FakeHost::Started& call) {
    mcp::InputRequired input;
    input.state = "again";
    call.end(Outcome::ask(std::move(input)));
  };
  const auto sent = fleet.legacy(call_tool, session);
  fleet.clock.advance(1s);
  EXPECT_EQ(summary(sent), "200 -32603");
  EXPECT_EQ(fleet.host().started.size(), 11u);
}

TEST(LegacyEdge, CancelsOnTheClientsWordAndSaysNothingMore) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto sent = fleet.legacy(call_tool, session);
  fleet.legacy(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c1",)"
               R"("reason":"changed \u006dy mind"}})",
               session);
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_EQ(fleet.host().last().cancel_reason, "changed my mind");
  EXPECT_TRUE(sent->is_finished());
  EXPECT_EQ(sent->events().size(), 0u);
  fleet.legacy(R"({"jsonrpc":"2.0","method":"notifications/roots/list_changed"})", session);
  EXPECT_EQ(fleet.host().notified,
            (std::vector<std::string>{"notifications/roots/list_changed of a session"}));
}

TEST(LegacyEdge, HandsOnNotificationsThatAreNoneOfMcpsOwn) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  for (const std::string method : {"notifications/initialized", "notifications/progress", "vendor/saved",
                                   "notifications/tasks/status", "notifications/vendor/opened"}) {
    EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","method":")" + method + R"(","params":{}})", session)),
              "202 empty");
  }
  EXPECT_EQ(fleet.host().notified, (std::vector<std::string>{"vendor/saved of a session",
                                                             "notifications/vendor/opened of a session"}));
}

TEST(LegacyEdge, TellsAClientThatTheServerRefusesItsSubscription) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  fleet.host().refused_watches["a:1"] = {mcp::code::resource_not_found, "There is no a:1.", {}};
  const auto refused = fleet.legacy(
      R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:1"}})", session);
  EXPECT_EQ(refused->status(), 200);
  EXPECT_EQ(refused->body(),
            R"({"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"There is no a:1."}})");
  EXPECT_TRUE(fleet.host().watched.empty());
}

TEST(LegacyEdge, SendsWhatAServerSaysOutsideCallsToTheSessionsItIsFor) {
  Fleet fleet;
  const std::string one = fleet.initialize();
  const std::string other = fleet.initialize("{}", "2025-11-25", {.principal = "bob"});
  const auto stream = fleet.get(one);
  const auto others = fleet.get(other, "", {.principal = "bob"});
  mcp::Change change{mcp::Change::Kind::message, {}, "alice"};
  for (const std::string params : {R"({"level":"debug","data":1})", R"({"level":"info","data":2})"}) {
    change.message = {"notifications/message", params};
    fleet.bus().publish("fake", change);
  }
  change.message = {"vendor/saved", "{}"};
  fleet.bus().publish("fake", change);
  change.session = "of nobody here";
  fleet.bus().publish("fake", change);
  fleet.run();
  EXPECT_EQ(stream->events(),
            (std::vector<std::string>{
                R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":2}})",
                R"({"jsonrpc":"2.0","method":"vendor/saved","params":{}})"}));
  EXPECT_TRUE(others->events().empty());
}

TEST(LegacyEdge, ResumesABrokenStreamWhereItBroke) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto broken = fleet.legacy(call_tool, session);
  auto& call = fleet.host().last();
  call.notify("notifications/progress", R"({"progress":1})");
  fleet.run();
  broken->disconnect();
  fleet.run();
  EXPECT_FALSE(call.cancelled);
  call.notify("notifications/progress", R"({"progress":2})");
  const auto resumed = fleet.get(session, event_ids(broken).back());
  EXPECT_EQ(summary(resumed), "200 sse");
  EXPECT_TRUE(resumed->body().starts_with("id: " + event_ids(resumed).front() + "\nretry: "));
  call.end(Outcome::success("{}"));
  fleet.run();
  ASSERT_EQ(resumed->events().size(), 2u);
  EXPECT_NE(resumed->events()[0].find(R"("progress":2)"), std::string::npos);
  EXPECT_TRUE(resumed->is_finished());
  const auto later = fleet.get(session, event_ids(resumed)[1]);
  EXPECT_EQ(later->events(), (std::vector<std::string>{R"({"jsonrpc":"2.0","id":"c1","result":{}})"}));
  EXPECT_TRUE(later->is_finished());
}

TEST(LegacyEdge, AnEventIdThatIsNoneOfTheSessionsIsRefusedInTheSameBytesWhateverIsWrong) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto stream = fleet.get(session);
  const std::string id = event_ids(stream).front();
  const auto refusal = [&](std::string_view of, std::string_view last, const std::string& principal) {
    const auto sent = fleet.get(of, last, {.principal = principal});
    return summary(sent) + " " + std::string(sent->body());
  };
  const std::string tampered = refusal(session, id + "A", "alice");
  EXPECT_TRUE(tampered.starts_with("400 -32600 ")) << tampered;
  EXPECT_EQ(refusal(session, "1.1", "alice"), tampered);
  EXPECT_EQ(refusal(session, session, "alice"), tampered) << "a handle of another kind";
  EXPECT_EQ(refusal(fleet.initialize(), id, "alice"), tampered) << "another session's";
  EXPECT_EQ(refusal(fleet.initialize("{}", "2025-11-25", {.principal = "bob"}), id, "bob"), tampered);
  EXPECT_EQ(summary(fleet.get(session, id)), "200 sse");
}

TEST(LegacyEdge, KeepsABoundedNumberOfEvents) {
  Fleet fleet;
  fleet.limits.replay_events_max = 3;
  const std::string session = fleet.initialize();
  const auto broken = fleet.legacy(call_tool, session);
  auto& call = fleet.host().last();
  call.notify("notifications/progress", R"({"progress":0})");
  fleet.run();
  broken->disconnect();
  fleet.run();
  for (int i = 1; i < 10; ++i)
    call.notify("notifications/progress", "{\"progress\":" + std::to_string(i) + "}");
  call.end(Outcome::success("{}"));
  const auto resumed = fleet.get(session, event_ids(broken).back());
  EXPECT_EQ(resumed->events().size(), 3u);
  EXPECT_TRUE(resumed->is_finished());
}

TEST(LegacyEdge, LetsAnswersOutliveAFloodOfProgress) {
  Fleet fleet;
  fleet.limits.stream_buffer_bytes_max = 300;
  const std::string session = fleet.initialize();
  const auto sent = fleet.legacy(call_tool, session);
  auto& call = fleet.host().last();
  for (int i = 0; i < 50; ++i)
    call.notify("notifications/progress", "{\"progress\":" + std::to_string(i) + "}");
  call.end(Outcome::success("{}"));
  fleet.run();
  EXPECT_LT(sent->events().size(), 10u);
  EXPECT_EQ(sent->events().back(), R"({"jsonrpc":"2.0","id":"c1","result":{}})");
  EXPECT_TRUE(sent->is_finished());
}

TEST(ReplayLog, ForgetsProgressBeforeAnswers) {
  MemoryAccount memory(1u << 20);
  edge::ReplayLog log(3, 1000, memory.open("alice", MemoryAccount::Kind::session));
  log.add({1, 1, "answer", false});
  for (std::uint64_t i = 2; i < 10; ++i) log.add({2, i, "progress", true});
  EXPECT_EQ(log.after(1, 0).size(), 1u);
  EXPECT_EQ(log.after(2, 0).size(), 2u);
  for (std::uint64_t i = 10; i < 14; ++i) log.add({2, i, "answer", false});
  EXPECT_TRUE(log.after(1, 0).empty());
  EXPECT_EQ(log.after(2, 0).size(), 3u);
}

TEST(LegacyEdge, SendsChangesOnTheStandaloneStream) {
  Fleet fleet;
  using Kind = mcp::Change::Kind;
  const std::string session = fleet.initialize();
  fleet.bus().publish("fake", {Kind::tools_list, {}, {}});
  const auto stream = fleet.get(session);
  EXPECT_EQ(summary(stream), "200 sse");
  EXPECT_TRUE(stream->events().empty());
  const auto subscribe = [&](std::string_view method) {
    return summary(fleet.legacy(
        R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(method) + R"(","params":{"uri":"a:1"}})",
        session));
  };
  EXPECT_EQ(subscribe("resources/subscribe"), "200 result");
  EXPECT_EQ(subscribe("resources/subscribe"), "200 result");
  EXPECT_EQ(fleet.host().watched["a:1"], 1);
  fleet.bus().publish("fake", {Kind::tools_list, {}, {}});
  fleet.bus().publish("fake", {Kind::resource_updated, "a:1", {}});
  fleet.bus().publish("fake", {Kind::resource_updated, "a:2", {}});
  fleet.run();
  EXPECT_EQ(stream->events(),
            (std::vector<std::string>{
                R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})",
                R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}})"}));
  fleet.clock.advance(20s);
  EXPECT_NE(stream->body().find(": keep-alive"), std::string::npos);
  stream->disconnect();
  fleet.run();
  fleet.bus().publish("fake", {Kind::prompts_list, {}, {}});
  const auto resumed = fleet.get(session, event_ids(stream).back());
  EXPECT_EQ(resumed->events(),
            (std::vector<std::string>{R"({"jsonrpc":"2.0","method":"notifications/prompts/list_changed"})"}));
  EXPECT_EQ(subscribe("resources/unsubscribe"), "200 result");
  EXPECT_TRUE(fleet.host().watched.empty());
}

TEST(LegacyEdge, SaysAChangeOnceWhileItIsUnread) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto stream = fleet.get(session);
  const auto publish = [&](int times) {
    for (int i = 0; i < times; ++i) fleet.bus().publish("fake", {mcp::Change::Kind::tools_list, {}, {}});
  };
  publish(400);
  fleet.run();
  EXPECT_EQ(stream->events().size(), 1u);
  publish(1);
  fleet.run();
  EXPECT_EQ(stream->events().size(), 2u) << "the one before was read";
  stream->disconnect();
  fleet.run();
  publish(400);
  EXPECT_EQ(fleet.get(session, event_ids(stream).back())->events().size(), 1u);
}

TEST(LegacyEdge, LetsTheServerKnowTheLevelThatIsWanted) {
  Fleet fleet;
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}})",
               fleet.initialize());
  EXPECT_EQ(fleet.host().level, mcp::LoggingLevel::debug);
}

TEST(LegacyEdge, LetsANewStandaloneStreamReplaceTheOld) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto old = fleet.get(session);
  const auto fresh = fleet.get(session);
  EXPECT_TRUE(old->is_finished());
  fleet.bus().publish("fake", {mcp::Change::Kind::tools_list, {}, {}});
  fleet.run();
  EXPECT_EQ(old->events().size(), 0u);
  EXPECT_EQ(fresh->events().size(), 1u);
}

TEST(LegacyEdge, ACallGoesOnWithoutItsClient) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto left = fleet.legacy(call_tool, session);
  left->disconnect();
  fleet.run();
  EXPECT_FALSE(fleet.host().last().cancelled);
  EXPECT_TRUE(left->is_served());
  fleet.legacy(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c1"}})",
               session);
  EXPECT_TRUE(fleet.host().last().cancelled) << "the client can still cancel it";
}

TEST(LegacyEdge, EndsASessionOnDelete) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto stream = fleet.get(session);
  const auto running = fleet.legacy(call_tool, session);
  const Fleet::Fields fields = {{"Mcp-Session-Id", session}};
  EXPECT_EQ(summary(fleet.send("DELETE", fields, "")), "204 empty");
  EXPECT_TRUE(stream->is_finished());
  EXPECT_TRUE(running->is_finished());
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "404 -32001");
  EXPECT_EQ(summary(fleet.send("DELETE", fields, "")), "404 -32001");
}

TEST(LegacyEdge, EndsIdleSessionsButNotBusyOnes) {
  Fleet fleet;
  const std::string idle = fleet.initialize();
  const std::string used = fleet.initialize();
  const std::string open = fleet.initialize();
  const auto stream = fleet.get(open);
  for (int i = 0; i < 4; ++i) {
    fleet.clock.advance(20min);
    EXPECT_EQ(summary(fleet.legacy(ping, used)), "200 result");
  }
  EXPECT_EQ(summary(fleet.legacy(ping, idle)), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, open)), "200 result");
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
}

TEST(LegacyEdge, ServesBatchesOfTheRevisionThatHadThem) {
  Fleet fleet;
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},)"
      R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}},{"jsonrpc":"2.0","id":3,)"
      R"("method":"initialize"}])";
  const std::string session = fleet.initialize("{}", "2025-03-26");
  const auto sent = fleet.legacy(batch, session);
  EXPECT_EQ(summary(sent), "unanswered");
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  const auto answers = json::parse(sent->body());
  ASSERT_TRUE(answers && answers->is(json::Kind::array)) << sent->body();
  std::string ids;
  for (json::Elements each(*answers); each.next();) ids.append(each.value().find("id").text());
  EXPECT_EQ(ids, "132");
  EXPECT_EQ(summary(fleet.legacy(R"([{"jsonrpc":"2.0","method":"notifications/initialized"}])", session)),
            "202 empty");
  EXPECT_EQ(summary(fleet.legacy(batch, fleet.initialize("{}", "2025-06-18"))), "400 -32600");
  EXPECT_EQ(summary(fleet.legacy(R"([{"jsonrpc":"2.0","id":1,"method":"ping"},7])", session)), "400 -32600");
}

TEST(LegacyEdge, DrainsStreamsAndCuts) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  const auto stream = fleet.get(session);
  const auto quiet = fleet.legacy(call_tool, session);
  const auto loud = fleet.legacy(call_tool, session);
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  const auto drained = fleet.drain(5s);
  EXPECT_TRUE(stream->is_finished());
  EXPECT_FALSE(loud->is_finished());
  EXPECT_EQ(fleet.initialize(), "");
  fleet.clock.advance(5s);
  EXPECT_EQ(summary(quiet), "200 -32603");
  EXPECT_EQ(error_code(loud->events().back()), -32603);
  EXPECT_TRUE(loud->is_finished());
  EXPECT_EQ(*drained, 2u);
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
}

TEST(LegacyEdge, WritesMetrics) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  fleet.legacy(call_tool, session);
  monitoring::MetricsWriter writer;
  fleet.nodes[0]->endpoint->write_metrics(writer);
  EXPECT_NE(writer.text().find("berth_mcp_sessions{server=\"fake\"} 1"), std::string::npos) << writer.text();
  EXPECT_NE(writer.text().find("berth_mcp_calls{server=\"fake\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace berth::task
