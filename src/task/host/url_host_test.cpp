#include "task/host/url_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "base/testing/sim_clock.h"
#include "http/server.h"
#include "mcp/message.h"
#include "net/testing/memory_network.h"
#include "task/host/testing/observers.h"
#include "task/host/url_wire.h"

namespace berth::task {
namespace {

using host::testing::Changes;
using host::testing::member;
using host::testing::Observer;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A scripted upstream: remembers requests; streams stay open until told otherwise.
class FakeUpstream final : public http::Service {
 public:
  struct Seen {
    std::string verb;
    http::Headers headers;
    std::string body;
    std::string method() const { return member(body, "method"); }
    std::string header(std::string_view name) const { return std::string(headers.get(name).value_or("")); }
  };
  explicit FakeUpstream(Executor executor) : executor_(executor) {}

  bool modern = false;
  bool lists_tools = true;
  bool is_late = true;  ///< the first call of "late" is refused for its version
  bool asks = false;
  std::string session = "s1";
  int lost_status = 404;
  std::string lost_body = R"({"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}})";
  int stream_status = 200;
  int discover_status = 400;
  std::string moved_to;     ///< where /mcp redirects to
  std::string refused_uri;  ///< resources/subscribe of it is refused
  std::vector<Seen> seen;
  std::deque<std::string> pushed;  ///< events for the open GET or listen stream
  int streams = 0;

  void push(std::string event) {
    pushed.push_back(std::move(event));
    if (stream_) stream_->notify();
  }
  void end_stream() {
    gone_ = true;
    if (stream_) stream_->notify();
  }
  void let_go() {
    released_ = true;
    for (Signal* each : held_) each->notify();
  }
  std::size_t count(std::string_view verb, std::string_view method = {}) const {
    std::size_t found = 0;
    for (const Seen& each : seen) found += each.verb == verb && (method.empty() || each.method() == method);
    return found;
  }

  Task<void> serve(http::Exchange& exchange) override {
    Seen request{exchange.head().method, exchange.head().headers, {}};
    auto body = co_await exchange.read_body(1 << 20);
    request.body = body ? *body : "";
    if (!moved_to.empty() && exchange.head().path() == "/mcp") {
      http::Response moved = http::text_response(307, "");
      moved.headers.set("Location", moved_to);
      co_await exchange.respond(std::move(moved));
      co_return;
    }
    seen.push_back(request);
    if (request.verb == "GET") {
      co_await stream(exchange);
    } else if (request.verb == "DELETE") {
      co_await exchange.respond(http::Response{});
    } else {
      co_await post(exchange, request);
    }
  }

 private:
  Task<void> stream(http::Exchange& exchange) {
    if (stream_status != 200) {
      co_await exchange.respond(http::json_response(stream_status, "busy"));
      co_return;
    }
    ++streams;
    http::ResponseHead head;
    head.headers.set("Content-Type", "text/event-stream");
    co_await exchange.begin(head);
    Signal more(executor_);
    stream_ = &more;
    exchange.on_disconnect([this, &more] {
      gone_ = true;
      more.notify();
    });
    gone_ = false;
    while (!gone_ && !released_) {
      while (!pushed.empty()) {
        const std::string event = std::move(pushed.front());
        pushed.pop_front();
        const auto written = co_await exchange.write("data: " + event + "\n\n");
        if (!written) gone_ = true;
      }
      co_await more.wait();
    }
    stream_ = nullptr;
    --streams;
  }

  Task<void> post(http::Exchange& exchange, const Seen& request) {
    const std::string id = member(request.body, "id");
    const std::string method = request.method();
    const auto answer = [&](const std::string& result) {
      return http::json_response(200, fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, result));
    };
    const bool in_session = request.header("Mcp-Session-Id") == session;
    http::Response response;
    response.status = 202;
    if (method == "\"server/discover\"") {
      response =
          modern
              ? answer(R"({"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":)"
                       R"({"tools":{"listChanged":true}}})")
              : http::json_response(discover_status,
                                    R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}})");
    } else if (method == "\"initialize\"") {
      response =
          answer(R"({"protocolVersion":"2025-06-18","capabilities":{"resources":{"subscribe":true}}})");
      response.headers.set("Mcp-Session-Id", session);
    } else if (method == "\"subscriptions/listen\"") {
      co_await stream(exchange);
      co_return;
    } else if (!modern && !in_session) {
      response = http::json_response(lost_status, lost_body);
    } else if (method == "\"tools/call\"") {
      co_await call_tool(exchange, request, id);
      co_return;
    } else if (method == "\"tools/list\"") {
      response =
          lists_tools
              ? answer(R"({"resultType":"complete","tools":[{"name":"mirror","inputSchema":{"type":"object",)"
                       R"("properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]})")
              : answer(R"({"resultType":"complete","tools":[]})");
    } else if (method == "\"resources/subscribe\"" &&
               member(member(request.body, "params"), "uri") == "\"" + refused_uri + "\"") {
      response = http::json_response(
          200,
          fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32002,"message":"There is no a:1."}}}})",
                      id));
    } else if (!id.empty() && !method.empty()) {
      response = answer("{}");
    }
    co_await exchange.respond(std::move(response));
  }

  Task<void> call_tool(http::Exchange& exchange, const Seen& request, const std::string& id) {
    const std::string tool = member(member(request.body, "params"), "name");
    const std::string done = fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{{"tool":{}}}}})", id, tool);
    if (tool == "\"echo\"" || (tool == "\"late\"" && !is_late)) {
      co_await exchange.respond(http::json_response(200, done));
      co_return;
    }
    if (tool == "\"refused\"") {
      co_await exchange.respond(http::json_response(400, "no such thing"));
      co_return;
    }
    if (tool == "\"unknown\"") {
      co_await exchange.respond(http::json_response(
          404, fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"none"}}}})", id)));
      co_return;
    }
    if (tool == "\"late\"" && std::exchange(is_late, false)) {
      co_await exchange.respond(http::json_response(
          400, fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32022,"message":"not yet",)"
                           R"("data":{{"supported":["2025-11-25","2026-07-28"]}}}}}})",
                           id)));
      co_return;
    }
    if (tool == "\"busy\"") {
      http::Response busy = http::text_response(429, "slow down");
      busy.headers.set("Retry-After", "7");
      co_await exchange.respond(std::move(busy));
      co_return;
    }
    if (tool == "\"silent\"") {
      Signal gone(executor_);
      exchange.on_disconnect([&gone] { gone.notify(); });
      co_await gone.wait();
      co_return;
    }
    if (tool == "\"mirror\"" && request.header("Mcp-Param-Region") != "eu") {
      co_await exchange.respond(http::json_response(
          400,
          fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32020,"message":"mirror"}}}})", id)));
      co_return;
    }
    http::ResponseHead head;
    head.headers.set("Content-Type", "text/event-stream");
    co_await exchange.begin(head);
    co_await exchange.write(fmt::format("id: e1\nretry: 500\ndata:\n\ndata: {}\n\n",
                                        fmt::format(R"({{"jsonrpc":"2.0","method":"notifications/progress",)"
                                                    R"("params":{{"progressToken":{},"progress":1}}}})",
                                                    id)));
    if (tool == "\"break\"") co_return;
    if (tool == "\"ask\"") {
      co_await exchange.write(
          "data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"elicitation/create\","
          "\"params\":{\"message\":\"?\"}}\n\n");
    }
    if (tool == "\"ask\"" || tool == "\"hang\"") {
      Signal release(executor_);
      held_.push_back(&release);
      exchange.on_disconnect([&release] { release.notify(); });
      co_await release.wait();
      std::erase(held_, &release);
    }
    co_await exchange.write("data: " + done + "\n\n");
    co_await exchange.finish();
  }

  Executor executor_;
  Signal* stream_ = nullptr;
  bool gone_ = false;
  bool released_ = false;
  std::vector<Signal*> held_;
};

