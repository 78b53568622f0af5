#include "task/edge/adoption.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/json.h"
#include "mcp/legacy.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using mcp::Outcome;
using testing::Fleet;
using testing::summary;

constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":9,"method":"ping"})";
constexpr std::string_view list_tools = R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})";
constexpr std::string_view call_tool =
    R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}})";
constexpr std::string_view plain_result = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[]}})";

std::string noted_result() {
  return R"({"jsonrpc":"2.0","id":1,"result":{"_meta":{"berth/notice":")" +
         std::string(mcp::lost_state_notice) + R"("},"tools":[]}})";
}

/// Three tasks that know each other.
class Adoption : public ::testing::Test {
 protected:
  Adoption() { fleet.know_sisters(); }

  std::size_t described() const {
    std::size_t sum = 0;
    for (const auto& node : fleet.nodes) sum += node->host.described;
    return sum;
  }
  void forget_descriptions() {
    for (const auto& node : fleet.nodes) node->host.described = 0;
  }
  static Fleet::Fields fields(const std::string& session) { return {{"Mcp-Session-Id", session}}; }

  Fleet fleet{3};
};

TEST_F(Adoption, ASessionOfALostTaskGoesOnAtOneOfTheOthers) {
  const std::string session = fleet.initialize(R"({"roots":{}})", "2025-06-18");
  forget_descriptions();
  fleet.kill(0);
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = 1})->body(), noted_result());
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = 2})->body(), plain_result);
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = 1})->body(), plain_result);
  EXPECT_EQ(described(), 1u);
  for (std::size_t task : {1u, 2u}) {
    for (const auto& call : fleet.nodes[task]->host.started) {
      EXPECT_EQ(call->caller.protocol_version, "2025-06-18");
      EXPECT_EQ(call->caller.capabilities, R"({"roots":{}})");
      EXPECT_EQ(call->caller.client_info, R"({"name":"t","version":"1"})");
    }
  }
}

TEST_F(Adoption, TheSameForASecondLoss) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  fleet.legacy(list_tools, session, {.task = 1});
  const bool first_has_it = !fleet.nodes[1]->host.started.empty();
  fleet.kill(first_has_it ? 1 : 2);
  const std::size_t last = first_has_it ? 2 : 1;
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = last})->body(), noted_result());
  EXPECT_EQ(summary(fleet.get(session, {}, {.task = last})), "200 sse");
}

TEST_F(Adoption, TwoTasksThatSeeItAtOnceMakeOneOwner) {
  const std::string session = fleet.initialize();
  forget_descriptions();
  fleet.kill(0);
  std::vector<std::unique_ptr<Signal>> gates;
  for (std::size_t task : {1u, 2u}) {
    fleet.nodes[task]->host.before_describe = [&]() -> Task<void> {
      gates.push_back(std::make_unique<Signal>(fleet.loop.get_executor()));
      co_await gates.back()->wait();
    };
  }
  std::vector<Fleet::Sent> sent;
  for (const std::size_t task : {1u, 2u, 1u, 2u})
    sent.push_back(fleet.legacy(list_tools, session, {.task = task}));
  EXPECT_EQ(gates.size(), 1u);
  gates[0]->notify();
  fleet.run();
  EXPECT_EQ(described(), 1u);
  std::size_t notices = 0;
  for (const auto& answer : sent) {
    EXPECT_EQ(summary(answer), "200 result");
    if (answer->body() == noted_result()) ++notices;
  }
  EXPECT_EQ(notices, 1u);
}

TEST_F(Adoption, TheSameWhileTheSecondOwnerThatWasLostIsBelievedToLive) {
  for (int round = 0; round < 8; ++round) {
    Fleet service(4);
    service.know_sisters();
    const std::string session = service.initialize();
    service.kill(0);
    service.legacy(list_tools, session, {.task = 1});
    std::vector<std::size_t> left;
    for (const std::size_t task : {1u, 2u, 3u}) {
      if (service.nodes[task]->host.started.empty()) left.push_back(task);
    }
    ASSERT_EQ(left.size(), 2u);
    const std::size_t lost = 6 - left[0] - left[1];
    service.peers.ghosts.push_back(service.nodes[lost]->identity);
    service.kill(lost);
    std::vector<std::unique_ptr<Signal>> gates;
    for (const std::size_t task : left) {
      service.nodes[task]->host.before_describe = [&]() -> Task<void> {
        gates.push_back(std::make_unique<Signal>(service.loop.get_executor()));
        co_await gates.back()->wait();
      };
    }
    std::vector<Fleet::Sent> sent;
    for (const std::size_t task : {left[0], left[1], left[0], left[1]})
      sent.push_back(service.legacy(list_tools, session, {.task = task}));
    ASSERT_EQ(gates.size(), 1u);
    gates[0]->notify();
    service.run();
    const auto notices = std::ranges::count(sent, noted_result(), &testing::FakeExchange::body);
    EXPECT_EQ(notices, 1);
  }
}

