#include "task/edge/http_sse.h"

#include <gtest/gtest.h>

#include "codec/json.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using mcp::Outcome;
using testing::Fleet;
using testing::summary;
using testing::To;

constexpr std::string_view initialize =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05",)"
    R"("capabilities":{"elicitation":{}},"clientInfo":{"name":"old","version":"1"}}})";
constexpr std::string_view initialized = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
constexpr std::string_view call_tool =
    R"({"jsonrpc":"2.0","id":"c1","method":"tools/call","params":{"name":"t"}})";

class HttpSseTest : public ::testing::Test {
 protected:
  Fleet::Sent open(const To& to = {}) {
    return fleet.send_to("/fake/sse", "GET", {{"Accept", "text/event-stream"}}, "", to);
  }
  static std::string endpoint(const Fleet::Sent& stream) { return stream->events().at(0); }
  Fleet::Sent post(const std::string& target, std::string_view message, const To& to = {}) {
    return fleet.send_to(target, "POST", {{"Content-Type", "application/json"}}, std::string(message), to);
  }
  /// A stream whose client has initialized.
  Fleet::Sent begin(const To& to = {}) {
    auto stream = open(to);
    where = endpoint(stream);
    post(where, initialize, to);
    post(where, initialized, to);
    return stream;
  }

  Fleet fleet{2};
  std::string where;
};

TEST_F(HttpSseTest, AnswersOnTheStream) {
  const auto stream = open();
  EXPECT_EQ(stream->header("Content-Type"), "text/event-stream");
  EXPECT_TRUE(stream->body().starts_with("event: endpoint\ndata: /fake/messages?session=")) << stream->body();
  EXPECT_EQ(summary(post(endpoint(stream), initialize)), "202 empty");
  ASSERT_EQ(stream->events().size(), 2u);
  EXPECT_TRUE(
      stream->events()[1].starts_with(R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2024-11-05")"))
      << stream->events()[1];
  EXPECT_EQ(summary(post(endpoint(stream), initialized)), "202 empty");
  EXPECT_EQ(summary(post(endpoint(stream), call_tool)), "202 empty");
  EXPECT_EQ(stream->events().size(), 2u);
  fleet.host().last().end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  ASSERT_EQ(stream->events().size(), 3u);
  EXPECT_EQ(stream->events()[2], R"({"jsonrpc":"2.0","id":"c1","result":{"content":[]}})");
  EXPECT_FALSE(stream->is_finished());
}

TEST_F(HttpSseTest, AMessageFindsItsStreamFromEveryTask) {
  const auto stream = begin();
  EXPECT_EQ(summary(post(where, call_tool, {.task = 1})), "202 empty");
  EXPECT_EQ(fleet.peers.forwarded, 1u);
  fleet.host().last().end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  EXPECT_EQ(stream->events().at(2), R"({"jsonrpc":"2.0","id":"c1","result":{"content":[]}})");
}

