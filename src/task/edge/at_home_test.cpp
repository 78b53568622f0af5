#include <gtest/gtest.h>

#include <algorithm>

#include "codec/json.h"
#include "mcp/message.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using mcp::Outcome;
using testing::Fleet;
using testing::summary;

constexpr std::string_view set_call = R"({"name":"set","arguments":{}})";

/// Tasks "a" and "b" with a server of the session era behind them, whose calls answer at once.
struct AtHome : ::testing::Test {
  AtHome() {
    fleet.spec.kind = model::ServerSpec::Kind::command;
    for (const auto& node : fleet.nodes) {
      node->host.handlers["tools/call"] = [](auto& call) { call.end(Outcome::success("{}")); };
    }
  }
  testing::FakeHost& host(std::size_t task) { return fleet.nodes[task]->host; }
  testing::FakeHomes& homes(std::size_t task) { return fleet.nodes[task]->homes; }
  void is_at_home_in_b(const std::string& principal, const std::string& client = {}) {
    homes(0).elsewhere[home_key("fake", principal, client)] = fleet.nodes[1]->identity;
  }
  std::size_t calls(std::size_t task) {
    return static_cast<std::size_t>(std::ranges::count_if(
        host(task).started, [](const auto& call) { return call->method == "tools/call"; }));
  }
  std::string notice(const Fleet::Sent& sent) {
    const auto answer = json::parse(sent->body());
    return answer ? answer->find("result").find("_meta").find("berth/notice").as_string().value_or("") : "";
  }

  Fleet fleet{2};
};

TEST_F(AtHome, ACallIsRunByTheTaskThatIsItsCallersHome) {
  is_at_home_in_b("alice");
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_EQ(calls(0), 0u);
  EXPECT_EQ(calls(1), 1u);
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call, {.principal = "bob"})), "200 result");
  EXPECT_EQ(calls(0), 1u);
  EXPECT_EQ(homes(0).kept, std::vector{home_key("fake", "bob", "")});
}

TEST_F(AtHome, ClientsOfOnePrincipalHaveHomesOfTheirOwn) {
  is_at_home_in_b("alice", "editor");
  fleet.modern("tools/call", set_call, {.principal = "alice", .client = "editor"});
  fleet.modern("tools/call", set_call, {.principal = "alice"});
  EXPECT_EQ(calls(0), 1u);
  EXPECT_EQ(homes(1).kept, std::vector{home_key("fake", "alice", "editor")});
}

TEST_F(AtHome, ServersWithoutStateRunAnywhere) {
  is_at_home_in_b("alice");
  fleet.spec.state = model::State::none;
  fleet.modern("tools/call", set_call);
  EXPECT_EQ(calls(0), 1u);
  fleet.spec.state = model::State::automatic;
  fleet.spec.kind = model::ServerSpec::Kind::native;
  fleet.modern("tools/call", set_call);
  EXPECT_EQ(calls(0), 2u);
  fleet.spec.kind = model::ServerSpec::Kind::command;
  for (const auto& node : fleet.nodes) node->host.description.era = mcp::Era::modern;
  fleet.modern("server/discover");
  fleet.modern("tools/call", set_call);
  EXPECT_EQ(calls(0), 3u);
  EXPECT_EQ(fleet.peers.forwarded, 0u);
}

TEST_F(AtHome, ResourcesAreWatchedThere) {
  is_at_home_in_b("alice");
  const auto watching =
      fleet.modern("subscriptions/listen", R"({"notifications":{"resourceSubscriptions":["x:1"]}})");
  EXPECT_EQ(summary(watching), "200 sse");
  EXPECT_EQ(host(1).watched.count("x:1"), 1u);
  fleet.modern("subscriptions/listen", R"({"notifications":{"toolsListChanged":true}})");
  EXPECT_EQ(fleet.peers.forwarded, 1u) << "lists are announced to every task";
}

TEST_F(AtHome, ATaskThatDoesNotTakeTheCallerIsNotAskedAgain) {
  is_at_home_in_b("alice");
  homes(1).takes_nobody = true;
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_EQ(calls(0), 1u);
  EXPECT_EQ(fleet.peers.forwarded, 1u);
  fleet.modern("tools/call", set_call);
  EXPECT_EQ(fleet.peers.forwarded, 1u) << "it is known to be here";
}

TEST_F(AtHome, ACallThatTheHomeMayHaveRunIsNotRunAgain) {
  is_at_home_in_b("alice");
  fleet.peers.fails_with = Forwarded{Forwarded::End::unknown, "It was lost."};
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "502 -32603");
  fleet.peers.fails_with = Forwarded{Forwarded::End::slow, "It is slow."};
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "503 -32000");
  EXPECT_EQ(calls(0), 0u);
  fleet.peers.fails_with = Forwarded{Forwarded::End::not_delivered, "It has gone."};
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
  EXPECT_EQ(calls(0), 1u);
}

