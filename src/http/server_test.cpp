#include "http/server.h"

#include <gtest/gtest.h>
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif

#include <functional>
#include <stdexcept>
#include <vector>

#include "base/testing/sim_clock.h"
#include "net/testing/memory_network.h"

namespace berth::http {
namespace {

using namespace std::chrono_literals;

const net::Endpoint address{"10.0.0.1", 80};

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    events.emplace_back(event);
  }
  std::vector<std::string> events;
};

/// Answers by path, so that a test reads as the bytes that go in and the bytes that come out.
class Demo final : public Service {
 public:
  explicit Demo(Clock& clock) : clock_(clock), go_on(clock.executor()) {}

  Task<void> serve(Exchange& exchange) override {
    const std::string path(exchange.head().path());
    if (path == "/echo") co_return co_await echo(exchange);
    if (path == "/some") co_return co_await echo_parts(exchange);
    if (path == "/stream") co_return co_await stream(exchange);
    if (path == "/cut") co_return co_await stream_cut(exchange);
    if (path == "/wait") {
      exchange.on_disconnect([this] { ++disconnects; });
      co_await go_on.wait();
    }
    last_target = exchange.head().target;
    if (path == "/throw") throw std::runtime_error("broken");
    if (path == "/nothing") co_return;
    Response response = text_response(200, exchange.head().method + " " + exchange.head().target);
    if (path == "/split") response.headers.add("X", "a\r\nSet-Cookie: b");
    if (path == "/close") response.headers.add("Connection", "close");
    if (path == "/dated") response.headers.add("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    if (path == "/none") response.status = 204;
    if (path == "/host") response.body = *exchange.head().headers.get("host");
    if (path == "/large") response.body = std::string(1'000'000, 'x');
    co_await exchange.respond(std::move(response));
  }

  int disconnects = 0;
  std::string_view last_target;  ///< of a request that may be over
  Clock& clock_;
  Signal go_on;

 private:
  static Task<void> echo(Exchange& exchange) {
    auto body = co_await exchange.read_body(10);
    Response response = body ? text_response(200, *body) : text_response(status_of(body.error()), "refused");
    co_await exchange.respond(std::move(response));
  }

  static int status_of(const Error& error) {
    if (error.code() == ErrorCode::resource_exhausted) return 413;
    return error.code() == ErrorCode::deadline_exceeded ? 408 : 400;
  }

  static Task<void> echo_parts(Exchange& exchange) {
    ResponseHead head;
    if (const auto length = exchange.head().headers.get("X-Length"))
      head.headers.add("Content-Length", *length);
    co_await exchange.begin(std::move(head));
    std::array<char, 4> into;
    while (true) {
      const auto count = co_await exchange.read_body_some(into);
      if (!count || *count == 0) break;
      co_await exchange.write(std::string_view(into.data(), *count));
    }
    co_await exchange.finish();
  }

  Task<void> stream(Exchange& exchange) {
    ResponseHead head;
    head.headers.add("Content-Type", "text/event-stream");
    co_await exchange.begin(std::move(head));
    co_await exchange.write("one");
    co_await clock_.sleep_for(1s);
    co_await exchange.write("two");
    co_await exchange.finish();
  }

  static Task<void> stream_cut(Exchange& exchange) {
    ResponseHead head;
    co_await exchange.begin(std::move(head));
    co_await exchange.write("half");
    throw std::runtime_error("broken");
  }
};

/// A client that sends bytes and keeps what comes back.
class Peer {
 public:
  Peer(net::Network& network, testing::SimClock& clock) : clock_(clock), scope_(clock.executor()) {
    scope_.spawn(receive(network));
    clock.run_until_idle();
  }
  ~Peer() {
    scope_.cancel();
    clock_.run_until_idle();
  }

