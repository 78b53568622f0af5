// What clients see when a server's process or a task is lost under their calls, and what of it is run again.
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/json.h"
#include "mcp/legacy.h"
#include "mcp/message.h"
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
constexpr std::string_view list_tools = R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})";
constexpr std::string_view tools =
    R"({"tools":[{"name":"look","inputSchema":{},"annotations":{"readOnlyHint":true}},)"
    R"({"name":"put","inputSchema":{},"annotations":{"idempotentHint":true,"readOnlyHint":false}},)"
    R"({"name":"append","inputSchema":{},"annotations":{"title":"A"}},{"name":"plain","inputSchema":{}}]})";

std::string call_of(std::string_view tool) {
  return R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":")" + std::string(tool) + "\"}}";
}
std::string params_of(std::string_view tool) { return R"({"name":")" + std::string(tool) + "\"}"; }

std::string notice_of(const Fleet::Sent& sent) {
  const auto answer = json::parse(sent->body());
  return answer ? answer->find("result").find("_meta").find(mcp::notice_key).as_string().value_or("") : "";
}

/// A server of the session era in two tasks that know each other, whose calls answer at once.
struct Loss : ::testing::Test {
  Loss() {
    fleet.spec.kind = model::ServerSpec::Kind::command;
    fleet.know_sisters();
    for (const auto& node : fleet.nodes) {
      node->host.handlers["tools/call"] = [](auto& call) { call.end(Outcome::success("{}")); };
      node->host.handlers["tools/list"] = [](auto& call) { call.end(Outcome::success(std::string(tools))); };
    }
  }
  testing::FakeHost& host(std::size_t task = 0) { return fleet.nodes[task]->host; }
  /// The next call of `method` ends with its process; a new one is there then.
  void loses_the_next(const std::string& method, testing::FakeHost& of) {
    of.handlers[method] = [&of, method, before = of.handlers[method]](auto& call) {
      const auto next = before;
      testing::FakeHost& host = of;
      ++host.process;
      call.end(Outcome::lost(mcp::unknown_end("The server exited with code 1.")));
      host.handlers[std::string(method)] = next;
    };
  }
  std::size_t calls(std::size_t task = 0, std::string_view method = "tools/call") {
    return static_cast<std::size_t>(
        std::ranges::count_if(host(task).started, [&](const auto& call) { return call->method == method; }));
  }

  Fleet fleet{2};
};

// ---- A process alone

TEST_F(Loss, TheFirstResultOfASessionWhoseProcessEndedSaysSo) {
  const std::string session = fleet.initialize();
  EXPECT_EQ(notice_of(fleet.legacy(call_of("plain"), session)), "");
  host().process = 2;
  EXPECT_EQ(notice_of(fleet.legacy(list_tools, session)), "") << "nothing shows yet that it matters";
  EXPECT_EQ(notice_of(fleet.legacy(call_of("plain"), session)), mcp::lost_state_notice);
  EXPECT_EQ(notice_of(fleet.legacy(call_of("plain"), session)), "") << "once";
  EXPECT_EQ(fleet.nodes[0]->endpoint->states_lost(), 1u);
}

TEST_F(Loss, AClientThatAskedForLogsGetsAWarningBeforeIt) {
  const std::string session = fleet.initialize();
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"warning"}})",
               session);
  fleet.legacy(call_of("plain"), session);
  host().process = 2;
  const auto told = fleet.legacy(call_of("plain"), session);
  ASSERT_EQ(told->events().size(), 2u);
  EXPECT_EQ(told->events()[0], mcp::notice_message(mcp::lost_state_notice));
}

TEST_F(Loss, OfServersWithoutStateNothingIsSaid) {
  fleet.spec.state = model::State::none;
  const std::string session = fleet.initialize();
  fleet.legacy(call_of("plain"), session);
  host().process = 2;
  EXPECT_EQ(notice_of(fleet.legacy(call_of("plain"), session)), "");
}

TEST_F(Loss, ASessionThatIsNoMoreThanItsProcessEndsWithIt) {
  fleet.spec.state = model::State::process;
  const std::string session = fleet.initialize();
  const std::string other = fleet.initialize();
  fleet.legacy(call_of("plain"), session);
  host().process = 2;
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(call_of("plain"), session, {.task = 1})), "404 -32001")
      << "nobody takes it over";
  EXPECT_EQ(calls(0) + calls(1), 1u);
  EXPECT_EQ(summary(fleet.legacy(call_of("plain"), other)), "200 result") << "it had nothing there";
}

