#include "task/host/http_sse_client.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/testing/sim_clock.h"
#include "http/server.h"
#include "net/testing/memory_network.h"
#include "task/host/testing/observers.h"
#include "task/host/url_host.h"

namespace berth::task {
namespace {

using host::testing::Changes;
using host::testing::member;
using host::testing::Observer;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A scripted server of 2024-11-05: answers on the stream of its GET.
class OldUpstream final : public http::Service {
 public:
  explicit OldUpstream(Executor executor) : executor_(executor) {}

  std::string endpoint = "/messages?s={}";  ///< with the stream's number
  int get_status = 200;
  int posted_status = 202;
  std::map<std::string, Queue<std::string>*> streams;
  std::vector<std::string> posted;
  std::vector<std::string> credentials;  ///< of everything it was asked

  std::size_t count(std::string_view method) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        posted, [&](const std::string& body) { return member(body, "method") == json_quote(method); }));
  }
  /// An empty one ends the stream.
  void push(const std::string& message, const std::string& stream) { streams.at(stream)->push(message); }

  Task<void> serve(http::Exchange& exchange) override {
    const http::RequestHead& head = exchange.head();
    credentials.emplace_back(head.headers.get("Authorization").value_or(""));
    if (head.method == "GET" && head.path() == "/sse") {
      co_await stream(exchange);
    } else if (head.method == "POST" && head.path() == "/messages") {
      const std::string number(head.query().substr(2));
      const auto body = co_await exchange.read_body(1 << 20);
      posted.push_back(*body);
      co_await exchange.respond(http::text_response(posted_status, "Accepted"));
      if (posted_status == 202) answer(*body, number);
    } else {
      co_await exchange.respond(http::text_response(404, "Cannot POST /sse"));
    }
  }

 private:
  Task<void> stream(http::Exchange& exchange) {
    if (get_status != 200) {
      co_await exchange.respond(http::text_response(get_status, "no"));
      co_return;
    }
    http::ResponseHead head;
    head.headers.set("Content-Type", "text/event-stream");
    co_await exchange.begin(head);
    const std::string number = std::to_string(++last_);
    const std::string where = fmt::format(fmt::runtime(endpoint), number);
    co_await exchange.write("event: endpoint\ndata: " + where + "\n\n");
    Queue<std::string> messages(executor_);
    streams[number] = &messages;
    exchange.on_disconnect([&messages] { messages.push(""); });
    while (true) {
      const std::string message = co_await messages.pop();
      if (message.empty()) break;
      const auto written = co_await exchange.write("event: message\ndata: " + message + "\n\n");
      if (!written) break;
    }
    streams.erase(number);
  }

  void answer(const std::string& body, const std::string& stream) {
    const std::string id = member(body, "id");
    const std::string method = member(body, "method");
    const auto result = [&](std::string_view text) {
      push(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, text), stream);
    };
    if (method == "\"initialize\"") {
      result(R"({"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"old"}})");
    } else if (method == "\"ping\"") {
      result("{}");
    } else if (body.contains("\"quick\"")) {
      push(fmt::format(R"({{"jsonrpc":"2.0","method":"notifications/progress","params":)"
                       R"({{"progressToken":{},"progress":1}}}})",
                       id),
           stream);
      result(R"({"content":[]})");
    }
  }

  Executor executor_;
  int last_ = 0;
};

class HttpSseClientTest : public ::testing::Test {
 protected:
  HttpSseClientTest()
      : clock(loop), network(net::testing::make_memory_network(clock)), upstream(clock.executor()) {
    spec.name = "old";
    spec.url = Secret("http://10.0.0.1:8000/sse");
    spec.headers = {{"Authorization", "Bearer t"}};
    auto listener = network->listen(net::Endpoint{"10.0.0.1", 8000});
    server = http::make_server(std::move(*listener), nullptr, upstream, clock, null_log(), {});
  }
  ~HttpSseClientTest() override {
    calls.clear();
    end(host->drain(clock.now()));
    host.reset();
    for (const auto& [number, stream] : upstream.streams) stream->push("");
    end(stop());
    clock.run_until_idle();
  }