  void send(std::string bytes) {
    scope_.spawn(write(std::move(bytes)));
    clock_.run_until_idle();
  }
  /// What came since the last call, without Date; a closed connection shows as "<end>".
  std::string take() {
    std::string text = take_all();
    for (std::size_t at = 0; (at = text.find("Date: ")) != std::string::npos;)
      text.erase(at, text.find('\n', at) + 1 - at);
    return text;
  }
  std::string take_all() { return std::exchange(received_, {}); }
  void close() {
    stream_->close();
    clock_.run_until_idle();
  }
  void pause(bool paused) { paused_ = paused; }

 private:
  Task<void> receive(net::Network& network) {
    auto connected = co_await network.connect(address, clock_.now() + 1s);
    stream_ = std::move(connected.value());
    std::array<char, 700> into;
    while (true) {
      while (paused_) co_await clock_.sleep_for(1s);
      const auto count = co_await stream_->read_some(into);
      if (!count || *count == 0) break;
      received_.append(into.data(), *count);
    }
    received_ += "<end>";
  }
  Task<void> write(std::string bytes) { co_await stream_->write(bytes); }

  testing::SimClock& clock_;
  std::unique_ptr<net::Stream> stream_;
  std::string received_;
  bool paused_ = false;
  TaskScope scope_;
};

class HttpServer : public ::testing::Test {
 protected:
  void SetUp() override {
    limits.head_bytes_max = 1024;
    limits.head_fields_max = 5;
    limits.target_bytes_max = 100;
    limits.connections_max = 3;
    server = make_server(network->listen(address).value(), nullptr, demo, clock, log, limits);
  }
  void TearDown() override { drain(0s); }

  Task<void> drain_until(TimePoint deadline) {
    const std::size_t counted = co_await server->drain(deadline);
    cut = counted;
  }
  Task<void> hurry() { co_await server->drain(clock.now()); }
  void start_drain(Duration time) {
    cut.reset();
    scope.spawn(drain_until(clock.now() + time));
    clock.run_until_idle();
  }
  void drain(Duration time) {
    start_drain(time);
    clock.advance(time);
  }
  std::unique_ptr<Peer> connect() { return std::make_unique<Peer>(*network, clock); }
  std::string ask(std::string bytes) {
    const auto peer = connect();
    peer->send(std::move(bytes));
    return peer->take();
  }

  asio::io_context loop;
  testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  Demo demo{clock};
  RecordingLog log;
  ServerLimits limits;
  std::unique_ptr<Server> server;
  std::optional<std::size_t> cut;
  TaskScope scope{loop.get_executor()};
};

std::string ok(std::string_view body, std::string_view connection = {}) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(connection) + "\r\n" + std::string(body);
}
constexpr std::string_view closing = "Connection: close\r\n";

TEST_F(HttpServer, AnswersAndKeepsTheConnection) {
  const auto peer = connect();
  peer->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(peer->take(), ok("GET /a"));
  peer->send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(peer->take(), ok("hello"));
  EXPECT_EQ(server->connections(), 1u);
}

TEST_F(HttpServer, AnswersTheSameHoweverTheRequestsAreFragmented) {
  const std::string requests =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
      "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string answers = ok("hello") + ok("abcd") + ok("GET /b", closing) + "<end>";
  for (std::size_t split = 1; split < requests.size(); ++split) {
    const auto peer = connect();
    peer->send(requests.substr(0, split));
    peer->send(requests.substr(split));
    ASSERT_EQ(peer->take(), answers) << split;
  }
  const auto peer = connect();
  for (const char byte : requests) peer->send(std::string(1, byte));
  EXPECT_EQ(peer->take(), answers);
}

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  std::string requests;
  std::string answers;
  for (int i = 0; i < 50; ++i) {
    const std::string target = "/" + std::to_string(i);
    requests += "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
    answers += ok("GET " + target);
  }
  EXPECT_EQ(ask(requests), answers);
}