class UrlHostTest : public ::testing::Test {
 protected:
  UrlHostTest() : clock(loop), network(net::testing::make_memory_network(clock)), upstream(clock.executor()) {
    spec.name = "up";
    spec.url = Secret("http://10.0.0.1:8000/mcp?key=1");
    spec.headers = {{"Authorization", "Bearer t"}};
    asker.capabilities = R"({"elicitation":{}})";
  }
  ~UrlHostTest() override {
    calls.clear();
    if (host) drain(Duration(0));
    host.reset();
    upstream.let_go();
    stop_server();
    clock.run_until_idle();
  }

  void serve(const std::string& address = "10.0.0.1") {
    auto listener = network->listen(net::Endpoint{address, 8000});
    server = http::make_server(std::move(*listener), nullptr, upstream, clock, null_log(), {});
  }
  void stop_server() {
    if (!server) return;
    TaskScope scope(clock.executor());
    scope.spawn(stop());
    for (int i = 0; i < 20 && server; ++i) clock.advance(milliseconds(100));
  }
  Task<void> stop() {
    co_await server->drain(clock.now());
    server.reset();
  }
  void make() {
    if (!server) serve();
    host = make_url_host(spec, *network, changes, clock, null_log());
    clock.run_until_idle();
  }
  Observer& call(std::string_view params, const mcp::Caller& who, mcp::Call call = {}) {
    observers.push_back(std::make_unique<Observer>());
    call.caller = &who;
    call.method = "tools/call";
    call.params = params;
    calls.push_back(host->start(call, *observers.back()));
    clock.run_until_idle();
    // What a server asks is gathered so long.
    if (observers.back()->outcomes == 0) clock.advance(milliseconds(10));
    return *observers.back();
  }
  Observer& echo() { return call(R"({"name":"echo"})", caller); }
  std::size_t drain(Duration patience) {
    std::optional<std::size_t> cut;
    TaskScope scope(clock.executor());
    scope.spawn(drain_into(clock.now() + patience, cut));
    for (int i = 0; i < 200 && !cut; ++i) clock.advance(milliseconds(100));
    EXPECT_TRUE(cut) << "drain ends";
    clock.run_until_idle();
    return cut.value_or(0);
  }
  Task<void> drain_into(TimePoint deadline, std::optional<std::size_t>& cut) {
    const std::size_t count = co_await host->drain(deadline);
    cut = count;
  }

