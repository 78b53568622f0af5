#include "task/native/stdio_server.h"

#include <gtest/gtest.h>

#include <array>

#include "base/testing/sim_clock.h"
#include "berth/server.h"
#include "net/testing/memory_network.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

struct Name {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Name, (), (name))

class StdioServerTest : public ::testing::Test {
 protected:
  StdioServerTest() : scope(loop.get_executor()) {
    server.tool<Name>("hello", "Greets.", [](const Name& who) { return "Hello, " + who.name; });
    server.tool("slow", "Sleeps.", [](Call& call) -> Task<std::string> {
      call.progress(1, 2);
      call.log(LoggingLevel::info, "sleeping");
      co_await call.clock().sleep_for(5s);
      co_return "slept";
    });
    server.tool("who", "Asks.", [](Call& call) -> Task<std::string> {
      const auto name = co_await call.elicit<Name>("Who?", Key("who"));
      co_return name ? "You are " + name.value.name : std::string(to_string(name.action));
    });
    auto [near, far] = net::testing::make_stream_pair(clock);
    client = std::move(near);
    other = std::move(far);
    front = make_stdio_server(server, *other, *other, clock, null_log(), spec, 10s);
    scope.spawn(run());
    scope.spawn(listen());
  }
  ~StdioServerTest() override {
    client->close_write();
    clock.advance(1h);
    client->close();
    clock.run_until_idle();
    EXPECT_EQ(scope.size(), 0u);
  }

  Task<void> run() {
    const auto served = co_await front->serve();
    outcome = served ? "ended" : served.error().message();
    other->close();
  }
  Task<void> listen() {
    std::array<char, 4096> chunk{};
    while (true) {
      const auto count = co_await client->read_some(chunk);
      if (!count || *count == 0) co_return;
      received.append(chunk.data(), *count);
    }
  }
  Task<void> write(std::string text) { co_await client->write(text); }

  /// Sends a line and tells what has come back once nothing more happens by itself.
  std::string say(const std::string& line) {
    scope.spawn(write(line + "\n"));
    clock.run_until_idle();
    return std::exchange(received, {});
  }
  std::string initialize() {
    return say(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
               R"("capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}})");
  }
  static std::string modern(std::string_view id, std::string_view method, std::string_view members) {
    return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":")" + std::string(method) +
           R"(","params":{)" + std::string(members) + (members.empty() ? "" : ",") +
           R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
           R"("io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"progressToken":7}}})";
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  Server server{"test", "1.0"};
  model::ServerSpec spec;
  std::unique_ptr<net::Stream> client;
  std::unique_ptr<net::Stream> other;
  std::unique_ptr<StdioServer> front;
  std::string received;
  std::string outcome;
  TaskScope scope;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_F(StdioServerTest, ServesLegacyClients) {
  const std::string hello = initialize();
  EXPECT_TRUE(has(hello, R"("protocolVersion":"2025-06-18")")) << hello;
  EXPECT_TRUE(has(hello, R"("name":"test")")) << hello;
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","method":"notifications/initialized"})"), "");
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"), R"({"jsonrpc":"2.0","id":1,"result":{}})"
                                                                "\n");
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"hello",)"
                R"("arguments":{"name":"Ada"}}})"),
            R"({"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"Hello, Ada"}]}})"
            "\n");
  EXPECT_TRUE(has(say(R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})"), R"("name":"hello")"));
  EXPECT_TRUE(has(say(R"({"jsonrpc":"2.0","id":3,"method":"none"})"), "-32601"));
}

TEST_F(StdioServerTest, AsksLegacyClientsWithRequests) {
  initialize();
  const std::string question =
      say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"who"}})");
  EXPECT_TRUE(has(question, R"("id":"berth-1","method":"elicitation/create")")) << question;
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":"berth-9","result":{}})"), "");
  EXPECT_TRUE(
      has(say(R"({"jsonrpc":"2.0","id":"berth-1","result":{"action":"accept","content":{"name":5}}})"),
          R"("id":"berth-2")"));
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":"berth-2","result":{"action":"accept","content":{"name":"Ada"}}})"),
            R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"You are Ada"}]}})"
            "\n");
  say(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"who"}})");
  EXPECT_TRUE(has(say(R"({"jsonrpc":"2.0","id":"berth-3","error":{"code":-1,"message":"no"}})"), "cancel"));
}

