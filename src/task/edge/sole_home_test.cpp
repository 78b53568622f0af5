#include <gtest/gtest.h>

#include <algorithm>

#include "codec/json.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using mcp::Outcome;
using testing::Fleet;
using testing::summary;
using testing::To;

constexpr std::string_view set_call = R"({"name":"set","arguments":{}})";
constexpr std::string_view legacy_call =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"set","arguments":{}}})";

/// Tasks "a" and "b"; the one process of the server is in b.
struct SoleHome : ::testing::Test {
  SoleHome() {
    fleet.spec.kind = model::ServerSpec::Kind::command;
    fleet.spec.isolation = model::Isolation::service;
    fleet.know_sisters();
    homes(0).elsewhere[sole] = fleet.nodes[1]->identity;
    for (const auto& node : fleet.nodes) {
      node->host.handlers["tools/call"] = [](auto& call) { call.end(Outcome::success("{}")); };
    }
  }
  testing::FakeHost& host(std::size_t task) { return fleet.nodes[task]->host; }
  testing::FakeHomes& homes(std::size_t task) { return fleet.nodes[task]->homes; }
  std::size_t calls(std::size_t task) {
    return static_cast<std::size_t>(std::ranges::count_if(
        host(task).started, [](const auto& call) { return call->method == "tools/call"; }));
  }
  /// Task b has gone, or has given it up.
  void is_in_a_now() { homes(0).elsewhere.clear(); }
  std::string notice(const Fleet::Sent& sent) {
    const auto answer = json::parse(sent->body());
    return answer ? answer->find("result").find("_meta").find("berth/notice").as_string().value_or("") : "";
  }

  Fleet fleet{2};
  const std::string sole = sole_home_key("fake");
};

TEST_F(SoleHome, WhatMayHaveRunIsNotBroughtThereAgain) {
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call, {.is_repeated = true})), "502 -32603");
  EXPECT_EQ(calls(1), 0u);
  EXPECT_EQ(fleet.modern("tools/list", "{}", {.is_repeated = true})->status(), 200)
      << "which does nothing twice";
  EXPECT_TRUE(host(0).started.empty());
}

TEST_F(SoleHome, HasEveryRequestOfBothEras) {
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_EQ(summary(fleet.modern("server/discover")), "200 result");
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call, {.principal = "bob", .client = "c"})), "200 result");
  const std::string session = fleet.initialize();
  EXPECT_EQ(summary(fleet.legacy(legacy_call, session)), "200 result");
  EXPECT_EQ(summary(fleet.get(session)), "200 sse");
  EXPECT_EQ(summary(fleet.legacy(legacy_call, session, {.task = 1})), "200 result") << "straight there";
  EXPECT_TRUE(host(0).started.empty() && host(0).rests);
  EXPECT_EQ(host(0).described, 0u);
  EXPECT_FALSE(host(1).rests);
  EXPECT_EQ(homes(1).claimed.size(), 2u) << "who is told of a loss";
  EXPECT_EQ(summary(fleet.send("DELETE", {{"Mcp-Session-Id", session}}, "")), "204 empty");
}

TEST_F(SoleHome, IsTakenByWhoeverIsAskedWhereNobodyHasIt) {
  is_in_a_now();
  EXPECT_TRUE(host(0).rests);
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_FALSE(host(0).rests);
  EXPECT_EQ(homes(0).own[sole]->calls, 1u) << "it stays while its process lives";
  EXPECT_TRUE(homes(0).own[sole]->is_kept) << "the sisters know";
}

TEST_F(SoleHome, IsWaitedForWhileNobodyKnowsWhereItIs) {
  homes(0).is_uncertain = true;
  const auto waiting = fleet.modern("tools/call", set_call);
  fleet.clock.advance(5s);
  EXPECT_EQ(waiting->status(), 0);
  homes(0).is_uncertain = false;
  fleet.clock.advance(1s);
  EXPECT_EQ(summary(waiting), "200 result");
  homes(0).is_uncertain = true;
  const auto late = fleet.modern("tools/call", set_call);
  fleet.clock.advance(20s);
  EXPECT_EQ(summary(late), "503 -32000");
}

TEST_F(SoleHome, TakesALegacySessionAlongAndSaysWhatWasLost) {
  const std::string session = fleet.initialize();
  ASSERT_EQ(summary(fleet.legacy(legacy_call, session)), "200 result");
  fleet.kill(1);
  is_in_a_now();
  const auto first = fleet.legacy(legacy_call, session);
  EXPECT_NE(notice(first), "") << summary(first);
  EXPECT_EQ(notice(fleet.legacy(legacy_call, session)), "");
}

TEST_F(SoleHome, TellsAModernCallerOfTheLossToo) {
  is_in_a_now();
  fleet.modern("tools/call", set_call);
  host(0).process = 2;
  EXPECT_NE(notice(fleet.modern("tools/call", set_call)), "");
  EXPECT_EQ(notice(fleet.modern("tools/call", set_call)), "");
}

TEST_F(SoleHome, GoesOverWhenTheCallsUnderWayHaveEndedAndHoldsOthersBack) {
  is_in_a_now();
  host(0).handlers.erase("tools/call");
  const auto running = fleet.modern("tools/call", set_call);
  const auto drained = fleet.drain(10s);
  const auto held = fleet.modern("tools/call", set_call);
  fleet.clock.advance(2s);
  ASSERT_EQ(calls(0), 1u);
  EXPECT_FALSE(host(0).rests);
  homes(0).elsewhere[sole] = fleet.nodes[1]->identity;
  host(0).last().end(Outcome::success("{}"));
  fleet.clock.advance(1s);
  EXPECT_EQ(summary(running), "200 result");
  EXPECT_TRUE(host(0).rests);
  EXPECT_FALSE(homes(0).own.contains(sole));
  EXPECT_EQ(summary(held), "200 result") << "over there";
  EXPECT_EQ(calls(1), 1u);
  EXPECT_TRUE(*drained);
}

TEST_F(SoleHome, CutsWhatHasNotEndedInTime) {
  is_in_a_now();
  host(0).handlers.erase("tools/call");
  fleet.modern("tools/call", set_call);
  fleet.drain(3s);
  fleet.clock.advance(2s);
  EXPECT_FALSE(host(0).rests);
  fleet.clock.advance(2s);
  EXPECT_TRUE(host(0).rests);
}

Task<void> settle(Endpoint& endpoint) { co_await endpoint.settle(); }

TEST_F(SoleHome, OfTwoAfterAPartitionOneIsGivenUp) {
  is_in_a_now();
  TaskScope scope(fleet.clock.executor());
  scope.spawn(settle(*fleet.nodes[0]->endpoint));
  fleet.run();
  ASSERT_FALSE(host(0).rests) << "taken without a request";
  homes(0).own[sole]->is_contested = true;
  homes(0).elsewhere[sole] = fleet.nodes[1]->identity;
  scope.spawn(settle(*fleet.nodes[0]->endpoint));
  fleet.clock.advance(1s);
  EXPECT_TRUE(host(0).rests);
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_EQ(calls(1), 1u);
}

}  // namespace
}  // namespace berth::task