  asio::io_context loop;
  berth::testing::SimClock clock;
  std::unique_ptr<net::testing::MemoryNetwork> network;
  FakeUpstream upstream;
  std::unique_ptr<http::Server> server;
  Changes changes;
  model::ServerSpec spec;
  mcp::Caller caller;
  mcp::Caller asker;
  std::vector<std::unique_ptr<Observer>> observers;
  std::unique_ptr<ServerHost> host;
  std::vector<std::unique_ptr<mcp::ActiveCall>> calls;
};

TEST_F(UrlHostTest, finds_a_legacy_upstream_and_initializes_once) {
  make();
  EXPECT_TRUE(host->health().ready) << host->health().reason.whole();
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 1u);
  EXPECT_EQ(upstream.count("POST", "\"notifications/initialized\""), 1u);
  const auto& last = upstream.seen.back();
  EXPECT_EQ(last.header("Mcp-Session-Id"), "s1");
  EXPECT_EQ(last.header("MCP-Protocol-Version"), "2025-06-18");
  EXPECT_EQ(last.header("Authorization"), "Bearer t");
  EXPECT_EQ(last.header("Host"), "10.0.0.1:8000");
}

TEST_F(UrlHostTest, reaches_localhost_at_whichever_loopback_it_listens) {
  spec.url = Secret("http://localhost:8000/mcp");
  serve("::1");
  make();
  EXPECT_TRUE(host->health().ready) << host->health().reason.whole();
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
}

TEST_F(UrlHostTest, opens_another_session_for_other_capabilities) {
  make();
  echo();
  call(R"({"name":"echo"})", asker);
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 2u);
}

TEST_F(UrlHostTest, initializes_anew_and_repeats_the_call_once_when_the_session_is_lost) {
  make();
  echo();
  upstream.session = "s2";
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 2u);
}

TEST_F(UrlHostTest, tells_which_session_ran_a_call_and_when_it_is_lost) {
  make();
  const std::uint64_t first = echo().outcome.process;
  EXPECT_EQ(echo().outcome.process, first);
  EXPECT_TRUE(host->runs(first));
  upstream.session = "s2";
  const std::uint64_t second = echo().outcome.process;
  EXPECT_FALSE(host->runs(first));
  EXPECT_TRUE(host->runs(second));
  Observer& lost = call(R"({"name":"silent"})", caller);
  network->cut(net::Endpoint{"10.0.0.1", 8000});
  clock.run_until_idle();
  EXPECT_TRUE(lost.outcome.is_lost);
}

TEST_F(UrlHostTest, tells_of_lost_state_before_a_call_runs_in_another_session) {
  spec.state = model::State::process;
  make();
  const std::uint64_t first = echo().outcome.process;
  upstream.session = "s2";
  Observer& refused = echo();
  EXPECT_EQ(refused.outcome.error, mcp::state_lost());
  EXPECT_FALSE(host->runs(first));
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
}

