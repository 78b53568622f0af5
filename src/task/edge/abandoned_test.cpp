#include <gtest/gtest.h>

#include <cstdlib>

#include "monitoring/metrics.h"
#include "task/edge/testing/fixture.h"

/// Clients that leave without a word: what they leave behind ends by itself, and never grows without bound.
namespace berth::task {
namespace {

using namespace std::chrono_literals;
using testing::Fleet;
using testing::summary;
using Kind = MemoryAccount::Kind;

/// A million takes a quarter of an hour with the sanitizers: BERTH_ABANDONED_SESSIONS=1000000.
std::size_t abandoned_sessions() {
  const char* const given = std::getenv("BERTH_ABANDONED_SESSIONS");
  return given != nullptr ? std::strtoul(given, nullptr, 10) : 3000;
}

constexpr std::string_view set_call =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"set","arguments":{}}})";

std::string metrics(Fleet& fleet) {
  monitoring::MetricsWriter writer;
  fleet.nodes[0]->endpoint->write_metrics(writer);
  return writer.text();
}

TEST(Abandoned, SessionsTakeBoundedMemoryAndGiveItBack) {
  Fleet fleet;
  fleet.limits.sessions_max = 1000;
  const std::size_t count = abandoned_sessions();
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_NE(fleet.initialize(), "");
    most = std::max(most, fleet.memory.held());
    if (i % 100 == 0) fleet.forget();
  }
  EXPECT_LE(most, fleet.limits.sessions_max * 5 * 1024);
  EXPECT_TRUE(metrics(fleet).contains("berth_mcp_sessions{server=\"fake\"} 1000\n")) << metrics(fleet);
  EXPECT_EQ(fleet.host().closed_sessions.size(), count - 1000) << "what is theirs alone ends with them";
  fleet.clock.advance(fleet.limits.session_idle_timeout + 2min);
  EXPECT_TRUE(metrics(fleet).contains("berth_mcp_sessions{server=\"fake\"} 0\n"));
  EXPECT_EQ(fleet.host().closed_sessions.size(), count);
  EXPECT_EQ(fleet.memory.held(), 0u);
}

TEST(Abandoned, SessionsEndWithWhatTheyWatchAndKeepForAReplay) {
  Fleet fleet;
  const std::string session = fleet.initialize();
  fleet.host().description.capabilities = R"({"resources":{"subscribe":true}})";
  fleet.host().handlers["tools/call"] = [](auto& call) { call.end(mcp::Outcome::success("{}")); };
  EXPECT_EQ(summary(fleet.legacy(set_call, session)), "200 result");
  const auto stream = fleet.get(session);
  stream->disconnect();
  fleet.run();
  EXPECT_GT(fleet.memory.held(Kind::session), 0u);
  fleet.clock.advance(fleet.limits.session_idle_timeout + 2min);
  EXPECT_EQ(fleet.memory.held(), 0u);
  EXPECT_EQ(summary(fleet.legacy(set_call, session)), "404 -32001");
}

TEST(Abandoned, AQuestionToALegacyClientEndsWithItsTime) {
  Fleet fleet;
  const std::string session = fleet.initialize(R"({"elicitation":{}})");
  const auto call = fleet.legacy(set_call, session);
  mcp::InputRequired input;
  input.requests.push_back({"q", "elicitation/create", R"({"message":"?"})"});
  input.owned = true;
  input.state = "s";
  fleet.host().last().end(mcp::Outcome::ask(std::move(input)));
  fleet.run();
  EXPECT_EQ(summary(call), "200 sse");
  call->disconnect();
  fleet.clock.advance(fleet.spec.input_timeout + 1min);
  EXPECT_TRUE(metrics(fleet).contains("berth_mcp_calls{server=\"fake\"} 0\n"));
  fleet.clock.advance(fleet.limits.session_idle_timeout + 2min);
  EXPECT_EQ(fleet.memory.held(), 0u);
}

TEST(Abandoned, AListenStreamEndsWhenItsClientLeaves) {
  Fleet fleet;
  fleet.host().description.capabilities = R"({"resources":{"subscribe":true}})";
  const auto stream =
      fleet.modern("subscriptions/listen", R"({"notifications":{"resourceSubscriptions":["x:1"]}})");
  EXPECT_EQ(summary(stream), "200 sse");
  EXPECT_TRUE(metrics(fleet).contains("berth_mcp_streams{server=\"fake\"} 1\n"));
  stream->disconnect();
  fleet.run();
  EXPECT_TRUE(metrics(fleet).contains("berth_mcp_streams{server=\"fake\"} 0\n"));
  EXPECT_EQ(fleet.host().watched.count("x:1"), 0u);
  EXPECT_EQ(fleet.memory.held(), 0u);
}

}  // namespace
}  // namespace berth::task