TEST_F(Loss, ACallThatWasStillToBeReadIsNotRunInAnotherProcessThen) {
  fleet.spec.state = model::State::process;
  const std::string session = fleet.initialize();
  fleet.legacy(call_of("plain"), session);
  host().handlers["tools/call"] = [this](auto& call) {
    host().process = 2;  // which did not run it
    call.end(Outcome::failure(mcp::state_lost()));
  };
  EXPECT_EQ(summary(fleet.legacy(call_of("plain"), session)), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "404 -32001");
}

TEST_F(Loss, ACallThatOnlyReadsIsRunAgainInTheNextProcess) {
  const std::string session = fleet.initialize();
  fleet.legacy(list_tools, session);
  for (const std::string_view tool : {"look", "put"}) {
    SCOPED_TRACE(tool);
    const std::size_t before = calls();
    loses_the_next("tools/call", host());
    const auto legacy = fleet.legacy(call_of(tool), session);
    fleet.clock.advance(1ms);
    EXPECT_EQ(summary(legacy), "200 result");
    EXPECT_EQ(calls(), before + 2);
    loses_the_next("tools/call", host());
    EXPECT_EQ(summary(fleet.modern("tools/call", params_of(tool))), "200 result");
    EXPECT_EQ(calls(), before + 4);
  }
}

TEST_F(Loss, TheSameForWhatReads) {
  const std::string session = fleet.initialize();
  host().handlers["resources/read"] = [](auto& call) {
    call.end(Outcome::success(R"({"contents":[{"uri":"a:1","text":""}]})"));
  };
  loses_the_next("resources/read", host());
  const auto legacy =
      fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:1"}})", session);
  fleet.clock.advance(1ms);
  EXPECT_EQ(summary(legacy), "200 result");
  loses_the_next("resources/read", host());
  EXPECT_EQ(summary(fleet.modern("resources/read", R"({"uri":"a:1"})")), "200 result");
  EXPECT_EQ(calls(0, "resources/read"), 4u);
}

TEST_F(Loss, AnyOtherCallIsLostAndSaidOnce) {
  const std::string session = fleet.initialize();
  fleet.legacy(list_tools, session);
  for (const std::string_view tool : {"append", "plain", "unlisted"}) {
    SCOPED_TRACE(tool);
    const std::size_t before = calls();
    loses_the_next("tools/call", host());
    const auto legacy = fleet.legacy(call_of(tool), session);
    EXPECT_EQ(summary(legacy), "200 -32603");
    EXPECT_NE(legacy->body().find("may have run"), std::string::npos);
    loses_the_next("tools/call", host());
    EXPECT_EQ(summary(fleet.modern("tools/call", params_of(tool))), "200 -32603");
    EXPECT_EQ(calls(), before + 2);
  }
}

TEST_F(Loss, NothingIsRunAgainTwice) {
  const std::string session = fleet.initialize();
  fleet.legacy(list_tools, session);
  host().handlers["tools/call"] = [this](auto& call) {
    ++host().process;
    call.end(Outcome::lost(mcp::unknown_end("It fell again.")));
  };
  const auto legacy = fleet.legacy(call_of("look"), session);
  fleet.clock.advance(1ms);
  EXPECT_EQ(summary(legacy), "200 -32603");
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("look"))), "200 -32603");
  EXPECT_EQ(calls(), 4u);
}

TEST_F(Loss, WhereStateCountsNothingIsRunInAnotherProcess) {
  fleet.spec.state = model::State::process;
  const std::string session = fleet.initialize();
  fleet.legacy(list_tools, session);
  loses_the_next("tools/call", host());
  EXPECT_EQ(summary(fleet.legacy(call_of("look"), session)), "200 -32603");
  EXPECT_EQ(summary(fleet.legacy(ping, session)), "404 -32001");
  loses_the_next("tools/call", host());
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("look"))), "200 -32603");
  EXPECT_EQ(calls(), 2u);
}