  template <class Work>
  void end(Task<Work> work) {
    bool is_over = false;
    TaskScope scope(clock.executor());
    scope.spawn(await(std::move(work), is_over));
    for (int i = 0; i < 200 && !is_over; ++i) clock.advance(milliseconds(100));
    EXPECT_TRUE(is_over);
  }
  template <class Work>
  static Task<void> await(Task<Work> work, bool& is_over) {
    co_await std::move(work);
    is_over = true;
  }
  Task<void> stop() {
    co_await server->drain(clock.now());
    server.reset();
  }
  void make() {
    host = make_url_host(spec, *network, changes, clock, null_log());
    clock.run_until_idle();
  }
  Observer& call(std::string_view tool) {
    params.push_back(std::make_unique<std::string>(fmt::format(R"({{"name":"{}"}})", tool)));
    observers.push_back(std::make_unique<Observer>());
    mcp::Call call;
    call.caller = &caller;
    call.method = "tools/call";
    call.params = *params.back();
    call.wants_progress = true;
    calls.push_back(host->start(call, *observers.back()));
    clock.run_until_idle();
    return *observers.back();
  }

  asio::io_context loop;
  berth::testing::SimClock clock;
  std::unique_ptr<net::testing::MemoryNetwork> network;
  OldUpstream upstream;
  std::unique_ptr<http::Server> server;
  Changes changes;
  model::ServerSpec spec;
  mcp::Caller caller;
  std::vector<std::unique_ptr<std::string>> params;
  std::vector<std::unique_ptr<Observer>> observers;
  std::unique_ptr<ServerHost> host;
  std::vector<std::unique_ptr<mcp::ActiveCall>> calls;
};

TEST_F(HttpSseClientTest, SpeaksToAServerThatKnowsNoStreamableHttp) {
  make();
  EXPECT_TRUE(host->health().ready) << host->health().reason.whole();
  Observer& quick = call("quick");
  EXPECT_EQ(quick.result(), R"({"content":[]})");
  ASSERT_EQ(quick.notes.size(), 1u);
  EXPECT_TRUE(quick.notes[0].contains(R"("progress":1)"));
  EXPECT_EQ(upstream.count("initialize"), 1u);
  EXPECT_EQ(upstream.count("notifications/initialized"), 1u);
  for (const std::string& each : upstream.credentials) EXPECT_EQ(each, "Bearer t");
  clock.advance(seconds(30));
  EXPECT_TRUE(host->health().ready) << host->health().reason.whole();
  EXPECT_EQ(upstream.streams.size(), 1u);
}

TEST_F(HttpSseClientTest, TakesTheEndpointHoweverItIsWritten) {
  for (const char* const way : {"messages?s={}", "http://10.0.0.1:8000/messages?s={}"}) {
    upstream.endpoint = way;
    make();
    EXPECT_TRUE(host->health().ready) << host->health().reason.whole();
    end(host->drain(clock.now()));
  }
  upstream.endpoint = "http://10.0.0.2:8000/messages?s={}";
  make();
  EXPECT_FALSE(host->health().ready) << "credentials go to no other origin";
}

TEST_F(HttpSseClientTest, HearsWhatTheServerSaysOutsideCalls) {
  make();
  call("quick");
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})", "1");
  clock.run_until_idle();
  ASSERT_EQ(changes.all.size(), 1u);
  EXPECT_EQ(changes.all[0].kind, mcp::Change::Kind::tools_list);
}

TEST_F(HttpSseClientTest, ACallWhoseStreamEndsMayHaveRun) {
  make();
  Observer& slow = call("slow");
  EXPECT_EQ(slow.outcomes, 0);
  upstream.push("", "1");
  clock.run_until_idle();
  EXPECT_TRUE(slow.error().contains("may have run")) << slow.error();
  EXPECT_EQ(call("quick").result(), R"({"content":[]})") << "in another session";
  EXPECT_EQ(upstream.count("initialize"), 2u);
}

TEST_F(HttpSseClientTest, OpensAnotherSessionWhereTheServerForgotIt) {
  make();
  call("quick");
  upstream.posted_status = 404;
  call("quick");
  upstream.posted_status = 202;
  EXPECT_EQ(call("quick").result(), R"({"content":[]})");
}

TEST_F(HttpSseClientTest, SaysWhatAServerAnsweredThatSpeaksNeither) {
  upstream.get_status = 405;
  make();
  EXPECT_FALSE(host->health().ready);
  EXPECT_TRUE(host->health().reason.whole().contains("answered initialize with HTTP 404"))
      << host->health().reason.whole();
}

TEST_F(HttpSseClientTest, AStreamWithoutAnEndpointEndsInTime) {
  upstream.endpoint = "";
  spec.start_timeout = seconds(5);
  make();
  clock.advance(seconds(6));
  EXPECT_FALSE(host->health().ready);
}

}  // namespace
}  // namespace berth::task