TEST_F(UrlHostTest, knows_a_lost_session_however_the_upstream_says_so) {
  const std::pair<int, std::string> ways[] = {
      {404, ""},
      {404, "Session not found"},
      {400, "Invalid or missing session ID"},
      {400, R"({"error":"No such session"})"},
      {400, R"({"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"Bad Request: No valid session"}})"},
      {400, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}})"}};
  make();
  for (const auto& [status, body] : ways) {
    SCOPED_TRACE(body);
    upstream.lost_status = status;
    upstream.lost_body = body;
    upstream.session += "x";
    EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  }
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 1 + std::size(ways));
}

TEST_F(UrlHostTest, takes_404_with_method_not_found_for_the_answer_to_the_call) {
  for (const bool modern : {false, true}) {
    upstream.modern = modern;
    make();
    upstream.seen.clear();
    const Observer& unknown = call(R"({"name":"unknown"})", caller);
    EXPECT_EQ(unknown.outcome.error.code, mcp::code::method_not_found);
    EXPECT_EQ(upstream.count("POST", "\"tools/call\""), 1u);
    EXPECT_EQ(upstream.count("POST", "\"initialize\""), 0u);
    calls.clear();
    drain(Duration(0));
    host.reset();
  }
}

TEST_F(UrlHostTest, takes_what_a_new_session_refuses_for_the_answer_to_the_call) {
  make();
  Observer& refused = call(R"({"name":"refused"})", caller);
  EXPECT_EQ(
      refused.error(),
      "The upstream http://10.0.0.1:8000/mcp answered HTTP 400 where a result was due. It said: no such "
      "thing");
  EXPECT_EQ(upstream.count("POST", "\"tools/call\""), 2u);
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 2u);
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 2u);
}

TEST_F(UrlHostTest, opens_its_stream_again_when_it_ends_or_the_upstream_is_busy) {
  upstream.stream_status = 503;
  make();
  EXPECT_EQ(upstream.count("GET"), 1u);
  clock.advance(milliseconds(999));
  EXPECT_EQ(upstream.count("GET"), 1u);
  clock.advance(milliseconds(1));
  EXPECT_EQ(upstream.count("GET"), 2u);
  upstream.stream_status = 200;
  clock.advance(seconds(2));
  EXPECT_EQ(upstream.streams, 1);
  upstream.end_stream();
  clock.run_until_idle();
  EXPECT_EQ(upstream.streams, 0);
  clock.advance(seconds(4));
  EXPECT_EQ(upstream.streams, 1);
  EXPECT_EQ(upstream.count("GET"), 4u);
}

TEST_F(UrlHostTest, asks_for_no_stream_again_where_there_is_none) {
  upstream.stream_status = 405;
  make();
  clock.advance(seconds(60));
  EXPECT_EQ(upstream.count("GET"), 1u);
}

TEST_F(UrlHostTest, a_client_that_leaves_as_its_session_opens_takes_its_request_with_it) {
  make();
  const std::string text = R"({"name":"echo","arguments":{"x":")" + std::string(3000, 'x') + "\"}}";
  for (int turns = 0; turns < 100; ++turns) {
    const mcp::Caller leaver{.principal = fmt::format("p{}", turns)};
    std::string params = text;
    Observer gone;
    mcp::Call call;
    call.caller = &leaver;
    call.method = "tools/call";
    call.params = params;
    auto active = host->start(call, gone);
    loop.restart();
    for (int turn = 0; turn < turns; ++turn) loop.poll_one();
    active.reset();
    std::ranges::fill(params, '!');
    clock.run_until_idle();
  }
  for (const auto& each : upstream.seen) EXPECT_EQ(each.body.find('!'), std::string::npos);
}

TEST_F(UrlHostTest, hands_on_what_the_upstream_asks_outside_calls_and_reports_changes) {
  make();
  ASSERT_EQ(upstream.streams, 1);
  upstream.push(R"({"jsonrpc":"2.0","id":"r","method":"roots/list"})");
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})");
  clock.run_until_idle();
  EXPECT_EQ(upstream.seen.back().body,
            R"({"jsonrpc":"2.0","id":"r","error":{"code":-32601,"message":)"
            R"("Method not found: the client has not declared {\"roots\":{}}."}})");
  const mcp::Caller rooted{.capabilities = R"({"roots":{}})"};
  call(R"({"name":"echo"})", rooted);
  upstream.push(R"({"jsonrpc":"2.0","id":"s","method":"roots/list"})");
  clock.run_until_idle();
  ASSERT_EQ(changes.questions.size(), 1u);
  EXPECT_EQ(changes.questions[0].request.method, "roots/list");
  EXPECT_TRUE(changes.questions[0].is_for(rooted));
  EXPECT_FALSE(changes.questions[0].is_for(caller));
  changes.questions[0].answer(R"({"roots":[]})");
  clock.run_until_idle();
  EXPECT_EQ(upstream.seen.back().body, R"({"jsonrpc":"2.0","id":"s","result":{"roots":[]}})");
  EXPECT_EQ(changes.all, (std::vector<mcp::Change>{{mcp::Change::Kind::tools_list, "", "anonymous"}}));
}

