#include <fmt/format.h>
#include <gtest/gtest.h>

#include "monitoring/metrics.h"
#include "task/edge/event_stream.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using edge::Event;
using edge::ReplayLog;
using mcp::Outcome;
using testing::Fleet;
using testing::summary;
using Kind = MemoryAccount::Kind;

constexpr std::string_view ping = R"({"jsonrpc":"2.0","id":9,"method":"ping"})";
constexpr std::string_view call_tool =
    R"({"jsonrpc":"2.0","id":"c1","method":"tools/call","params":{"name":"t","_meta":{"progressToken":5}}})";
const Fleet::To bob{.principal = "bob"};

Fleet::Sent send_padded(Fleet& fleet, std::size_t bytes, const Fleet::To& to = {}) {
  std::string body = R"({"jsonrpc":"2.0","id":1,"method":"ping","pad":")";
  body += std::string(bytes, 'x') + R"("})";
  const Fleet::Fields fields = {{"Content-Type", "application/json"},
                                {"Accept", "application/json, text/event-stream"},
                                {"Content-Length", std::to_string(body.size())}};
  return fleet.send("POST", fields, body, to);
}

std::string result_of(std::size_t bytes) { return R"({"content":")" + std::string(bytes, 'x') + R"("})"; }

TEST(Share, ReadsBodiesOfEverySize) {
  Fleet fleet;
  for (const std::size_t bytes : {10u, 65'000u, 65'536u, 70'000u, 131'072u, 4'000'000u})
    EXPECT_EQ(send_padded(fleet, bytes)->body(), R"({"jsonrpc":"2.0","id":1,"result":{}})") << bytes;
  EXPECT_EQ(summary(send_padded(fleet, 4u << 20)), "413 -32600");
  const Fleet::Fields chunked = {{"Content-Type", "application/json"},
                                 {"Accept", "application/json, text/event-stream"},
                                 {"Transfer-Encoding", "chunked"}};
  EXPECT_EQ(summary(fleet.send("POST", chunked, std::string(ping))), "200 result");
  EXPECT_EQ(summary(fleet.send("POST", chunked, std::string(ping) + std::string(4u << 20, ' '))),
            "413 -32600");
  EXPECT_EQ(fleet.memory.held(), 0u);
}