TEST_F(HttpSseTest, AsksAndTellsTheClientOnTheStream) {
  const auto stream = begin();
  post(where, call_tool);
  mcp::InputRequired input;
  input.requests.push_back({"name", "elicitation/create", R"({"message":"Who?","requestedSchema":{}})"});
  input.state = "parked";
  input.owned = true;
  fleet.host().last().end(Outcome::ask(std::move(input)));
  fleet.run();
  const std::string question = stream->events().at(2);
  EXPECT_EQ(json::parse(question)->find("method").as_string(), "elicitation/create");
  post(where, R"({"jsonrpc":"2.0","id":)" + std::string(json::parse(question)->find("id").text()) +
                  R"(,"result":{"action":"accept","content":{"name":"Ada"}}})");
  EXPECT_TRUE(fleet.host().last().input_responses.contains("Ada"));
  fleet.bus().publish("fake", {.kind = mcp::Change::Kind::tools_list});
  fleet.run();
  EXPECT_EQ(stream->events().at(3), R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
}

TEST_F(HttpSseTest, TheSessionGoesWithTheStream) {
  const auto stream = begin();
  post(where, call_tool);
  EXPECT_FALSE(fleet.host().last().cancelled);
  stream->disconnect();
  fleet.run();
  EXPECT_TRUE(fleet.host().last().cancelled);
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
  EXPECT_EQ(summary(post(where, call_tool)), "404 -32001");
}

TEST_F(HttpSseTest, ASessionThatIsJustBeingMadeGoesToo) {
  Signal goes_on(fleet.loop.get_executor());
  fleet.host().before_describe = [&goes_on]() -> Task<void> { co_await goes_on.wait(); };
  const auto stream = open();
  post(endpoint(stream), initialize);
  stream->disconnect();
  fleet.run();
  goes_on.notify();
  fleet.run();
  EXPECT_EQ(fleet.host().closed_sessions.size(), 1u);
}

TEST_F(HttpSseTest, RefusesWhatIsNotTheCallers) {
  const auto stream = begin();
  EXPECT_EQ(summary(post(where, call_tool, {.principal = "mallory"})), "404 -32001");
  EXPECT_EQ(summary(post(where + "x", call_tool)), "404 -32001");
  EXPECT_EQ(summary(post("/fake/messages", call_tool)), "404 -32001");
  EXPECT_EQ(stream->events().size(), 2u);
  EXPECT_EQ(post("/fake/sse", initialize)->status(), 405)
      << "as clients expect that try Streamable HTTP first";
  EXPECT_EQ(fleet.send_to("/fake/sse", "GET", {{"Accept", "application/json"}}, "", {})->status(), 406);
  fleet.limits.listen_streams_max = 1;
  EXPECT_EQ(open()->status(), 503);
}

TEST_F(HttpSseTest, AMessageThatMayHaveRunIsNotRunAgain) {
  const auto stream = begin();
  EXPECT_EQ(summary(post(where, call_tool, {.is_repeated = true})), "502 -32603");
  EXPECT_TRUE(fleet.host().started.empty());
}

TEST_F(HttpSseTest, WhatIsNoMessageIsAnsweredOnTheStream) {
  const auto stream = begin();
  EXPECT_EQ(summary(post(where, "{")), "202 empty");
  EXPECT_EQ(testing::error_code(stream->events().at(2)), -32700);
  post(where, R"({"jsonrpc":"2.0","id":4,"method":"no/such"})");
  fleet.host().last().end(Outcome::failure({mcp::code::method_not_found, "No.", {}}));
  fleet.run();
  EXPECT_EQ(stream->events().at(3), R"({"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"No."}})");
}

TEST_F(HttpSseTest, ADrainWaitsForTheAnswersAndEndsTheStream) {
  const auto stream = begin();
  const auto idle = begin();
  post(endpoint(stream), call_tool);
  const auto drained = fleet.drain(60s);
  fleet.run();
  EXPECT_TRUE(idle->is_finished());
  EXPECT_FALSE(stream->is_finished());
  fleet.host().last().end(Outcome::success(R"({"content":[]})"));
  fleet.run();
  EXPECT_EQ(stream->events().at(2), R"({"jsonrpc":"2.0","id":"c1","result":{"content":[]}})");
  EXPECT_TRUE(stream->is_finished());
  fleet.clock.advance(1s);
  EXPECT_EQ(**drained, 0u);
}

TEST_F(HttpSseTest, WhatADrainCutsIsTold) {
  const auto stream = begin();
  post(where, call_tool);
  const auto drained = fleet.drain(5s);
  fleet.clock.advance(6s);
  EXPECT_EQ(testing::error_code(stream->events().at(2)), -32603);
  EXPECT_TRUE(stream->is_finished());
  EXPECT_EQ(**drained, 1u);
}

TEST_F(HttpSseTest, KeepsASilentStreamOpen) {
  const auto stream = begin();
  fleet.clock.advance(fleet.limits.keep_alive_interval + 2s);
  EXPECT_TRUE(stream->body().contains(": keep-alive"));
}

TEST_F(HttpSseTest, AClientThatDoesNotReadIsLeft) {
  fleet.limits.stream_buffer_bytes_max = 4096;
  const auto stream = begin();
  Signal reads(fleet.loop.get_executor());
  stream->before_write = [&reads]() -> Task<void> { co_await reads.wait(); };
  for (int i = 0; i < 4; ++i) {
    post(where, call_tool);
    fleet.host().last().end(Outcome::success(R"({"text":")" + std::string(3000, 'x') + "\"}"));
    fleet.run();
  }
  EXPECT_EQ(summary(post(where, call_tool)), "404 -32001");
  reads.notify();
  fleet.run();
  EXPECT_TRUE(stream->is_served());
}

}  // namespace
}  // namespace berth::task