TEST_F(UrlHostTest, brings_what_the_own_stream_of_a_session_says_to_the_call_it_can_only_be_for) {
  make();
  mcp::Caller session_client = caller;
  session_client.session = "c1";
  mcp::Call wanting;
  wanting.wants_progress = true;
  wanting.log_level = mcp::LoggingLevel::info;
  Observer& running = call(R"({"name":"hang"})", session_client, wanting);
  ASSERT_EQ(running.notes.size(), 1u);
  const std::string id = member(upstream.seen.back().body, "id");
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":0}})");
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1}})");
  upstream.push(R"({"jsonrpc":"2.0","method":"vendor/step","params":{"n":2}})");
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":)" + id +
                R"(,"progress":3}})");
  clock.run_until_idle();
  EXPECT_EQ(running.notes, (std::vector<std::string>{R"({"progress":1})", R"({"level":"error","data":1})",
                                                     R"({"n":2})", R"({"progress":3})"}));
  Observer& second = call(R"({"name":"hang"})", caller, wanting);
  upstream.push(R"({"jsonrpc":"2.0","method":"vendor/step","params":{"n":4}})");
  clock.run_until_idle();
  EXPECT_EQ(running.notes.size(), 4u) << "it may be for either client";
  EXPECT_EQ(second.notes.size(), 1u);
  calls.clear();
  clock.run_until_idle();
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":5}})");
  clock.run_until_idle();
  ASSERT_EQ(changes.all.size(), 1u);
  EXPECT_EQ(changes.all[0].message.params, R"({"level":"info","data":5})");
  EXPECT_EQ(changes.all[0].principal, "anonymous");
}

TEST_F(UrlHostTest, asks_for_the_one_call_that_a_question_on_the_sessions_own_stream_can_belong_to) {
  make();
  call(R"({"name":"echo"})", asker);
  clock.run_until_idle();
  ASSERT_EQ(upstream.streams, 2)
      << "the session of the asker's capabilities has a stream of its own, the newest";
  Observer& other = call(R"({"name":"hang"})", asker);
  Observer& running = call(R"({"name":"hang"})", asker);
  upstream.push(R"({"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Name?"}})");
  clock.advance(seconds(60));
  EXPECT_EQ(running.outcomes + other.outcomes, 0) << "either client could be meant";
  calls.front() = nullptr;
  calls[1] = nullptr;
  clock.advance(milliseconds(10));
  ASSERT_EQ(running.outcome.kind, mcp::Outcome::Kind::input_required);
  mcp::Call retry;
  const std::string responses = R"({"ask-1":{"action":"accept","content":{"name":"Ada"}}})";
  const std::string state = running.outcome.input.state;
  retry.input_responses = responses;
  retry.request_state = state;
  call(R"({"name":"hang"})", asker, retry);
  EXPECT_EQ(upstream.seen.back().body,
            R"({"jsonrpc":"2.0","id":"q","result":{"action":"accept","content":{"name":"Ada"}}})");
}

TEST_F(UrlHostTest, tells_why_the_upstream_refuses_a_watch) {
  make();
  upstream.refused_uri = "a:1";
  std::vector<std::string> said;
  TaskScope scope(clock.executor());
  const auto watch = [&](std::string uri) -> Task<void> {
    host->watch_resource(caller, uri);
    const auto refusal = co_await host->watch_refusal(caller, uri);
    said.push_back(refusal ? refusal->message : "agreed");
  };
  scope.spawn(watch("a:1"));
  clock.run_until_idle();
  scope.spawn(watch("a:2"));
  clock.run_until_idle();
  EXPECT_EQ(said, (std::vector<std::string>{"There is no a:1.", "agreed"}));
}

