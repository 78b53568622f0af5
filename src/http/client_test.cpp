#include "http/client.h"

#include <gtest/gtest.h>

#include "base/testing/sim_clock.h"
#include "http/server.h"
#include "net/testing/memory_network.h"

namespace berth::http {
namespace {

using namespace std::chrono_literals;

const net::Endpoint address{"10.0.0.1", 80};

/// A server that plays a script: for each connection the answers it gives, one a request.
class ScriptedServer {
 public:
  ScriptedServer(net::Network& network, testing::SimClock& clock)
      : clock_(clock), listener_(network.listen(address).value()), scope_(clock.executor()) {
    scope_.spawn(accept());
  }
  ~ScriptedServer() {
    listener_->close();
    scope_.cancel();
    clock_.run_until_idle();
  }

  /// The next connection gives these answers; "<close>" at the end of one closes after it.
  void script(std::vector<std::string> answers) { scripts_.push_back(std::move(answers)); }
  std::vector<std::string> requests;
  std::size_t connections = 0;

  void close_connections() {
    for (auto& stream : streams_) stream->close();
    clock_.run_until_idle();
  }

 private:
  Task<void> accept() {
    while (true) {
      auto accepted = co_await listener_->accept();
      if (!accepted) co_return;
      streams_.push_back(std::move(*accepted));
      const std::size_t index = connections++;
      scope_.spawn(converse(*streams_.back(), scripts_.at(index)));
    }
  }

  Task<void> converse(net::Stream& stream, std::vector<std::string> answers) {
    for (const std::string& planned : answers) {
      std::string answer = planned;
      std::array<char, 4096> into;
      const auto count = co_await stream.read_some(into);
      if (!count || *count == 0) co_return;
      requests.emplace_back(into.data(), *count);
      const bool closes = answer.ends_with("<close>");
      if (closes) answer.resize(answer.size() - 7);
      co_await stream.write(answer);
      if (closes) stream.close();
    }
  }

  testing::SimClock& clock_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::vector<std::string>> scripts_;
  std::vector<std::unique_ptr<net::Stream>> streams_;
  TaskScope scope_;
};

class HttpClient : public ::testing::Test {
 protected:
  void SetUp() override {
    ClientOptions options;
    options.endpoint = address;
    client = make_client(*network, std::move(options));
  }

  /// "STATUS BODY", or "CODE: message".
  std::string fetch(std::string method, std::string body = {}, std::string target = "/x") {
    ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    request.redirects_max = redirects_max;
    if (timeout) request.deadline = clock.now() + *timeout;
    delivery = {};
    request.delivery = &delivery;
    outcome.clear();
    scope.spawn(fetch_into(std::move(request)));
    clock.run_until_idle();
    return outcome;
  }