TEST_F(HttpServer, ClosesOrKeepsAsVersionAndConnectionSay) {
  EXPECT_EQ(ask("GET /a HTTP/1.0\r\n\r\n"), ok("GET /a", closing) + "<end>");
  EXPECT_EQ(ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            ok("GET /a", "Connection: keep-alive\r\n"));
  EXPECT_EQ(ask("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), ok("GET /a", closing) + "<end>");
  EXPECT_EQ(ask("GET /close HTTP/1.1\r\nHost: x\r\n\r\n"), ok("GET /close", closing) + "<end>");
}

TEST_F(HttpServer, HeadAnd204HaveNoBody) {
  EXPECT_EQ(ask("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 7\r\n\r\n" +
                ok("GET /b"));
  EXPECT_EQ(ask("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(ask("GET /none HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 204 No Content\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
}

TEST_F(HttpServer, TakesAnAbsoluteTargetsAuthorityAsHost) {
  EXPECT_EQ(ask("GET http://real:1/host HTTP/1.1\r\nHost: fake\r\n\r\n"), ok("real:1"));
  EXPECT_EQ(ask("GET http://real?q HTTP/1.1\r\nHost: fake\r\n\r\n"), ok("GET /?q"));
}

TEST_F(HttpServer, StreamsEachPartAtOnce) {
  const auto peer = connect();
  peer->send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(
      peer->take(),
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
  clock.advance(1s);
  EXPECT_EQ(peer->take(), "3\r\ntwo\r\n0\r\n\r\n");
  peer->send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  clock.advance(1s);
  EXPECT_EQ(peer->take(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nonetwo<end>");
}

TEST_F(HttpServer, StreamsBothWaysWithAKnownOrUnknownLength) {
  EXPECT_EQ(ask("POST /some HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n");
  EXPECT_EQ(ask("POST /some HTTP/1.1\r\nHost: x\r\nX-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  // Fewer bytes than promised: the connection ends, so that the client can tell.
  EXPECT_EQ(ask("POST /some HTTP/1.1\r\nHost: x\r\nX-Length: 6\r\nContent-Length: 5\r\n\r\nhello"),
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello<end>");
}

TEST_F(HttpServer, SaysContinueOnlyWhenTheBodyIsWanted) {
  const auto peer = connect();
  peer->send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer->take(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer->send("hello");
  EXPECT_EQ(peer->take(), ok("hello"));
  peer->send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer->take(), ok("POST /a", closing) + "<end>");
}

TEST_F(HttpServer, ReadsASmallUnreadBodyAwayAndClosesOnALargeOne) {
  EXPECT_EQ(
      ask("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n"),
      ok("POST /a") + ok("GET /b"));
  const auto peer = connect();
  peer->send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_EQ(peer->take(), ok("POST /a", closing) + "<end>");
}

std::string status_line(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }

TEST_F(HttpServer, RefusesBeyondEveryLimitAndCloses) {
  const std::string host = " HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, std::string> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"POST /" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400 Bad Request"},
      {"GET /" + host + "X: " + std::string(2000, 'x') + "\r\n\r\n",
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {"GET /" + host + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n",
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {"GET /" + std::string(100, 'x') + host + "\r\n", "HTTP/1.1 414 URI Too Long"},
      {"POST /" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 501 Not Implemented"},
      {"PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
      {"POST /echo" + host + "Content-Length: 100000\r\n\r\n", "HTTP/1.1 413 Content Too Large"},
      {"POST /echo" + host + "Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 Bad Request"},
  };
  for (const auto& [wire, status] : cases) {
    const std::string answer = ask(wire);
    EXPECT_EQ(status_line(answer), status) << wire;
    EXPECT_NE(answer.find(closing), std::string::npos) << wire;
    EXPECT_TRUE(answer.ends_with("<end>")) << wire;
  }
  // Above the service's limit, but small enough to be read away: the connection goes on.
  EXPECT_EQ(status_line(ask("POST /echo" + host + "Content-Length: 11\r\n\r\nhello world")),
            "HTTP/1.1 413 Content Too Large");
  EXPECT_EQ(status_line(
                ask("POST /echo" + host + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")),
            "HTTP/1.1 413 Content Too Large");
}

TEST_F(HttpServer, TimesOutIdleConnectionsHeadsAndBodies) {
  const auto idle = connect();
  const auto head = connect();
  const auto body = connect();
  body->send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
  clock.advance(125s);
  EXPECT_EQ(status_line(body->take()), "HTTP/1.1 408 Request Timeout");
  EXPECT_EQ(idle->take(), "");
  head->send("GET / HT");
  clock.advance(9s);
  EXPECT_EQ(head->take(), "");
  EXPECT_EQ(idle->take(), "<end>");
  clock.advance(1s);
  const std::string answer = head->take();
  EXPECT_EQ(status_line(answer), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(answer.ends_with("<end>"));
}

TEST_F(HttpServer, AClientThatDripsItsHeadIsStillTimedOut) {
  const auto peer = connect();
  for (const char byte : std::string("GET / HTTP")) {
    peer->send(std::string(1, byte));
    clock.advance(1s);
  }
  EXPECT_EQ(status_line(peer->take()), "HTTP/1.1 408 Request Timeout");
}

TEST_F(HttpServer, HalfReadHeadsTogetherAreBounded) {
  drain(0s);
  limits.head_bytes_max = 1u << 20;
  limits.connections_max = 64;
  server = make_server(network->listen(address).value(), nullptr, demo, clock, log, limits);
  const std::string half = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string((1u << 20) - 1024, 'x');
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 16; ++i) {
    peers.push_back(connect());
    peers.back()->send(half);
    EXPECT_EQ(peers.back()->take(), "");
  }
  EXPECT_EQ(status_line(ask(half)), "HTTP/1.1 503 Service Unavailable") << "the one that asks for more";
  EXPECT_EQ(ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), ok("GET /a")) << "others go on";
  peers.pop_back();
  clock.run_until_idle();
  EXPECT_EQ(ask(half), "");
}

TEST_F(HttpServer, ClosesOnAClientThatDoesNotRead) {
  const auto peer = connect();
  peer->pause(true);
  peer->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  clock.advance(1s);
  peer->send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  clock.advance(59s);
  EXPECT_EQ(server->connections(), 1u);
  clock.advance(2s);
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(HttpServer, TurnsAServicesFailureIntoOneLogLineAnd500) {
  const auto peer = connect();
  peer->send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_line(peer->take()), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(log.events, (std::vector<std::string>{"request_failed"}));
  peer->send("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_line(peer->take()), "HTTP/1.1 500 Internal Server Error");
  peer->send("GET /split HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(status_line(peer->take()), "HTTP/1.1 500 Internal Server Error");
  peer->send("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(peer->take(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n<end>");
}

TEST_F(HttpServer, TellsTheServiceThatTheClientHasGone) {
  const auto peer = connect();
  peer->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(demo.disconnects, 0);
  peer->close();
  EXPECT_EQ(demo.disconnects, 1);
  demo.go_on.notify();
  clock.run_until_idle();
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(HttpServer, WaitsAtTheLimitOfConnectionsWhileAllAreBusy) {
  std::vector<std::unique_ptr<Peer>> busy;
  for (int i = 0; i < 3; ++i) {
    busy.push_back(connect());
    busy.back()->send("GET /some HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  }
  const auto fourth = connect();
  fourth->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(server->connections(), 3u);
  EXPECT_EQ(fourth->take(), "");
  busy[0]->close();
  EXPECT_EQ(fourth->take(), ok("GET /a"));
}

TEST_F(HttpServer, TheLongestIdleConnectionMakesWayAtTheLimit) {
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(connect());
  // The oldest connection is not the one that has been idle for the longest time.
  peers[0]->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(peers[0]->take(), ok("GET /a"));
  for (int i = 3; i < 5; ++i) {
    peers.push_back(connect());
    peers.back()->send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(peers.back()->take(), ok("GET /b"));
  }
  EXPECT_EQ(server->connections(), 3u);
  EXPECT_EQ(peers[0]->take(), "");
  EXPECT_EQ(peers[1]->take(), "<end>");
  EXPECT_EQ(peers[2]->take(), "<end>");
}

TEST_F(HttpServer, EveryAnswerHasADate) {
  const auto peer = connect();
  peer->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n");
  clock.advance(1s);
  const std::string text = peer->take_all();
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find("\r\nDate: ", at)) != std::string::npos; ++at) {
    const std::string date = text.substr(at + 8, 29);
    EXPECT_TRUE(date.ends_with(" GMT")) << date;
    ++count;
  }
  EXPECT_EQ(count, 3u) << text;
}

TEST_F(HttpServer, ADateOfTheServiceStays) {
  const auto peer = connect();
  peer->send("GET /dated HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string text = peer->take_all();
  EXPECT_NE(text.find("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("Date: "), text.rfind("Date: "));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
TEST_F(HttpServer, TheMemoryOfAHeadGoesWithItsRequest) {
  const std::string target = "/a/target/longer/than/what/fits/into/a/string/itself";
  const auto peer = connect();
  peer->send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(peer->take(), ok("GET " + target));
  ASSERT_EQ(demo.last_target.size(), target.size());
  EXPECT_TRUE(__asan_address_is_poisoned(demo.last_target.data()));
}
#endif
#endif

TEST_F(HttpServer, DrainClosesIdleConnectionsAndLetsTheRestFinish) {
  const auto idle = connect();
  const auto busy = connect();
  busy->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  start_drain(10s);
  EXPECT_EQ(idle->take(), "");
  clock.advance(limits.drain_grace);
  EXPECT_EQ(idle->take(), "<end>");
  EXPECT_EQ(busy->take(), "");
  EXPECT_FALSE(cut);
  demo.go_on.notify();
  clock.run_until_idle();
  EXPECT_EQ(busy->take(), ok("GET /wait", closing) + "<end>");
  EXPECT_EQ(cut, 0u);
}

TEST_F(HttpServer, DrainStillAnswersWhatABalancerWasJustHandingOver) {
  const auto idle = connect();
  start_drain(10s);
  clock.advance(limits.drain_grace / 2);
  idle->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(idle->take(), ok("GET /a", closing) + "<end>");
}

TEST_F(HttpServer, DrainAnswersAConnectionThatNobodyHasAcceptedYet) {
  std::string received;
  const auto ask_as_it_drains = [&]() -> Task<void> {
    const auto connected = co_await network->connect(address, clock.now() + 1s);
    net::Stream& stream = **connected;
    co_await stream.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await server->drain(clock.now() + 10s);
    std::array<char, 700> into;
    const auto count = co_await stream.read_some(into);
    received.assign(into.data(), count.value_or(0));
  };
  scope.spawn(ask_as_it_drains());
  clock.run_until_idle();
  EXPECT_TRUE(received.starts_with("HTTP/1.1 200 ")) << received;
}

TEST_F(HttpServer, DrainWaitsForTheRequestOfAConnectionThatWasJustOpened) {
  const auto busy = connect();
  busy->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  start_drain(10s);
  clock.advance(limits.drain_grace - 10ms);
  const auto late = connect();
  const auto silent = connect();
  clock.advance(20ms);
  EXPECT_EQ(late->take(), "");
  late->send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(late->take(), ok("GET /a", closing) + "<end>");
  EXPECT_EQ(silent->take(), "");
  clock.advance(limits.drain_grace);
  EXPECT_EQ(silent->take(), "<end>");
}

TEST_F(HttpServer, DrainCutsAtTheDeadlineAndCounts) {
  const auto busy = connect();
  busy->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  start_drain(10s);
  clock.advance(9s);
  EXPECT_FALSE(cut);
  clock.advance(1s);
  EXPECT_EQ(cut, 1u);
  EXPECT_EQ(busy->take(), "<end>");
}

TEST_F(HttpServer, ASecondDrainBringsTheDeadlineForward) {
  const auto busy = connect();
  busy->send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  start_drain(10s);
  clock.advance(1s);
  EXPECT_FALSE(cut);
  scope.spawn(hurry());
  clock.run_until_idle();
  EXPECT_EQ(cut, 1u);
}

}  // namespace
}  // namespace berth::http