TEST(Share, RefusesABodyThatTheCallersShareDoesNotHold) {
  Fleet fleet;
  fleet.memory.set_bytes_max(400'000);
  auto answers = fleet.memory.open("alice", Kind::answer);
  answers.add(150'000);
  const auto refused = send_padded(fleet, 100'000);
  EXPECT_EQ(summary(refused), "429 -32000");
  EXPECT_EQ(refused->header("Retry-After"), "1");
  EXPECT_EQ(summary(send_padded(fleet, 100'000, bob)), "200 result");
  EXPECT_EQ(summary(send_padded(fleet, 1'000)), "200 result");
  EXPECT_EQ(fleet.memory.refused(Kind::request), 1u);
  EXPECT_EQ(fleet.memory.held(), 150'000u);
}

TEST(Share, DropsAnAnswerThatItDoesNotHold) {
  Fleet fleet;
  fleet.memory.set_bytes_max(100'000);
  const auto modern = fleet.modern("tools/call", R"({"name":"t"})");
  fleet.host().last().end(Outcome::success(result_of(60'000)));
  fleet.run();
  EXPECT_EQ(summary(modern), "200 -32603");
  EXPECT_NE(modern->body().find("The call has run, but its answer of 60014 bytes was dropped"),
            std::string::npos);
  const std::string session = fleet.initialize();
  const auto legacy = fleet.legacy(call_tool, session);
  fleet.host().last().end(Outcome::success(result_of(60'000)));
  fleet.run();
  EXPECT_EQ(summary(legacy), "200 -32603");
  const auto small = fleet.legacy(call_tool, session);
  fleet.host().last().end(Outcome::success(result_of(20'000)));
  fleet.run();
  EXPECT_EQ(summary(small), "200 result");
  EXPECT_EQ(fleet.memory.held(Kind::answer), 0u);
  EXPECT_EQ(fleet.memory.held(Kind::request), 0u);
}

TEST(Share, LeavesOutProgressThatItDoesNotHold) {
  Fleet fleet;
  fleet.memory.set_bytes_max(100'000);
  const std::string session = fleet.initialize();
  const auto sent = fleet.legacy(call_tool, session);
  const std::string long_words = std::string(60'000, 'x');
  fleet.host().last().notify("notifications/progress", R"({"progress":1,"message":")" + long_words + R"("})");
  fleet.run();
  fleet.host().last().notify("notifications/progress", R"({"progress":2})");
  fleet.host().last().end(Outcome::success("{}"));
  fleet.run();
  ASSERT_EQ(sent->events().size(), 2u);
  EXPECT_NE(sent->events()[0].find(R"("progress":2)"), std::string::npos);
}

TEST(Share, SendsALongMessageAsItLies) {
  Fleet fleet;
  const auto sent = fleet.modern_with("tools/call", R"({"name":"t"})", R"("progressToken":1)");
  fleet.host().last().notify("notifications/progress", R"({"progress":1})");
  fleet.run();
  fleet.host().last().end(Outcome::success(result_of(100'000)));
  fleet.run();
  ASSERT_EQ(sent->events().size(), 2u);
  EXPECT_NE(sent->events()[1].find(std::string(100'000, 'x')), std::string::npos);
}

TEST(Share, MakesRoomAmongSessionsForANewOne) {
  Fleet fleet;
  fleet.memory.set_bytes_max(100'000);
  const std::string capabilities = R"({"experimental":{")" + std::string(10'000, 'x') + R"(":{}}})";
  std::vector<std::string> sessions;
  for (int i = 0; i < 5; ++i) {
    sessions.push_back(fleet.initialize(capabilities));
    fleet.clock.advance(1s);
  }
  EXPECT_EQ(summary(fleet.legacy(ping, sessions[0])), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, sessions[1])), "404 -32001");
  EXPECT_EQ(summary(fleet.legacy(ping, sessions[4])), "200 result");
  EXPECT_EQ(summary(fleet.legacy(ping, fleet.initialize("{}", "2025-11-25", bob), bob)), "200 result");
  auto answers = fleet.memory.open("alice", Kind::answer);
  answers.add(60'000);
  const auto refused = fleet.legacy(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})", "");
  EXPECT_EQ(summary(refused), "503 -32000");
  EXPECT_EQ(summary(fleet.legacy(ping, sessions[4])), "200 result") << "no session goes for unread answers";
}

TEST(Share, CountsTheUrisOfASession) {
  Fleet fleet;
  fleet.host().description.capabilities = R"({"resources":{"subscribe":true}})";
  fleet.memory.set_bytes_max(90'000);
  const std::string session = fleet.initialize();
  const std::size_t before = fleet.memory.held(Kind::session);
  const auto watch = [&](std::string_view verb, char letter) {
    return summary(fleet.legacy(
        fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"resources/{}","params":{{"uri":"x:{}"}}}})", verb,
                    std::string(5'000, letter)),
        session));
  };
  EXPECT_EQ(watch("subscribe", 'a'), "200 result");
  EXPECT_EQ(watch("subscribe", 'b'), "200 result");
  EXPECT_EQ(watch("subscribe", 'c'), "200 -32000");
  EXPECT_EQ(watch("unsubscribe", 'a'), "200 result");
  EXPECT_EQ(watch("unsubscribe", 'b'), "200 result");
  EXPECT_EQ(fleet.memory.held(Kind::session), before);
}

TEST(Share, LeavesAQuarterOfTheStreamsToOthers) {
  Fleet fleet;
  fleet.limits.listen_streams_max = 4;
  const auto listen = [&](const Fleet::To& to) {
    return fleet.modern("subscriptions/listen", R"({"notifications":{"toolsListChanged":true}})", to);
  };
  const auto first = listen({});
  listen({});
  listen({});
  EXPECT_EQ(summary(listen({})), "503 -32000");
  EXPECT_EQ(summary(listen(bob)), "200 sse");
  EXPECT_EQ(summary(listen(bob)), "503 -32000") << "all are open";
  first->disconnect();
  fleet.run();
  EXPECT_EQ(summary(listen({})), "200 sse");
}

TEST(ReplayLog, SparesAnswersAndKeepsTheOrder) {
  MemoryAccount memory(1000);
  ReplayLog log(4, 100, memory.open("alice", Kind::session));
  const auto add = [&](std::uint64_t sequence, bool dispensable, std::size_t bytes = 10) {
    log.add({.stream = 1, .sequence = sequence, .json = std::string(bytes, 'x'), .dispensable = dispensable});
  };
  const auto kept = [&] {
    std::string out;
    for (const Event& event : log.after(1, 0)) out += std::to_string(event.sequence) + " ";
    return out;
  };
  add(1, true);
  add(2, false);
  add(3, true);
  add(4, false);
  EXPECT_EQ(kept(), "1 2 3 4 ");
  add(5, false);
  EXPECT_EQ(kept(), "2 3 4 5 ");
  add(6, false);
  add(7, false);
  EXPECT_EQ(kept(), "4 5 6 7 ");
  add(8, false, 101);
  EXPECT_EQ(kept(), "4 5 6 7 ") << "longer than everything together may be";
  add(9, true, 75);
  EXPECT_EQ(kept(), "6 7 9 ");
  EXPECT_EQ(memory.held(), 95u);
  memory.set_bytes_max(180);
  add(10, false, 5);
  EXPECT_EQ(kept(), "6 7 10 ") << "memory is short";
}

}  // namespace
}  // namespace berth::task