TEST_F(Adoption, AnHeirThatTakesItOverJustAfterItWasAskedIsAskedAgain) {
  for (const std::size_t asker : {1u, 2u}) {
    Fleet service(3);
    service.know_sisters();
    const std::string session = service.initialize();
    service.legacy(list_tools, session);
    const std::string key = service.nodes[0]->host.started.back()->caller.session;
    const std::uint64_t generation = service.nodes[0]->identity.generation;
    service.kill(0);
    service.peers.instead_once = [&](const TaskIdentity& heir) {
      service.records.of(heir)->claim(key, generation);
    };
    const std::size_t other = 3 - asker;
    EXPECT_EQ(service.legacy(list_tools, session, {.task = asker})->body(), noted_result());
    service.peers.instead_once = nullptr;  // where the asker was the heir itself
    EXPECT_EQ(service.legacy(list_tools, session, {.task = other})->body(), plain_result);
    EXPECT_EQ(service.records.heirs.size(), 1u);
  }
}

TEST_F(Adoption, WhoTakesItOverWhileViewsDifferIsFoundByAll) {
  const std::string session = fleet.initialize();
  forget_descriptions();
  fleet.kill(0);
  fleet.peers.are_known = false;  // each believes to be alone
  fleet.legacy(list_tools, session, {.task = 1});
  fleet.legacy(list_tools, session, {.task = 2});
  EXPECT_EQ(described(), 1u);
  EXPECT_EQ(fleet.nodes[1]->host.started.size(), 2u);
}

TEST_F(Adoption, AnotherLifeOfTheSameTaskIsOneOfTheOthers) {
  const std::string session = fleet.initialize();
  fleet.restart(0);
  for (const std::size_t task : {0u, 1u, 2u})
    EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = task})), "200 result");
}

TEST_F(Adoption, WhatASessionHasChangedIsRestored) {
  const std::string session = fleet.initialize();
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:1"}})", session);
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}})", session);
  fleet.clock.advance(1s);
  fleet.kill(0);
  fleet.legacy(call_tool, session, {.task = 1});
  auto& host = fleet.nodes[fleet.nodes[1]->host.started.empty() ? 2 : 1]->host;
  EXPECT_EQ(host.watched["a:1"], 1);
  EXPECT_EQ(host.last().log_level, mcp::LoggingLevel::error);
}

TEST_F(Adoption, AClientThatHasAskedForLogsIsWarnedOfTheLoss) {
  const std::string session = fleet.initialize();
  fleet.legacy(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}})", session);
  fleet.clock.advance(1s);
  fleet.kill(0);
  const auto answer = fleet.legacy(list_tools, session, {.task = 1});
  ASSERT_EQ(answer->events().size(), 2u);
  EXPECT_EQ(answer->events()[0], mcp::notice_message(mcp::lost_state_notice));
  EXPECT_EQ(answer->events()[1], noted_result());
}

TEST_F(Adoption, AServerWithoutStateIsTakenOverSilently) {
  for (const bool is_modern : {true, false}) {
    Fleet service(2);
    service.spec.state = is_modern ? model::State::automatic : model::State::none;
    service.know_sisters();
    if (is_modern) service.nodes[1]->host.description.era = mcp::Era::modern;
    const std::string session = service.initialize();
    service.kill(0);
    EXPECT_EQ(service.legacy(list_tools, session, {.task = 1})->body(), plain_result);
  }
}

TEST_F(Adoption, AServerWhoseStateIsAllThereIsLosesItsSessions) {
  fleet.spec.state = model::State::process;
  const std::string session = fleet.initialize();
  fleet.kill(0);
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "404 -32001");
}