TEST_F(StdioServerTest, TellsProgressLogsAndChanges) {
  initialize();
  say(R"({"jsonrpc":"2.0","id":9,"method":"resources/subscribe","params":{"uri":"test://a"}})");
  EXPECT_EQ(
      say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow",)"
          R"("_meta":{"progressToken":"t"}}})"),
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t",)"
      R"("progress":1,"total":2}})"
      "\n"
      R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"sleeping"}})"
      "\n");
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}})"),
            R"({"jsonrpc":"2.0","id":2,"result":{}})"
            "\n");
  EXPECT_EQ(say(R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"slow"}})"), "");
  say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}})");
  clock.advance(5s);
  EXPECT_EQ(std::exchange(received, {}),
            R"({"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"slept"}]}})"
            "\n");
  server.tools_changed();
  server.resource_updated("test://a");
  server.resource_updated("test://b");
  clock.run_until_idle();
  EXPECT_TRUE(has(received, "notifications/tools/list_changed"));
  EXPECT_TRUE(has(received, R"("uri":"test://a")"));
  EXPECT_FALSE(has(received, R"("uri":"test://b")"));
}

TEST_F(StdioServerTest, ServesModernClients) {
  const std::string discovered = say(modern("1", "server/discover", ""));
  EXPECT_TRUE(has(discovered, R"("supportedVersions":["2026-07-28"])")) << discovered;
  const std::string answer = say(modern("2", "tools/call", R"("name":"hello","arguments":{"name":"Ada"})"));
  EXPECT_TRUE(has(answer, R"("resultType":"complete")") && has(answer, "Hello, Ada")) << answer;
  EXPECT_TRUE(has(say(modern("3", "ping", "")), "-32601"));
  const std::string asked = say(modern("4", "tools/call", R"("name":"who")"));
  EXPECT_TRUE(has(asked, R"("resultType":"input_required")") && has(asked, R"("who":{"method")")) << asked;
  const std::size_t state = asked.find(R"("requestState":")") + 16;
  const std::string token = asked.substr(state, asked.find('"', state) - state);
  const std::string members =
      R"("name":"who","inputResponses":{"who":{"action":"accept","content":{"name":"Bo"}}},)"
      R"("requestState":")" +
      token + "\"";
  EXPECT_TRUE(has(say(modern("5", "tools/call", members)), "You are Bo"));
  EXPECT_TRUE(has(say(modern("6", "tools/call", members)), "-32603"));
}

TEST_F(StdioServerTest, ModernClientsListen) {
  const std::string acknowledged =
      say(modern("\"l\"", "subscriptions/listen", R"("notifications":{"toolsListChanged":true})"));
  EXPECT_TRUE(has(acknowledged, "notifications/subscriptions/acknowledged")) << acknowledged;
  server.prompts_changed();
  server.tools_changed();
  clock.run_until_idle();
  EXPECT_TRUE(has(received, "notifications/tools/list_changed") && has(received, R"(subscriptionId":"l")"));
  EXPECT_FALSE(has(received, "prompts"));
  received.clear();
  client->close_write();
  clock.run_until_idle();
  EXPECT_TRUE(has(received, R"("id":"l","result":{"resultType":"complete")")) << received;
}

TEST_F(StdioServerTest, BadMessagesHavePreciseAnswers) {
  const std::pair<std::string, std::string> cases[] = {
      {"{", "-32700"},
      {"[]", "-32600"},
      {R"({"jsonrpc":"2.0","id":null,"method":"ping"})", "-32600"},
      {R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"server/discover"})", "-32601"},
      {R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe"})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{)"
       R"("io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})",
       "-32602"},
  };
  for (const auto& [line, code] : cases) EXPECT_TRUE(has(say(line), code)) << line;
  EXPECT_EQ(say("   "), "");
}

TEST_F(StdioServerTest, AnswersWhatIsUnderWayWhenTheInputEnds) {
  say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}})");
  say(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"hello","arguments":{"name":"x"}}})");
  received.clear();
  client->close_write();
  clock.advance(4s);
  EXPECT_EQ(outcome, "");
  clock.advance(1s);
  EXPECT_TRUE(has(received, "slept"));
  EXPECT_EQ(outcome, "ended");
}

TEST_F(StdioServerTest, StopEndsItAndAHugeMessageIsAnError) {
  front->stop();
  clock.run_until_idle();
  EXPECT_EQ(outcome, "ended");
}

TEST_F(StdioServerTest, AMessageBeyondTheLimitEndsIt) {
  spec.message_bytes_max = 100;
  const auto limited_pair = net::testing::make_stream_pair(clock);
  const auto limited =
      make_stdio_server(server, *limited_pair.second, *limited_pair.second, clock, null_log(), spec, 1s);
  std::string message;
  const auto serve = [](StdioServer& stdio, std::string& told) -> Task<void> {
    const auto served = co_await stdio.serve();
    told = served ? "ended" : served.error().message();
  };
  const auto flood = [](net::Stream& stream) -> Task<void> { co_await stream.write(std::string(200, 'x')); };
  scope.spawn(serve(*limited, message));
  scope.spawn(flood(*limited_pair.first));
  clock.advance(2s);
  EXPECT_EQ(message, "The client sent a message of more than 100 bytes.");
}

}  // namespace
}  // namespace berth::task