TEST_F(Loss, AToolThatIsListedAnewIsNewlyJudged) {
  const std::string session = fleet.initialize();
  fleet.legacy(list_tools, session);
  host().handlers["tools/list"] = [](auto& call) {
    call.end(Outcome::success(R"({"tools":[{"name":"look","inputSchema":{}}]})"));
  };
  fleet.bus().publish("fake", {mcp::Change::Kind::tools_list, {}, {}});
  fleet.legacy(list_tools, session);
  loses_the_next("tools/call", host());
  EXPECT_EQ(summary(fleet.legacy(call_of("look"), session)), "200 -32603");
}

// ---- A task

TEST_F(Loss, ACallThatOnlyReadsIsRunAgainWhereItsHomeIsThen) {
  fleet.nodes[0]->homes.elsewhere[home_key("fake", "alice", "")] = fleet.nodes[1]->identity;
  fleet.peers.fails_once_with = Forwarded{Forwarded::End::unknown, "10.0.0.2:3001 broke off."};
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("look"))), "200 result");
  EXPECT_EQ(calls(1), 1u) << "it lives, and its state is there";
  const auto unknown = Forwarded{Forwarded::End::unknown, "10.0.0.2:3001 broke off."};
  fleet.peers.fails_once_with = unknown;
  const auto lost = fleet.modern("tools/call", params_of("append"));
  EXPECT_EQ(summary(lost), "502 -32603");
  EXPECT_EQ(lost->body().find("10.0.0.2"), std::string::npos) << "addresses are no client's concern";
  fleet.peers.fails_with = unknown;
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("look"))), "200 result") << "elsewhere, then";
  EXPECT_EQ(calls(0), 1u);
  fleet.peers.fails_with.reset();
  fleet.peers.fails_once_with = unknown;
  fleet.kill(1);
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("look"))), "200 result");
  EXPECT_EQ(calls(0), 2u);
  EXPECT_EQ(calls(1), 1u);
}

TEST_F(Loss, TheSameInASessionThatIsTakenOver) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  for (const auto& [tool, answer] : {std::pair{"append", "502 -32603"}, std::pair{"look", "200 result"},
                                     std::pair{"append", "200 result"}}) {
    if (calls(1) == 0) fleet.peers.fails_once_with = Forwarded{Forwarded::End::unknown, "It broke off."};
    EXPECT_EQ(summary(fleet.legacy(call_of(tool), session, {.task = 1})), answer) << tool;
  }
  EXPECT_EQ(calls(1), 2u);
}

TEST_F(Loss, WhatAFrontDoorSendsAgainIsRunWhereThatDoesNothingTwice) {
  const std::string session = fleet.initialize();
  const Fleet::To again{.is_repeated = true};
  EXPECT_EQ(summary(fleet.legacy(call_of("look"), session, again)), "200 result") << "the server was asked";
  EXPECT_EQ(summary(fleet.legacy(list_tools, session, again)), "200 result");
  EXPECT_EQ(summary(fleet.legacy(ping, session, again)), "200 result");
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("put"), again)), "200 result");
  EXPECT_EQ(summary(fleet.modern("server/discover", "{}", again)), "200 result");
  EXPECT_EQ(calls(), 2u);
  const auto lost = fleet.legacy(call_of("append"), session, again);
  EXPECT_EQ(lost->status(), 502);
  EXPECT_EQ(lost->body(),
            R"({"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"The call may have run; )"
            R"(its end is unknown. The task that ran it was lost before it answered."}})");
  EXPECT_EQ(summary(fleet.modern("tools/call", params_of("plain"), again)), "502 -32603");
  EXPECT_EQ(summary(fleet.modern("vendor/act", "{}", again)), "502 -32603");
  const std::string old = fleet.initialize("{}", "2025-03-26");
  EXPECT_EQ(summary(fleet.legacy("[" + call_of("look") + "]", old, again)), "502 -32603")
      << "not looked into";
  EXPECT_EQ(fleet.legacy("[" + std::string(ping) + "]", old, again)->status(), 200);
  EXPECT_EQ(calls(), 2u);
}

TEST_F(Loss, ADrainWaitsForACallWhoseClientHasLeft) {
  const std::string session = fleet.initialize();
  host().handlers.erase("tools/call");
  const auto left = fleet.legacy(call_of("append"), session);
  left->disconnect();
  fleet.run();
  const auto drained = fleet.drain(5s);
  fleet.clock.advance(4s);
  EXPECT_FALSE(drained->has_value());
  EXPECT_FALSE(host().last().cancelled);
  host().last().end(Outcome::success("{}"));
  fleet.run();
  ASSERT_TRUE(drained->has_value());
  EXPECT_EQ(**drained, 0u);
}