TEST_F(AtHome, TheFirstResultAfterTheEndOfTheProcessSaysSo) {
  EXPECT_EQ(notice(fleet.modern("tools/call", set_call)), "");
  host(0).process = 2;
  fleet.modern("tools/list");
  const auto told =
      fleet.modern_with("tools/call", set_call, R"("io.modelcontextprotocol/logLevel":"warning")");
  ASSERT_EQ(told->events().size(), 2u);
  EXPECT_NE(told->events()[0].find(R"("method":"notifications/message","params":{"level":"warning")"),
            std::string::npos);
  EXPECT_NE(told->events()[1].find(R"("berth/notice":"The server's process that served this caller is gone)"),
            std::string::npos);
  EXPECT_EQ(notice(fleet.modern("tools/call", set_call)), "") << "once";
}

TEST_F(AtHome, AnErrorIsNoResultYet) {
  fleet.modern("tools/call", set_call);
  host(0).process = 2;
  host(0).handlers["tools/call"] = [](auto& call) { call.end(Outcome::failure({})); };
  fleet.modern("tools/call", set_call);
  host(0).handlers["tools/call"] = [](auto& call) { call.end(Outcome::success("{}")); };
  EXPECT_NE(notice(fleet.modern("tools/call", set_call)), "");
}

TEST_F(AtHome, AProcessThatEndsUnderACallIsToldWithItsResult) {
  fleet.modern("tools/call", set_call);
  host(0).handlers["tools/call"] = [this](auto& call) {
    call.process = host(0).process = 2;
    call.end(Outcome::success("{}"));
  };
  EXPECT_NE(notice(fleet.modern("tools/call", set_call)), "");
}

TEST_F(AtHome, CallersThatBuildOnStateAreRefusedOnceAfterItsLoss) {
  fleet.spec.state = model::State::process;
  fleet.modern("tools/call", set_call);
  host(0).process = 2;
  EXPECT_EQ(summary(fleet.modern("tools/list")), "200 result") << "a list needs no state";
  const auto refused = fleet.modern("tools/call", set_call);
  EXPECT_EQ(summary(refused), "200 -32603");
  EXPECT_NE(refused->body().find("its state were lost; call again to begin anew"), std::string::npos);
  EXPECT_EQ(calls(0), 1u);
  EXPECT_EQ(notice(fleet.modern("tools/call", set_call)), "");
  EXPECT_EQ(calls(0), 2u);
  host(0).handlers["tools/call"] = [](auto& call) { call.end(Outcome::failure(mcp::state_lost())); };
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 -32603") << "the host saw it first";
  host(0).handlers["tools/call"] = [](auto& call) { call.end(Outcome::success("{}")); };
  EXPECT_EQ(summary(fleet.modern("tools/call", set_call)), "200 result");
}

TEST_F(AtHome, ANewHomeAfterTheLossOfATaskSaysSoToo) {
  const std::string key = home_key("fake", "alice", "");
  const auto home = std::make_shared<Home>();
  home->key = key;
  home->is_lost = true;
  homes(0).own[key] = home;
  EXPECT_NE(notice(fleet.modern("tools/call", set_call)), "");
  EXPECT_EQ(notice(fleet.modern("tools/call", set_call)), "");
  EXPECT_EQ(home->calls, 0u);
}

TEST_F(AtHome, NotificationsThatAreNoneOfMcpsOwnGoThereInBothEras) {
  is_at_home_in_b("alice");
  const Fleet::Fields fields = {{"Content-Type", "application/json"}, {"MCP-Protocol-Version", "2026-07-28"}};
  constexpr std::string_view saved = R"({"jsonrpc":"2.0","method":"vendor/saved","params":{"x":1}})";
  EXPECT_EQ(summary(fleet.send("POST", fields, std::string(saved))), "202 empty");
  EXPECT_EQ(host(1).notified, std::vector<std::string>{"vendor/saved"});
  EXPECT_EQ(summary(fleet.send("POST", fields, std::string(saved), {.principal = "bob"})), "202 empty");
  EXPECT_EQ(host(0).notified, std::vector<std::string>{"vendor/saved"});
  const std::string session = fleet.initialize("{}", "2025-11-25", {.task = 1});
  EXPECT_EQ(summary(fleet.legacy(saved, session)), "202 empty");
  EXPECT_EQ(host(1).notified.back(), "vendor/saved of a session");
}

}  // namespace
}  // namespace berth::task