TEST_F(UrlHostTest, hands_custom_notifications_to_upstreams_of_both_eras) {
  make();
  host->notify(caller, "vendor/saved", R"({"x":1})");
  clock.run_until_idle();
  EXPECT_EQ(upstream.seen.back().body, R"({"jsonrpc":"2.0","method":"vendor/saved","params":{"x":1}})");
  drain(Duration(0));
  upstream.modern = true;
  make();
  host->notify(caller, "vendor/saved", R"({"x":2})");
  host->notify(caller, "notifications/roots/list_changed", "{}");
  clock.run_until_idle();
  EXPECT_EQ(upstream.count("POST", "\"notifications/roots/list_changed\""), 0u);
  EXPECT_EQ(upstream.count("POST", "\"vendor/saved\""), 2u);
}

TEST_F(UrlHostTest, streams_progress_and_tells_the_upstream_of_a_cancelled_call) {
  make();
  mcp::Call wanting;
  wanting.wants_progress = true;
  Observer& gone = call(R"({"name":"hang"})", caller, wanting);
  EXPECT_EQ(gone.notes, std::vector<std::string>{R"({"progress":1})"});
  calls.clear();
  clock.run_until_idle();
  EXPECT_EQ(upstream.count("POST", "\"notifications/cancelled\""), 1u);
  EXPECT_EQ(gone.outcomes, 0);
}

TEST_F(UrlHostTest, tells_either_era_of_the_trace_in_the_body_and_in_the_header) {
  constexpr std::string_view parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  for (const bool modern : {false, true}) {
    SCOPED_TRACE(modern);
    upstream.modern = modern;
    make();
    mcp::Call traced;
    traced.trace_parent = parent;
    call(R"({"name":"echo"})", caller, traced);
    EXPECT_EQ(upstream.seen.back().header("traceparent"), parent);
    EXPECT_NE(upstream.seen.back().body.find(R"("traceparent":")" + std::string(parent)), std::string::npos);
    traced.trace_parent = "x\r\nEvil: 1";
    call(R"({"name":"echo"})", caller, traced);
    EXPECT_EQ(upstream.seen.back().header("traceparent"), "") << "a client's text is no header field";
    calls.clear();
    drain(seconds(1));
  }
}

TEST_F(UrlHostTest, parks_a_call_that_asks_and_goes_on_with_the_answer) {
  make();
  Observer& first = call(R"({"name":"ask"})", asker);
  ASSERT_EQ(first.outcome.kind, mcp::Outcome::Kind::input_required);
  EXPECT_TRUE(first.outcome.input.owned);
  mcp::Call retry;
  retry.request_state = first.outcome.input.state;
  retry.input_responses = R"({"ask-1":{"action":"accept"}})";
  Observer& stranger = call(R"({"name":"ask"})", mcp::Caller{.principal = "mallory"}, retry);
  EXPECT_EQ(stranger.outcome.error.code, -32603);
  Observer& second = call(R"({"name":"ask"})", asker, retry);
  EXPECT_EQ(upstream.seen.back().body, R"({"jsonrpc":"2.0","id":"q","result":{"action":"accept"}})");
  upstream.let_go();
  clock.run_until_idle();
  EXPECT_EQ(second.result(), R"({"tool":"ask"})");
}

TEST_F(UrlHostTest, gives_the_oldest_of_too_many_questions_of_one_principal_up) {
  make();
  const mcp::Caller other{.principal = "other", .capabilities = asker.capabilities};
  Observer& others = call(R"({"name":"ask"})", other);
  std::vector<Observer*> asked;
  for (int i = 0; i < 65; ++i) asked.push_back(&call(R"({"name":"ask"})", asker));
  mcp::Call retry;
  retry.input_responses = R"({"ask-1":{"action":"accept"}})";
  retry.request_state = asked[0]->outcome.input.state;
  EXPECT_TRUE(
      call(R"({"name":"ask"})", asker, retry).error().contains("This answer can no longer be delivered"));
  const auto goes_on = [&](Observer& first, const mcp::Caller& who) {
    retry.request_state = first.outcome.input.state;
    return call(R"({"name":"ask"})", who, retry).outcomes == 0;
  };
  EXPECT_TRUE(goes_on(*asked[1], asker));
  EXPECT_TRUE(goes_on(others, other));
}

TEST_F(UrlHostTest, keeps_asks_of_calls_in_flight_together_apart) {
  make();
  Observer& first = call(R"({"name":"hang"})", asker);
  Observer& second = call(R"({"name":"ask"})", asker);
  EXPECT_EQ(first.outcomes, 0);
  EXPECT_EQ(second.outcome.kind, mcp::Outcome::Kind::input_required);
}

TEST_F(UrlHostTest, reconnects_to_a_broken_answer_by_its_event_id) {
  make();
  Observer& broken = call(R"({"name":"break"})", caller);
  const std::size_t before = upstream.count("GET");
  clock.advance(milliseconds(500));
  EXPECT_EQ(upstream.count("GET"), before + 1);
  EXPECT_EQ(upstream.seen.back().header("Last-Event-ID"), "e1");
  const std::string id = member(upstream.seen[upstream.seen.size() - 2].body, "id");
  upstream.push(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{{"late":1}}}})", id));
  clock.run_until_idle();
  EXPECT_EQ(broken.result(), R"({"late":1})");
}