TEST_F(Loss, ADrainCutsSuchACallAtItsDeadline) {
  const std::string session = fleet.initialize();
  host().handlers.erase("tools/call");
  const auto left = fleet.legacy(call_of("append"), session);
  left->disconnect();
  const auto drained = fleet.drain(5s);
  fleet.clock.advance(6s);
  ASSERT_TRUE(drained->has_value());
  EXPECT_EQ(**drained, 1u);
  EXPECT_TRUE(host().last().cancelled);
}

// ---- Streams

/// A call whose stream the client has an event of, and whose reader has left.
struct LostStream : Loss {
  LostStream() {
    host().handlers.erase("tools/call");
    session = fleet.initialize();
    const auto broken = fleet.legacy(call_of("append"), session);
    host().last().notify("notifications/progress", R"({"progress":1})");
    host().last().notify("notifications/message", R"({"level":"error","data":"half"})");
    fleet.run();
    id = event_ids(broken).back();
    broken->disconnect();
    fleet.run();
  }
  Fleet::Sent resume_elsewhere() {
    fleet.kill(0);
    return fleet.get(session, id, {.task = 1});
  }

  std::string session;
  std::string id;
};

TEST_F(LostStream, AnAnswerThatNobodyReadComesFromTheTaskThatTakesTheSessionOver) {
  host().last().end(Outcome::success(R"({"content":[]})"));
  fleet.clock.advance(1s);
  const auto resumed = resume_elsewhere();
  EXPECT_EQ(summary(resumed), "200 sse");
  EXPECT_EQ(resumed->events(),
            (std::vector<std::string>{R"({"jsonrpc":"2.0","id":2,"result":{"content":[]}})"}));
  EXPECT_TRUE(resumed->is_finished());
  const auto again = fleet.get(session, event_ids(resumed).back(), {.task = 1});
  EXPECT_TRUE(again->events().empty()) << "no event comes twice";
  EXPECT_TRUE(again->is_finished());
}

TEST_F(LostStream, AnAnswerThatIsLostIsSaidToBe) {
  const auto resumed = resume_elsewhere();
  EXPECT_EQ(summary(resumed), "200 sse");
  EXPECT_EQ(
      resumed->events(),
      (std::vector<std::string>{
          R"({"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"The call may have run; its end is )"
          R"(unknown. The task that ran it was lost before it answered."}})"}));
  EXPECT_TRUE(resumed->is_finished());
}

TEST_F(LostStream, AnAnswerThatIsNotKeptAnyMoreIsSaidToBe) {
  fleet.clock.advance(1s);
  host().last().end(Outcome::success("{}"));
  for (int i = 0; i < 300; ++i) {
    const auto other = fleet.legacy(call_of("append"), session);
    host().last().notify("notifications/message", R"({"level":"error","data":1})");
    host().last().end(Outcome::success("{}"));
    fleet.run();
  }
  const auto resumed = fleet.get(session, id);
  ASSERT_EQ(resumed->events().size(), 1u);
  EXPECT_NE(resumed->events()[0].find("Its answer is not kept any more."), std::string::npos);
}

TEST_F(LostStream, AStandaloneStreamGoesOnWithWhatMayHaveChanged) {
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:1"}})", session);
  const auto stream = fleet.get(session);
  const std::string last = event_ids(stream).back();
  stream->disconnect();
  fleet.clock.advance(1s);
  const auto here = fleet.get(session, last);
  EXPECT_TRUE(here->events().empty()) << "its task knows that nothing has";
  here->disconnect();
  fleet.run();
  fleet.kill(0);
  const auto resumed = fleet.get(session, last, {.task = 1});
  EXPECT_EQ(resumed->events(),
            (std::vector<std::string>{
                R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})",
                R"({"jsonrpc":"2.0","method":"notifications/prompts/list_changed"})",
                R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}})"}));
  const auto later = fleet.get(session, event_ids(resumed).back(), {.task = 1});
  EXPECT_TRUE(later->events().empty());
}

}  // namespace
}  // namespace berth::task