  Task<void> fetch_into(ClientRequest request) {
    auto response = co_await client->fetch(std::move(request), 20);
    if (response) {
      outcome = std::to_string(response->status) + " " + response->body;
    } else {
      outcome = std::string(to_string(response.error().code())) + ": " + response.error().message();
    }
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  ScriptedServer server{*network, clock};
  std::unique_ptr<Client> client;
  std::optional<Duration> timeout;
  int redirects_max = 0;
  Delivery delivery;
  std::string outcome;
  TaskScope scope{loop.get_executor()};
};

const std::string hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

TEST_F(HttpClient, SendsHostAndLengthAndReusesTheConnection) {
  server.script({hello, hello});
  EXPECT_EQ(fetch("GET"), "200 hello");
  EXPECT_EQ(fetch("POST", "body"), "200 hello");
  EXPECT_EQ(server.connections, 1u);
  EXPECT_EQ(server.requests, (std::vector<std::string>{
                                 "GET /x HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n",
                                 "POST /x HTTP/1.1\r\nHost: 10.0.0.1:80\r\nContent-Length: 4\r\n\r\nbody"}));
}

TEST_F(HttpClient, ReadsEveryFraming) {
  server.script(
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
       "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
       "HTTP/1.0 200 OK\r\n\r\nuntil the end<close>"});
  EXPECT_EQ(fetch("GET"), "200 hello");
  EXPECT_EQ(fetch("GET"), "204 ");
  EXPECT_EQ(fetch("HEAD"), "200 ");
  EXPECT_EQ(fetch("GET"), "200 until the end");
  EXPECT_EQ(server.connections, 1u);
}

TEST_F(HttpClient, BoundsTheBodyItCollects) {
  server.script({"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n123456789012345678901"});
  server.script(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n123456789012345678901\r\n0\r\n\r\n",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n12345678901234567890\r\n0\r\n\r\n"});
  EXPECT_EQ(fetch("GET"), "resource_exhausted: The body is longer than the limit of 20 bytes.");
  EXPECT_EQ(fetch("GET"), "resource_exhausted: The body is longer than the limit of 20 bytes.");
  EXPECT_EQ(fetch("GET"), "200 12345678901234567890");
}

TEST_F(HttpClient, ABodyCutShortIsUnavailable) {
  server.script({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello<close>"});
  server.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n<close>"});
  EXPECT_EQ(fetch("GET"), "unavailable: The peer closed the connection in the middle of a body.");
  EXPECT_EQ(fetch("GET"), "unavailable: The peer closed the connection in the middle of a body.");
}

TEST_F(HttpClient, NoListenerIsUnavailable) {
  network->cut(address);
  EXPECT_TRUE(fetch("GET").starts_with("unavailable: cannot connect to 10.0.0.1:80: ")) << outcome;
  EXPECT_FALSE(delivery.handed_over);
  EXPECT_FALSE(delivery.timed_out);
}

TEST_F(HttpClient, TriesTheOtherAddressesOfAHostAndBeginsWithTheOneThatAnsweredLast) {
  ClientOptions options;
  options.endpoint = {"10.0.0.9", 80};
  options.alternatives = {{"10.0.0.8", 80}, address};
  options.idle_connections_max = 0;
  client = make_client(*network, std::move(options));
  server.script({hello});
  EXPECT_EQ(fetch("POST", "x"), "200 hello");
  server.script({hello});
  EXPECT_EQ(fetch("POST", "x"), "200 hello");
  network->cut(address);
  const std::string failed = fetch("POST", "x");
  const std::size_t last = failed.find("cannot connect to 10.0.0.1:80: ");
  EXPECT_LT(last, failed.find("cannot connect to 10.0.0.9:80: ")) << failed;
  EXPECT_NE(failed.find("cannot connect to 10.0.0.8:80: "), std::string::npos) << failed;
  EXPECT_FALSE(delivery.handed_over);
}

TEST_F(HttpClient, AnAnswerThatIsNotHttpIsUnavailable) {
  server.script({"SSH-2.0-OpenSSH\r\n"});
  EXPECT_TRUE(fetch("GET").starts_with("unavailable: GET /x at 10.0.0.1:80: the answer is not HTTP/1.1: "));
}

TEST_F(HttpClient, AFreshConnectionThatEndsWithoutAnAnswerIsNotTriedAgain) {
  server.script({"<close>"});
  EXPECT_EQ(fetch("GET"),
            "unavailable: GET /x at 10.0.0.1:80: the connection was closed before the head of the answer");
}

TEST_F(HttpClient, NoErrorShowsTheQueryWhichMayBeAKey) {
  server.script({"<close>"});
  EXPECT_EQ(fetch("GET", "", "/x?key=secret"),
            "unavailable: GET /x at 10.0.0.1:80: the connection was closed before the head of the answer");
  EXPECT_EQ(fetch("GET", "", "/x?key=secret key").find("secret"), std::string::npos) << outcome;
}

TEST_F(HttpClient, RetriesOnAStaleConnectionOnlyWhatIsSafe) {
  server.script({hello, "<close>"});
  server.script({hello, "<close>"});
  EXPECT_EQ(fetch("GET"), "200 hello");
  EXPECT_EQ(fetch("GET"), "200 hello");
  EXPECT_EQ(server.connections, 2u);
  EXPECT_TRUE(fetch("POST", "body").starts_with("unavailable: ")) << outcome;
  EXPECT_TRUE(delivery.handed_over);
  EXPECT_EQ(server.connections, 2u);
}

TEST_F(HttpClient, ARequestOfWhichAPartWasHandedOverIsNotSentAgain) {
  server.script({hello, "<close>"});
  server.script({hello});
  EXPECT_EQ(fetch("GET"), "200 hello");
  // Closed after its first bytes, while the rest of it finds no room: the write fails.
  const std::string large(1 << 20, 'x');
  EXPECT_TRUE(fetch("POST", large).starts_with("unavailable: POST /x at 10.0.0.1:80: writing to "))
      << outcome;
  EXPECT_EQ(server.connections, 1u);
  EXPECT_EQ(server.requests.size(), 2u);
}

std::string moved(int status, std::string_view location) {
  return "HTTP/1.1 " + std::to_string(status) + " Moved\r\nLocation: " + std::string(location) +
         "\r\nContent-Length: 4\r\n\r\ngone";
}

TEST_F(HttpClient, FollowsARedirectWithinItsOriginWithTheWholeRequest) {
  redirects_max = 2;
  server.script({moved(307, "/y?z=1"), moved(308, "http://10.0.0.1/w#part"), hello});
  EXPECT_EQ(fetch("POST", "abc", "/x"), "200 hello");
  ASSERT_EQ(server.requests.size(), 3u);
  EXPECT_TRUE(server.requests[1].starts_with("POST /y?z=1 HTTP/1.1\r\n")) << server.requests[1];
  EXPECT_TRUE(server.requests[2].starts_with("POST /w HTTP/1.1\r\n"));
  EXPECT_TRUE(server.requests[2].ends_with("\r\n\r\nabc"));
  EXPECT_EQ(server.connections, 1u);
}

TEST_F(HttpClient, NamesARedirectThatItDoesNotFollow) {
  redirects_max = 2;
  const std::string where = "invalid_argument: POST /x at 10.0.0.1:80: ";
  server.script({moved(301, "/y")});
  EXPECT_EQ(fetch("POST", "a"), where +
                                    "it answered POST with HTTP 301, which would make it a GET of "
                                    "http://10.0.0.1/y; set the url to that");
  server.script({moved(308, "https://10.0.0.1/y?key=secret")});
  EXPECT_EQ(fetch("POST", "a"), where +
                                    "it answered HTTP 308 and names another place, https://10.0.0.1/y; if "
                                    "that is right, set the url to it");
  server.script({"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"});
  EXPECT_EQ(fetch("POST", "a"), where + "it answered HTTP 302 without saying where to go (Location)");
  server.script({moved(307, "a"), moved(307, "b"), moved(307, "c")});
  EXPECT_EQ(fetch("POST", "a"),
            "invalid_argument: POST /b at 10.0.0.1:80: it goes on sending the request elsewhere");
  redirects_max = 0;
  server.script({moved(301, "/y")});
  EXPECT_EQ(fetch("GET"), "301 gone") << "who has not asked for it gets the answer";
}

TEST_F(HttpClient, ForgetsIdleConnectionsThatTheServerClosedOrThatAreTooOld) {
  server.script({hello});
  server.script({hello, hello});
  server.script({hello});
  EXPECT_EQ(fetch("POST"), "200 hello");
  server.close_connections();
  EXPECT_EQ(fetch("POST"), "200 hello");
  EXPECT_EQ(server.connections, 2u);
  clock.advance(61s);
  EXPECT_EQ(fetch("POST"), "200 hello");
  EXPECT_EQ(server.connections, 3u);
}

TEST_F(HttpClient, TheDeadlineCoversTheHeadAndTheCollectedBody) {
  timeout = 5s;
  server.script({"HTTP/1.1 200 OK\r\n"});
  server.script({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"});
  EXPECT_EQ(fetch("GET"), "");
  clock.advance(5s);
  EXPECT_TRUE(outcome.starts_with("deadline_exceeded: ")) << outcome;
  EXPECT_EQ(fetch("GET"), "");
  clock.advance(5s);
  EXPECT_TRUE(outcome.starts_with("deadline_exceeded: ")) << outcome;
}

TEST_F(HttpClient, RefusesWhatHttpCannotCarry) {
  EXPECT_TRUE(fetch("GET /\r\nX:").starts_with("invalid_argument: ")) << outcome;
}

/// Streams forever, and notices when its client leaves.
class Endless final : public Service {
 public:
  explicit Endless(Clock& clock) : clock_(clock) {}
  Task<void> serve(Exchange& exchange) override {
    exchange.on_disconnect([this] { left = true; });
    ResponseHead head;
    co_await exchange.begin(std::move(head));
    while (!left) {
      co_await exchange.write("tick");
      co_await clock_.sleep_for(1s);
    }
  }
  bool left = false;

 private:
  Clock& clock_;
};

Task<void> read_two_ticks(Client& client, std::string& seen) {
  ClientRequest request;
  auto response = co_await client.send(std::move(request));
  std::array<char, 100> into;
  for (int i = 0; i < 2; ++i) {
    const auto count = co_await (*response)->read_some(into);
    seen += std::string(into.data(), count.value()) + ";";
  }
}

Task<void> drain_now(Server& server, Clock& clock) { co_await server.drain(clock.now() + 5s); }

TEST_F(HttpClient, ReadsAStreamAsItComesAndLeavingCancelsIt) {
  const net::Endpoint other{"10.0.0.2", 80};
  Endless endless(clock);
  const auto streaming = make_server(network->listen(other).value(), nullptr, endless, clock, null_log(), {});
  ClientOptions options;
  options.endpoint = other;
  const auto streaming_client = make_client(*network, std::move(options));
  std::string seen;
  scope.spawn(read_two_ticks(*streaming_client, seen));
  clock.run_until_idle();
  EXPECT_EQ(seen, "tick;");
  EXPECT_FALSE(endless.left);
  clock.advance(1s);
  EXPECT_EQ(seen, "tick;tick;");
  EXPECT_TRUE(endless.left);
  scope.spawn(drain_now(*streaming, clock));
  clock.advance(5s);
}

}  // namespace
}  // namespace berth::http