TEST_F(UrlHostTest, ends_a_call_that_is_never_answered) {
  make();
  Observer& hanging = call(R"({"name":"hang"})", caller);
  clock.advance(seconds(300));
  EXPECT_EQ(hanging.error(),
            "The call may have run; its end is unknown. The upstream http://10.0.0.1:8000/mcp did not answer "
            "tools/call within 300 s (call_timeout).");
}

TEST_F(UrlHostTest, says_that_a_call_may_have_run_whose_upstream_resets_before_it_answers) {
  make();
  Observer& lost = call(R"({"name":"silent"})", caller);
  EXPECT_EQ(lost.outcomes, 0);
  const std::size_t calls_before = upstream.count("POST", "\"tools/call\"");
  network->cut(net::Endpoint{"10.0.0.1", 8000});
  clock.run_until_idle();
  EXPECT_TRUE(
      lost.error().starts_with("The call may have run; its end is unknown. The upstream "
                               "http://10.0.0.1:8000/mcp: "))
      << lost.error();
  EXPECT_EQ(upstream.count("POST", "\"tools/call\""), calls_before) << "it is not sent again";
}

TEST_F(UrlHostTest, follows_its_upstream_within_the_origin_and_names_where_else_it_is_sent) {
  upstream.moved_to = "/v2/mcp";
  make();
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
  upstream.moved_to = "https://other.example/mcp?key=2";
  EXPECT_EQ(
      echo().error(),
      "The upstream http://10.0.0.1:8000/mcp: POST /mcp at 10.0.0.1:8000: it answered HTTP 307 and names "
      "another place, https://other.example/mcp; if that is right, set the url to it");
}

TEST_F(UrlHostTest, passes_retry_after_on) {
  make();
  Observer& busy = call(R"({"name":"busy"})", caller);
  EXPECT_EQ(busy.outcome.error.code, -32000);
  EXPECT_EQ(busy.outcome.error.data, R"({"retryAfter":7})");
}

TEST_F(UrlHostTest, is_not_ready_while_nothing_listens_and_recovers_by_itself) {
  network->cut(net::Endpoint{"10.0.0.1", 8000});
  make();
  EXPECT_FALSE(host->health().ready);
  EXPECT_TRUE(host->health().reason.whole().starts_with("The upstream http://10.0.0.1:8000/mcp: "));
  EXPECT_EQ(host->health().reason.whole().find("key=1"), std::string::npos) << host->health().reason.whole();
  EXPECT_EQ(echo().outcome.error.code, -32603);
  network->heal(net::Endpoint{"10.0.0.1", 8000});
  clock.advance(seconds(6));
  EXPECT_TRUE(host->health().ready);
  EXPECT_EQ(echo().result(), R"({"tool":"echo"})");
}

TEST_F(UrlHostTest, does_not_take_a_refusal_or_a_failure_for_an_era) {
  upstream.discover_status = 503;
  make();
  EXPECT_EQ(host->health().reason.whole(),
            "The upstream http://10.0.0.1:8000/mcp: The upstream answered HTTP 503. It said: no");
  upstream.discover_status = 405;
  clock.advance(seconds(1));
  EXPECT_TRUE(host->health().ready);
}

TEST_F(UrlHostTest, speaks_to_a_modern_upstream_without_a_session) {
  upstream.modern = true;
  make();
  EXPECT_TRUE(host->health().ready);
  Observer& done = call("{\"name\":\"echo\"}", asker);
  EXPECT_EQ(done.result(), R"({"tool":"echo"})");
  const auto& last = upstream.seen.back();
  EXPECT_EQ(last.header("Mcp-Method"), "tools/call");
  EXPECT_EQ(last.header("Mcp-Name"), "echo");
  EXPECT_EQ(last.header("MCP-Protocol-Version"), "2026-07-28");
  EXPECT_EQ(last.header("Mcp-Session-Id"), "");
  EXPECT_TRUE(last.body.find(R"("io.modelcontextprotocol/clientCapabilities":{"elicitation":{}})") !=
              std::string::npos);
  EXPECT_EQ(upstream.count("POST", "\"initialize\""), 0u);
}