TEST_F(Adoption, NobodyTakesOverWhatHasEnded) {
  const std::string left = fleet.initialize();
  const std::string expired = fleet.initialize();
  EXPECT_EQ(summary(fleet.send("DELETE", fields(left), "")), "204 empty");
  fleet.clock.advance(fleet.limits.session_idle_timeout + 2min);
  fleet.kill(0);
  EXPECT_EQ(summary(fleet.legacy(ping, left, {.task = 1})), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, expired, {.task = 1})), "404 -32001");
}

TEST_F(Adoption, ASessionThatEndsAfterItWasTakenOverStaysEnded) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  EXPECT_EQ(summary(fleet.send("DELETE", fields(session), "", {.task = 1})), "204 empty");
  for (const std::size_t task : {1u, 2u})
    EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = task})), "404 -32001");
}

TEST_F(Adoption, NobodyElsesSessionIsTakenOver) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1, .principal = "bob"})), "404 -32001");
  EXPECT_TRUE(fleet.records.heirs.empty());
}

TEST_F(Adoption, WithoutTheVolumeItIsNotNow) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  fleet.records.available = false;
  const auto answer = fleet.legacy(ping, session, {.task = 1});
  EXPECT_EQ(summary(answer), "503 -32000");
  EXPECT_EQ(answer->header("Retry-After"), "1");
  fleet.records.available = true;
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "200 result");
}

TEST_F(Adoption, AServerThatDoesNotStartIsTriedAgain) {
  const std::string session = fleet.initialize();
  fleet.kill(0);
  for (const std::size_t task : {1u, 2u})
    fleet.nodes[task]->host.describe_error = Error(ErrorCode::unavailable, "It does not start.");
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "503 -32603");
  for (const std::size_t task : {1u, 2u}) fleet.nodes[task]->host.describe_error.reset();
  EXPECT_EQ(summary(fleet.legacy(ping, session, {.task = 1})), "200 result");
}

TEST_F(Adoption, ATaskThatStopsGivesItsUnusedSessionsAway) {
  const std::string session = fleet.initialize();
  const std::string used = fleet.initialize();
  const auto call = fleet.legacy(call_tool, used);
  fleet.drain(60s);
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = 1})->body(), noted_result());
  EXPECT_EQ(fleet.legacy(list_tools, session)->body(), plain_result);
  // A call under way keeps its session until it has ended.
  EXPECT_EQ(fleet.legacy(list_tools, used, {.task = 1})->body(), plain_result);
  fleet.host().started.front()->end(Outcome::success("{}"));
  fleet.run();
  EXPECT_EQ(summary(call), "200 result");
  EXPECT_EQ(fleet.legacy(list_tools, used, {.task = 1})->body(), noted_result());
}

TEST_F(Adoption, ATaskThatWasBelievedLostGivesUpWhatASisterHasTakenOver) {
  const std::string session = fleet.initialize();
  const std::string other = fleet.initialize();
  const auto life = fleet.peers.lives.extract(fleet.nodes[0]->identity.peer_address);
  EXPECT_EQ(fleet.legacy(list_tools, session, {.task = 1})->body(), noted_result());
  fleet.peers.lives[life.key()] = life.mapped();
  ++fleet.peers.losses;
  EXPECT_EQ(fleet.legacy(list_tools, session)->body(), plain_result);
  EXPECT_TRUE(fleet.host().started.empty());
  EXPECT_EQ(fleet.legacy(list_tools, other)->body(), plain_result);
  EXPECT_EQ(fleet.host().started.size(), 1u);
}

TEST_F(Adoption, AnAnswerToALostQuestionIsDropped) {
  const std::string session = fleet.initialize(R"({"elicitation":{}})");
  const auto sent = fleet.legacy(call_tool, session);
  mcp::InputRequired input;
  input.requests.push_back({"name", "elicitation/create", "{}"});
  fleet.host().last().end(Outcome::ask(std::move(input)));
  fleet.run();
  const std::string id(json::parse(sent->events().at(0))->find("id").text());
  sent->disconnect();
  fleet.run();
  fleet.kill(0);
  EXPECT_EQ(summary(fleet.legacy(R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":{"action":"cancel"}})",
                                 session, {.task = 1})),
            "202 empty");
}

}  // namespace
}  // namespace berth::task