TEST_F(UrlHostTest, cancels_a_modern_call_by_closing_its_stream) {
  upstream.modern = true;
  make();
  call(R"({"name":"hang"})", caller);
  calls.clear();
  clock.run_until_idle();
  EXPECT_EQ(upstream.count("POST", "\"notifications/cancelled\""), 0u);
}

TEST_F(UrlHostTest, mirrors_the_arguments_that_a_modern_tool_wants_in_headers) {
  upstream.modern = true;
  make();
  Observer& first = call(R"({"name":"mirror","arguments":{"region":"eu"}})", caller);
  clock.run_until_idle();
  EXPECT_EQ(first.result(), R"({"tool":"mirror"})");
  EXPECT_EQ(upstream.count("POST", "\"tools/call\""), 1u) << "from the first call on";
}

TEST_F(UrlHostTest, learns_anew_what_a_modern_tool_wants_when_it_refuses_a_call) {
  upstream.modern = true;
  upstream.lists_tools = false;
  make();
  upstream.lists_tools = true;
  Observer& call_refused_once = call(R"({"name":"mirror","arguments":{"region":"eu"}})", caller);
  clock.run_until_idle();
  EXPECT_EQ(call_refused_once.result(), R"({"tool":"mirror"})");
  EXPECT_EQ(upstream.count("POST", "\"tools/call\""), 2u);
}

TEST_F(UrlHostTest, asks_once_more_where_a_refusal_of_the_version_lists_it) {
  upstream.modern = true;
  make();
  Observer& late = call(R"({"name":"late"})", caller);
  clock.run_until_idle();
  EXPECT_EQ(upstream.count("POST", "\"tools/call\""), 2u);
  EXPECT_EQ(late.outcome.kind, mcp::Outcome::Kind::result);
}

TEST_F(UrlHostTest, listens_to_a_modern_upstream_for_the_union_of_what_is_watched) {
  upstream.modern = true;
  make();
  EXPECT_EQ(upstream.streams, 1);
  host->watch_resource(caller, "a:1");
  clock.run_until_idle();
  EXPECT_TRUE(upstream.seen.back().body.ends_with(
      R"("notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1"]}}})"));
  upstream.push(R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}})");
  clock.run_until_idle();
  EXPECT_EQ(changes.all, (std::vector<mcp::Change>{{mcp::Change::Kind::resource_updated, "a:1", ""}}));
}

TEST_F(UrlHostTest, drains_by_cutting_what_is_left_and_saying_goodbye) {
  make();
  Observer& hanging = call(R"({"name":"hang"})", caller);
  EXPECT_EQ(drain(seconds(1)), 1u);
  EXPECT_EQ(hanging.error(),
            "The call may have run; its end is unknown. The call was cut: the server is shutting down.");
  EXPECT_EQ(upstream.count("DELETE"), 1u);
  calls.clear();
  host.reset();
}

TEST(UrlWire, judges_answers_to_discover) {
  const auto judge = [](int status, std::string_view body) { return host::judge_discover(status, body); };
  const std::string_view modern = R"({"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}})";
  EXPECT_EQ(judge(200, modern), mcp::Era::modern);
  const std::pair<int, std::string_view> legacy[] = {
      {200, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}})"},
      {200, R"({"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2030-01-01"]}})"},
      {400, R"({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Server not initialized"}})"},
      {400, ""},
      {404, "not found"},
      {405, ""},
      {200, "<html>"},
      {400, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"x","data":{"supported":["1"]}}})"}};
  for (const auto& [status, body] : legacy)
    EXPECT_EQ(judge(status, body), mcp::Era::legacy) << status << body;
  EXPECT_EQ(judge(400, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"x"}})"),
            mcp::Era::modern);
  for (const int status : {401, 403, 429, 500, 502, 503}) EXPECT_FALSE(judge(status, modern)) << status;
  EXPECT_EQ(
      judge(403, R"({"error":"forbidden","error_description":"Seat limit reached"})").error().message(),
      "The upstream refused Berth with HTTP 403; set its credentials under `headers`. It said: Seat limit "
      "reached");
  EXPECT_EQ(judge(503, "<html>down</html>").error().message(), "The upstream answered HTTP 503.");
  EXPECT_EQ(judge(503, "Maintenance until 9\nmore").error().message(),
            "The upstream answered HTTP 503. It said: Maintenance until 9");
}

}  // namespace
}  // namespace berth::task
